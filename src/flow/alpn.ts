/** What is offered by ALPN (RFC 7301): to servers what the client offers, to clients what their server has chosen. */
import type { TlsFacts } from '../connection.ts'
import { authorityOf } from '../protocol.ts'
import type { Destination } from '../protocol.ts'
import type { ClientHello } from '../tls/client-hello.ts'
import type { LiveConnection } from './live-connection.ts'

/** More servers than a test speaks to: what is known of them is then found out anew. */
const MAX_KNOWN = 1000

/**
 * What of a client's offer can be relayed. What no protocol speaks is passed on as octets, but for two: `h3`, and `h2` where
 * somebody wants HTTP/1 for certain.
 */
export function relayedAlpn(live: LiveConnection, hello: ClientHello, destination: Destination): readonly string[] {
  const { protocols, pipeline } = live.context
  const isSpoken = (name: string): boolean => protocols.some(({ alpnProtocols }) => alpnProtocols.includes(name))
  const wanted = pipeline.offeredAlpn(destination)
  const isFree = !wanted?.isCertain || wanted.protocols.includes('h2')
  return hello.alpnProtocols.filter((name) => (name !== 'h2' && name !== 'h3') || (isFree && isSpoken(name)))
}

/**
 * What a client may choose from whose server has chosen already: that. But what there is in HTTP/2 only is spoken with the
 * client, whatever its server speaks.
 */
export function alpnAfterServer(
  live: LiveConnection,
  destination: Destination,
  chosen: string | undefined,
): readonly string[] {
  const wanted = live.context.pipeline.offeredAlpn(destination)
  if (wanted?.isCertain) return wanted.protocols
  return chosen === undefined ? [] : [chosen]
}

/**
 * Whether a connection was made when something else was wanted of its host than now, so that it speaks a version of HTTP in
 * which faults cannot act.
 */
export function speaksUnwanted({ connection, context }: LiveConnection): boolean {
  const { destination, clientTls } = connection
  if (!destination || clientTls?.alpn === undefined) return false
  const wanted = context.pipeline.offeredAlpn(destination)
  if (!wanted?.isCertain) return false
  const first = wanted.protocols.find((each) => clientTls.offeredAlpn.includes(each))
  return first !== undefined && first !== clientTls.alpn
}

/**
 * What a client may choose from where its server is not asked first, most wanted first.
 *
 * @param offered - What the client offers.
 */
export function alpnWithoutServer(
  live: LiveConnection,
  destination: Destination,
  offered: readonly string[],
): readonly string[] {
  const { context } = live
  const wanted = context.pipeline.offeredAlpn(destination)
  if (wanted?.isCertain) return wanted.protocols
  // A server that is spoken to in clear knows no ALPN.
  if (live.connection.destination && !live.wantsTls(destination)) return ['http/1.1']
  const chosen = context.chosenAlpn.get(authorityOf(destination))
  // Who does not offer it reaches the server all the same, by way of a gateway.
  if (chosen !== undefined && offered.includes(chosen)) return [chosen]
  return wanted?.protocols ?? ['h2', 'http/1.1']
}

/** Remembers what a server chose. */
export function rememberAlpn(known: Map<string, string>, destination: Destination, chosen: string): void {
  if (known.size >= MAX_KNOWN) known.clear()
  known.set(authorityOf(destination), chosen)
}

/** What a server is offered by ALPN where the client has chosen already: it may know less than a rule could have answered. */
export function lateAlpn(clientTls: TlsFacts | undefined): readonly string[] {
  if (clientTls?.alpn === 'h2') return ['h2', 'http/1.1']
  const alpn = clientTls ? clientTls.alpn : 'http/1.1'
  return alpn === undefined ? [] : [alpn]
}
