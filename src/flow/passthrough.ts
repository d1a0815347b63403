/** TLS that is not opened (the options `passthrough` and `intercept`): relayed octet for octet, and what it says in the clear recorded. */
import { isIP } from 'node:net'

import { MitmError } from '../errors.ts'
import { authorityOf } from '../protocol.ts'
import type { Destination } from '../protocol.ts'
import { injectTunnelFaults } from '../tunnel-faults.ts'
import type { ClientHello } from '../tls/client-hello.ts'
import { passthroughTlsFacts } from '../tls/facts.ts'
import { fatalAlert } from '../tls/secure-server.ts'
import { ServerHelloReader } from '../tls/server-hello.ts'
import { TLS_ALERTS } from '../tls-alert.ts'
import type { LiveConnection } from './live-connection.ts'
import { relay } from './relay.ts'
import type { RelayTaps } from './relay.ts'
import { injectTlsFaults } from './tls-faults.ts'

/** Where TLS leads for which no tunnel was asked: by its SNI, and the port that is TLS's own. */
const TLS_PORT = 443

/**
 * Where TLS is to be passed through to; undefined when it is to be opened.
 *
 * Outside of a tunnel only SNI can say where it leads. A client that asks for `localhost` there means this proxy, and so
 * does one that asks for nobody.
 */
export function passthroughDestination(live: LiveConnection, { serverName }: ClientHello): Destination | undefined {
  const { connection, context } = live
  if (context.tlsSelection.opensAll) return undefined
  const inTunnel = connection.destination
  if (!inTunnel && (serverName === undefined || /^(?:.*\.)?localhost$/i.test(serverName))) return undefined
  const names = [serverName, inTunnel?.host].filter((name) => name !== undefined)
  const { host, port } = inTunnel ?? { host: names[0] ?? '', port: TLS_PORT }
  return context.tlsSelection.passesThrough(names, port) ? { host, port, tls: true } : undefined
}

/**
 * Relays a client's TLS to its server and back, to its end. Of the faults of rules, those act that need not look into it:
 * of dialling, of handshakes that break off or are late, cuts and paces.
 *
 * @param octets - All that the client has sent of its TLS so far.
 * @throws {@link MitmError} as `connection.open`; what a middleware refuses it with; `MITM_SERVER_TLS_FAILED` when the
 *   option `hosts` leads it to a server without TLS. The client has got an alert.
 */
export async function passThrough(
  live: LiveConnection,
  destination: Destination,
  octets: Buffer,
  hello: ClientHello,
): Promise<void> {
  const { connection } = live
  const isTunnelled = connection.destination !== undefined
  connection.destination = destination
  connection.protocol = undefined
  connection.layers.push('tls-passthrough')
  connection.clientTls = connection.serverTls = passthroughTlsFacts(hello)
  connection.bytes.fromClient += octets.length
  await live.context.pipeline.observe('connectionChanged', connection)
  // A client that looked the name up itself asks for a tunnel to an address; rules know the name.
  const named = isIP(destination.host) && hello.serverName ? { ...destination, host: hello.serverName } : destination
  try {
    if (!isTunnelled && (await injectTunnelFaults(connection, destination))) return
    if ((await injectTlsFaults(live, named, hello, true)) === 'over') return
    const refusal = live.interceptConnection({ stage: 'relay', destination: named, isPassthrough: true })?.refuse
    if (refusal) throw refusal
    demandTls(live, destination)
    await live.whileClientWaits(() => live.open(destination, true))
  } catch (error) {
    live.clientStream.write(fatalAlert(TLS_ALERTS.internal_error))
    throw error
  }
  await relay(connection, octets, tapsOf(live, hello))
}

/** `hosts` may change the scheme of what is decrypted, but not of this. */
function demandTls(live: LiveConnection, destination: Destination): void {
  if (live.wantsTls(destination)) return
  const authority = authorityOf(destination)
  const text = `Cannot pass TLS through to ${authority}: the option hosts leads it to a server without TLS, expected host:port or an https:// URL there`
  throw new MitmError('MITM_SERVER_TLS_FAILED', text, { side: 'server', authority })
}

/** Counts octets and reads the server's hello; the hooks for octets are not for what cannot be read. */
function tapsOf({ connection, context }: LiveConnection, hello: ClientHello): RelayTaps {
  const reader = new ServerHelloReader()
  const read = (chunk: Buffer): void => {
    const choice = reader.add(chunk)
    if (!choice) return
    connection.clientTls = connection.serverTls = passthroughTlsFacts(hello, choice)
    void context.pipeline.observe('connectionChanged', connection)
  }
  return {
    client(chunk) {
      connection.bytes.fromClient += chunk.length
      return chunk
    },
    server(chunk) {
      connection.bytes.fromServer += chunk.length
      if (!reader.isOver) read(chunk)
      return chunk
    },
  }
}
