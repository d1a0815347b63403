/** A WebSocket through a mitm, for handlers of MSW that connect to the real server. */
import { request as httpRequest } from 'node:http'
import type { Duplex } from 'node:stream'
import { connect as connectTls } from 'node:tls'
import { WebSocket } from 'ws'
import type { ClientOptions } from 'ws'

import { errorText } from './errors.ts'
import type { RealSocket, RealSocketOptions } from './msw/real-servers.ts'
import { BY_HANDLER, TEST_FIELD } from './source.ts'
import { trustContext } from './tls/trust.ts'

/** How a mitm is reached. */
export interface MitmDoor {
  readonly url: string
  /** In PEM, trusted beside Node's roots. */
  readonly certificates: readonly string[]
}

/** Opens a WebSocket to a server, by a tunnel through the mitm. */
export function openTunnelledSocket(
  url: string,
  options: RealSocketOptions,
  door: () => Promise<MitmDoor>,
): RealSocket {
  const { protocols, fields, opened, message, closed, failed } = options
  const headers: Record<string, string> = {}
  for (const [name, value] of fields) {
    // Cookies come in several fields in HTTP/2 (RFC 9113 section 8.2.3).
    const separator = /^cookie$/i.test(name) ? '; ' : ', '
    headers[name] = name in headers ? `${headers[name]}${separator}${value}` : value
  }
  const socket = new WebSocket(url, [...protocols], {
    headers,
    // Its own; the lengths and the contents of messages are as they were.
    perMessageDeflate: false,
    followRedirects: false,
    // A boundary: Node takes a function that calls back, and the types of ws do not tell.
    createConnection: tunnelTo(new URL(url), door) as unknown as ClientOptions['createConnection'],
  })
  socket.on('open', opened)
  socket.on('message', (data: Buffer, isBinary) => message(isBinary ? new Uint8Array(data) : data.toString('utf8')))
  socket.on('close', (code, reason) => closed(code, reason.toString('utf8')))
  socket.on('error', failed)
  return {
    send: (data) => socket.send(data),
    close: (code, reason) => socket.close(code, reason),
  }
}

type Connected = (error: Error | null, connection?: Duplex) => void

function tunnelTo({ protocol, hostname, port }: URL, door: () => Promise<MitmDoor>) {
  const isSecure = protocol === 'wss:'
  const host = hostname.replace(/^\[|\]$/g, '')
  const authority = `${hostname}:${port === '' ? (isSecure ? 443 : 80) : port}`
  return (_: unknown, connected: Connected): undefined => {
    const open = async (): Promise<void> => {
      const { url, certificates } = await door()
      const socket = await tunnel(url, authority)
      if (!isSecure) return connected(null, socket)
      const secured = connectTls({
        socket,
        secureContext: trustContext({ ca: certificates }),
        ALPNProtocols: ['http/1.1'],
        ...(!isAddress(host) && { servername: host }),
        host,
      })
      secured.once('error', connected)
      secured.once('secureConnect', () => {
        secured.removeListener('error', connected)
        connected(null, secured)
      })
      return undefined
    }
    open().catch((error: unknown) => connected(error instanceof Error ? error : new Error(errorText(error))))
    return undefined
  }
}

function isAddress(host: string): boolean {
  return host.includes(':') || /^[\d.]+$/.test(host)
}

/** Asks the mitm for a tunnel. */
function tunnel(mitm: string, authority: string): Promise<Duplex> {
  return new Promise((resolve, reject) => {
    const headers = { host: authority, [TEST_FIELD]: BY_HANDLER }
    const asked = httpRequest(mitm, { method: 'CONNECT', path: authority, headers, agent: false })
    asked.once('connect', ({ statusCode }, socket, head) => {
      if (statusCode !== 200) {
        socket.destroy()
        reject(new Error(`Cannot connect to ${authority}: the mitm answered ${statusCode}, expected 200`))
        return
      }
      if (head.length > 0) socket.unshift(head)
      resolve(socket)
    })
    asked.once('error', reject)
    asked.end()
  })
}
