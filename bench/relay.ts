/**
 * What the mitm is compared with: the least that can be done. Takes a CONNECT, terminates TLS, connects to the server in
 * TLS, and pipes. Reads nothing, keeps nothing.
 */
import { createServer } from 'node:net'
import type { AddressInfo, Socket } from 'node:net'
import { connect, createSecureContext, TLSSocket } from 'node:tls'

import type { CertificateAuthority } from '../src/index.ts'
import { HTTP2_HOST } from './messages.ts'

/** Where names really go: a port on the loopback interface. */
export type Routes = (host: string) => number

/** Starts the relay; returns its port. */
export function startRelay(authority: CertificateAuthority, routes: Routes): Promise<number> {
  const trust = createSecureContext({ ca: authority.certificate })

  const accept = async (raw: Socket, head: string): Promise<void> => {
    const host = /^CONNECT ([^:]+):/.exec(head)?.[1] ?? ''
    const secureContext = await authority.contextFor(host)
    raw.write('HTTP/1.1 200 Connection Established\r\n\r\n')
    const ALPNProtocols = host === HTTP2_HOST ? ['h2'] : ['http/1.1']
    const client = new TLSSocket(raw, { isServer: true, secureContext, ALPNProtocols })
    const server = connect({
      host: '127.0.0.1',
      port: routes(host),
      servername: host,
      secureContext: trust,
      ALPNProtocols,
    })
    server.setNoDelay(true)
    client.on('error', () => server.destroy())
    client.on('close', () => server.destroy())
    server.on('error', () => client.destroy())
    server.on('close', () => client.destroy())
    client.pipe(server).pipe(client)
  }

  return new Promise((resolve) => {
    const relay = createServer({ noDelay: true }, (raw) => {
      raw.on('error', () => raw.destroy())
      // The client waits for the answer, so the first octets are the CONNECT and nothing else.
      raw.once('data', (octets) => {
        raw.pause()
        accept(raw, octets.toString('latin1')).catch((error: unknown) => raw.destroy(error as Error))
      })
    })
    // A server that listens on a port has an address of this kind.
    relay.listen(0, '127.0.0.1', () => resolve((relay.address() as AddressInfo).port))
  })
}
