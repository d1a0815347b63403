/** At which moments the parts of faults act: before there is a request, or on exchanges. */
import type { Exchange } from '../exchange.ts'
import type { Fault, FaultPart } from '../fault.ts'
import type { ConnectionMoment } from '../middleware.ts'
import { isWebSocketHandshake } from '../web-socket-handshake.ts'
import type { Act } from './act.ts'

/** Where the faults of a rule are wanted. */
export type FaultMoment = ConnectionMoment['stage'] | 'passthrough' | 'late' | 'exchange' | 'exchangeUndialled'

const PARTS_OF: Readonly<Record<FaultMoment, (part: FaultPart) => boolean>> = {
  tunnel: ({ stage }) => stage === 'dial' || stage === 'tunnel',
  tls: ({ stage }) => stage === 'tls',
  // A handshake that is not the mitm's to do can only be late, or not be.
  passthrough: isForAnyHandshake,
  relay: isForOctets,
  // In an exchange that is under way.
  late: ({ stage }) => stage === 'cut' || stage === 'pace' || stage === 'webSocket' || stage === 'http2',
  // In a connection for which it was decided already whether the server can be reached.
  exchange: isForExchanges,
  exchangeUndialled: (part) => part.stage === 'dial' || isForExchanges(part),
}

/** What of a fault acts at a moment; undefined when nothing does. */
export function faultAt(moment: FaultMoment, fault: Fault): Fault | undefined {
  let parts = fault.parts.filter((part) => PARTS_OF[moment](part))
  // What has words of its own for exchanges means connections with the others.
  if (moment === 'exchangeUndialled' && parts.some(isForExchanges)) parts = parts.filter(isForExchanges)
  if (parts.length === 0) return undefined
  return parts.length === fault.parts.length ? fault : { ...fault, parts }
}

/** Whether a fault at a moment leaves nothing for older rules: one failure in place of what would have been. */
export function isDecisiveAt(moment: ConnectionMoment['stage'], fault: Fault): boolean {
  if (moment === 'tunnel') return fault.parts.some((part) => part.stage === 'dial' || isTunnelFailure(part))
  return moment === 'tls' && fault.parts.some(isTlsFailure)
}

/** Whether the client's TLS handshake breaks off, so that browsers try it once more by themselves. */
export function breaksHandshake(fault: Fault): boolean {
  return fault.parts.some(
    (part) =>
      part.stage === 'tls' &&
      !['certificate', 'delay', 'stall'].includes(part.failure.kind) &&
      !(part.failure.kind === 'alert' && FINAL_ALERTS.has(part.failure.code)),
  )
}

/**
 * The alerts that Chromium takes for an answer (measured with version 147): those about certificates (42 to 46, 48, 116) and
 * unrecognized_name (112).
 */
const FINAL_ALERTS: ReadonlySet<number> = new Set([42, 43, 44, 45, 46, 48, 112, 116])

/** What kinds of things acts do. */
export interface ActProfile {
  /** Anything that is done to exchanges, beside not reaching the server. */
  readonly forExchanges: boolean
  readonly dial: boolean
  readonly tunnel: boolean
  readonly tls: boolean
  /** Of `tls`, what needs no look into it. */
  readonly passthrough: boolean
  /** Whether anything of it can be done where TLS is not opened. */
  readonly isForClosedTls: boolean
  readonly relay: boolean
  /** Anything that is done to open WebSockets. */
  readonly webSocket: boolean
  /** Whether nothing of it is for anything but WebSockets, and their handshakes. */
  readonly isForWebSockets: boolean
  /** Faults that are for HTTP/2, whatever others come to by them. */
  readonly http2: boolean
  /** Whether nothing of it is for anything but exchanges by HTTP/2. */
  readonly isForHttp2: boolean
  /** Faults that there are in HTTP/1 only: malformed heads, and octets that are none. */
  readonly http1: boolean
  /** Faults that break messages off. */
  readonly cut: boolean
  /** Whether connections fail by it before there is a request. */
  readonly breaksConnections: boolean
  /** Whether connections that are kept would hide it: they fail, or are only late, by it. */
  readonly isForNewConnections: boolean
}

