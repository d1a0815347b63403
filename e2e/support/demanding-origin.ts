/** A server that demands a certificate of its clients, and says whom it takes them for. */
import { createServer } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { identityFor, originAuthority } from '../../src/testing/identity.ts'
import type { Identity } from '../../src/testing/identity.ts'

/** A running server. */
export interface DemandingOrigin extends AsyncDisposable {
  readonly port: number
  /** Whom its clients were, in the order of their requests. */
  readonly seen: readonly string[]
}

/** A certificate that the server accepts, and its key. */
export function identity(commonName: string): Promise<Identity> {
  return identityFor(commonName)
}

/** The authority that signs the server's certificate, in PEM. */
export async function authorityOfOrigins(): Promise<string> {
  return (await originAuthority()).certificate
}

/** Starts a server for `hostname` on a free port of the loopback interface. */
export async function startDemandingOrigin(hostname: string): Promise<DemandingOrigin> {
  const seen: string[] = []
  const sockets = new Set<Socket>()
  const options = { ...(await identityFor(hostname)), ca: await authorityOfOrigins(), requestCert: true }
  const server = createServer(options, ({ socket }, response) => {
    // Boundary: this server speaks TLS alone.
    const { CN } = (socket as TLSSocket).getPeerCertificate().subject
    seen.push(String(CN))
    response.setHeader('content-type', 'text/html').end(`<h1>${CN}</h1><link rel="icon" href="data:,">`)
  })
  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.on('error', () => undefined)
  })
  server.on('tlsClientError', () => undefined)
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve)
  })
  return {
    // A server that listens on a port has an address with one.
    port: (server.address() as AddressInfo).port,
    seen,
    async [Symbol.asyncDispose]() {
      await new Promise<void>((resolve) => {
        server.close(() => resolve())
        for (const socket of sockets) socket.destroy()
      })
    },
  }
}
