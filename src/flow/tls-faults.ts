/** What goes wrong on purpose in the TLS handshake with a client, once its hello has come. */
import { MitmError } from '../errors.ts'
import { holdOpen, waitFor } from '../fault-waits.ts'
import type { Fault, FaultFeed, TlsPart } from '../fault.ts'
import type { ServerFlaws } from '../options.ts'
import type { Destination } from '../protocol.ts'
import type { ClientHello } from '../tls/client-hello.ts'
import { fatalAlert } from '../tls/secure-server.ts'
import type { LiveConnection } from './live-connection.ts'

type Failure = TlsPart['failure']

/** Alerts of RFC 8446 section 6. */
const ACCESS_DENIED = 49
const PROTOCOL_VERSION = 70

/** The names of versions, oldest first. */
const VERSIONS = ['SSLv3', 'TLSv1', 'TLSv1.1', 'TLSv1.2', 'TLSv1.3']

/** A handshake that is done all the same, with a server that is at fault in it. */
export interface FaultyHandshake extends ServerFlaws {
  /** The fault that decides; others may act too. */
  readonly fault: Fault
  /** Whether the client must show a certificate. Any will do. */
  readonly demandsCertificate: boolean
}

/**
 * Lets the faults act that the middlewares want for a TLS handshake. First the delays, one after the other; then the
 * first that leaves no handshake, and if that is removed meanwhile, the next; then those that change it, together.
 *
 * @param destination - Where the client wants to go.
 * @param isPassthrough - Whether the handshake is the server's to do, so that it can only be late, or not be at all.
 * @returns How the handshake is done; undefined as ever; `'over'` when the connection has been ended, which
 *   `connection.endReason` tells.
 * @throws {@link MitmError} what a middleware refuses it with; the client has got an alert.
 */
export async function injectTlsFaults(
  live: LiveConnection,
  destination: Destination,
  hello: ClientHello,
  isPassthrough = false,
): Promise<FaultyHandshake | 'over' | undefined> {
  const { connection } = live
  const wanted = live.interceptConnection({ stage: 'tls', destination, isPassthrough })
  if (wanted?.refuse) {
    live.clientStream.write(fatalAlert(ACCESS_DENIED))
    throw wanted.refuse
  }
  if (!wanted?.faults) return undefined
  const feed = wanted.faults
  const all = failuresOf(feed)
  for (const { failure, fault } of all) {
    if (failure.kind !== 'delay') continue
    live.noteFault(fault)
    const { ms } = failure
    await live.whileClientWaits(() => waitFor(ms, { connection, feed, fault }))
  }
  for (const { failure, fault } of standing(all, feed)) {
    if (!leavesNoHandshake(failure, hello)) continue
    live.noteFault(fault)
    if (failure.kind !== 'stall') {
      connection.end('fault')
      breakOff(live, failure)
      return 'over'
    }
    if (!(await holdOpen({ connection, feed, fault }))) return 'over'
  }
  return isPassthrough ? undefined : changeOf(live, standing(all, feed), hello)
}

/** Whether a failure is instead of a handshake. */
function leavesNoHandshake(failure: Failure, hello: ClientHello): boolean {
  switch (failure.kind) {
    case 'alert':
    case 'octets':
    case 'close':
    case 'reset':
    case 'stall':
      return true
    case 'version':
      return !speaks(hello, failure.max)
    case 'certificate':
    case 'requireClientCertificate':
    case 'delay':
      return false
  }
}

function breakOff(live: LiveConnection, failure: Failure): void {
  if (failure.kind === 'alert') live.clientStream.write(fatalAlert(failure.code))
  else if (failure.kind === 'version') live.clientStream.write(fatalAlert(PROTOCOL_VERSION))
  else if (failure.kind === 'octets') live.clientStream.write(failure.octets)
  else if (failure.kind === 'reset') live.reset('client')
}

function changeOf(live: LiveConnection, all: readonly Injected[], hello: ClientHello): FaultyHandshake | undefined {
  const flaw = find(all, 'certificate')
  const version = find(all, 'version')
  const isOlder = version !== undefined && isNewer(hello, version.failure.max)
  const demand = find(all, 'requireClientCertificate')
  const deciding = flaw ?? demand ?? (isOlder ? version : undefined)
  if (!deciding) return undefined
  for (const each of [flaw, demand, isOlder ? version : undefined]) if (each) live.noteFault(each.fault)
  return {
    fault: deciding.fault,
    flaw: flaw?.failure.flaw,
    maxVersion: version?.failure.max,
    demandsCertificate: demand !== undefined,
  }
}

/**
 * Whether a client may speak a version or one below it. One that lists none but its highest may mean those below it:
 * then the handshake tells.
 */
function speaks({ versions }: ClientHello, max: string): boolean {
  const [only] = versions
  if (versions.length === 1 && only !== undefined && only !== 'TLSv1.3') return true
  return versions.some((version) => VERSIONS.indexOf(version) <= VERSIONS.indexOf(max))
}

/** Whether a client offers a newer version. */
function isNewer({ versions }: ClientHello, max: string): boolean {
  return versions.some((version) => VERSIONS.indexOf(version) > VERSIONS.indexOf(max))
}

/** The error for an authority of the user's own that cannot do what a fault needs. */
export function cannotBeFaulty({ name }: Fault): MitmError {
  return new MitmError(
    'MITM_INVALID_FAULT',
    `Cannot inject the fault ${name}: the option certificateAuthority is an object without faultyContextFor(), expected a CertificateAuthority`,
  )
}

interface Injected<One extends Failure = Failure> {
  readonly failure: One
  readonly fault: Fault
}

function failuresOf(feed: FaultFeed): readonly Injected[] {
  return feed.faults.flatMap(({ fault }) =>
    fault.parts.filter((part): part is TlsPart => part.stage === 'tls').map(({ failure }) => ({ failure, fault })),
  )
}

/** Those that were not removed meanwhile. */
function standing(all: readonly Injected[], feed: FaultFeed): readonly Injected[] {
  return all.filter(({ fault }) => feed.faults.some((injected) => injected.fault === fault))
}

function find<Kind extends Failure['kind']>(
  all: readonly Injected[],
  kind: Kind,
): Injected<Extract<Failure, { kind: Kind }>> | undefined {
  return all.find((each): each is Injected<Extract<Failure, { kind: Kind }>> => each.failure.kind === kind)
}