/** Sums up what acts do. */
export function profileOf(acts: readonly Act[]): ActProfile {
  const parts = acts.flatMap((act) => (act.kind === 'fault' ? act.fault.parts : []))
  const has = (stage: FaultPart['stage']): boolean => parts.some((part) => part.stage === stage)
  const forExchanges = acts.some((act) => act.kind !== 'fault') || parts.some(isForExchanges)
  const breaksConnections = has('dial') || parts.some(isEarlyFailure)
  return {
    forExchanges,
    dial: has('dial'),
    tunnel: has('tunnel'),
    tls: has('tls'),
    passthrough: parts.some(isForAnyHandshake),
    isForClosedTls: acts.some((act) => !needsOpenedTls(act)),
    relay: parts.some(isForOctets),
    webSocket: has('webSocket') || acts.some(({ kind }) => kind === 'webSocket'),
    isForWebSockets: acts.length > 0 && acts.every(isForWebSockets),
    http2: acts.some((act) => act.kind === 'fault' && act.fault.http2 !== undefined),
    isForHttp2: acts.length > 0 && acts.every(isForHttp2),
    http1: has('head') || parts.some((part) => part.stage === 'answer' && part.answer.kind === 'raw'),
    cut: has('cut'),
    breaksConnections,
    isForNewConnections: breaksConnections || (!forExchanges && (has('tunnel') || has('tls'))),
  }
}

/** Whether an act is for WebSockets, and their handshakes, alone. */
export function isForWebSockets(act: Act): boolean {
  return act.kind === 'webSocket' || (act.kind === 'fault' && act.fault.isForWebSockets === true)
}

/** Whether an act is for exchanges by HTTP/2 alone. */
export function isForHttp2(act: Act): boolean {
  return act.kind === 'fault' && act.fault.http2 === 'needed'
}

/** Whether nothing of what these acts do is for an exchange like this one, if there is anything. */
export function isForOthers(profile: ActProfile, exchange: Exchange): boolean {
  return (profile.isForWebSockets && !isWebSocketHandshake(exchange)) || (profile.isForHttp2 && !exchange.http2)
}

/** Whether an act can only be done where TLS is opened: it reads or writes HTTP, or what is in a handshake. */
export function needsOpenedTls(act: Act): boolean {
  return act.kind !== 'fault' || !act.fault.parts.some((part) => isForClosedTls(part) || isForAnyHandshake(part))
}

/** Whether it does not matter for a part what passes. */
function isForClosedTls(part: FaultPart): boolean {
  return part.stage === 'dial' || part.stage === 'tunnel' || isForOctets(part)
}

/** Whether a part can act on octets of which nothing is known. */
function isForOctets(part: FaultPart): boolean {
  return part.stage === 'pace' || (part.stage === 'cut' && part.http2 === undefined)
}

function isForAnyHandshake(part: FaultPart): boolean {
  return part.stage === 'tls' && !['certificate', 'version', 'requireClientCertificate'].includes(part.failure.kind)
}

function isTunnelFailure(part: FaultPart): boolean {
  return part.stage === 'tunnel' && part.reply.kind !== 'delay'
}

function isTlsFailure(part: FaultPart): boolean {
  return part.stage === 'tls' && part.failure.kind !== 'delay'
}

/**
 * Why a fault cannot be injected by a filter, in words: it could do nothing, or not what is meant.
 *
 * @param unknown - The keys of the filter that cannot be known before there is a request.
 */
export function problemBeforeRequest(fault: Fault, unknown: readonly string[]): string | undefined {
  const isForLater = (part: FaultPart): boolean => part.stage === 'dial' || isForExchanges(part)
  if (unknown.length === 0 || (fault.parts.some(isForLater) && !fault.parts.some(isEarlyFailure))) return undefined
  return (
    `${fault.name} acts before there is a request, when the ${unknown.join(', ')} of the filter cannot be known; ` +
    "expected a filter such as { host: 'pay.test' } or 'https://pay.test/**'"
  )
}

function isEarlyFailure(part: FaultPart): boolean {
  return isTunnelFailure(part) || isTlsFailure(part)
}

function isForExchanges({ stage }: FaultPart): boolean {
  return stage !== 'dial' && stage !== 'tunnel' && stage !== 'tls'
}
