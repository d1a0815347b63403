/** The client's side of one HTTPS connection through a proxy. */
import { once } from 'node:events'
import { connect as connectTcp } from 'node:net'
import type { Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import type { SecureContext, TLSSocket } from 'node:tls'

/** Connects to a host through a proxy on this machine: CONNECT, then TLS, with the certificate checked. */
export async function openTunnel(
  proxyPort: number,
  host: string,
  secureContext: SecureContext,
  alpn = 'http/1.1',
): Promise<TLSSocket> {
  const raw = connectTcp({ host: '127.0.0.1', port: proxyPort, noDelay: true })
  raw.write(`CONNECT ${host}:443 HTTP/1.1\r\nHost: ${host}:443\r\nProxy-Connection: keep-alive\r\n\r\n`)
  const text = await firstOctets(raw)
  if (!text.startsWith('HTTP/1.1 200')) throw new Error(`The proxy answered CONNECT with ${text}`)
  const socket = connectTls({ socket: raw, host, servername: host, secureContext, ALPNProtocols: [alpn] })
  await once(socket, 'secureConnect')
  // Where nothing is chosen, because the server does not, it is HTTP/1.1 (RFC 9113 section 3.2).
  const chosen = socket.alpnProtocol || 'http/1.1'
  if (chosen !== alpn) throw new Error(`The proxy chose ${chosen} in place of ${alpn}`)
  return socket
}

/** The first octets from a proxy; fails when it closes the connection instead, which must not be waited for. */
function firstOctets(socket: Socket): Promise<string> {
  return new Promise((resolve, reject) => {
    const onClose = (): void => reject(new Error('The proxy closed the connection before it answered CONNECT'))
    socket.once('error', reject).once('close', onClose)
    socket.once('data', (octets: Buffer) => {
      socket.off('error', reject).off('close', onClose)
      resolve(octets.toString('latin1'))
    })
  })
}

/** Sends the same request again and again, each when the response to the one before has come. */
export function repeat(socket: TLSSocket, request: Buffer, response: Buffer, count: number): Promise<void> {
  return new Promise((resolve, reject) => {
    let left = count
    let got: Buffer | undefined
    const stop = (error?: Error): void => {
      socket.off('data', onData).off('error', stop).off('close', onClose)
      if (error) reject(error)
      else resolve()
    }
    const onClose = (): void => stop(new Error(`The connection ended with ${left} responses to come`))
    const onData = (chunk: Buffer): void => {
      const octets = got ? Buffer.concat([got, chunk]) : chunk
      if (octets.length < response.length) {
        got = octets
        return
      }
      got = undefined
      if (!octets.equals(response)) {
        stop(new Error(`Got another response than expected: ${octets.toString('latin1', 0, 200)}`))
      } else if (--left === 0) stop()
      else socket.write(request)
    }
    socket.on('data', onData).on('error', stop).on('close', onClose)
    socket.write(request)
  })
}
