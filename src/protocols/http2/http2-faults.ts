/** What goes wrong with frames on purpose: the parts of faults of the stage `http2`. */
import type { ServerHttp2Session } from 'node:http2'

import type { Side } from '../../errors.ts'
import type { Fault, FaultFeed, Http2Cut, Http2Part } from '../../fault.ts'
import type { BridgedExchange } from './bridged-exchange.ts'
import { ERROR_CODE, FLAG, FRAME, FRAME_HEAD_BYTES } from './frame.ts'
import { writeGoAway, writeReset, writeWindowUpdate } from './frame-write.ts'

/** A part that acts, and the fault that it is of. */
interface Injected {
  readonly failure: Http2Part['failure']
  readonly fault: Fault
}

/**
 * Does what the faults want of frames before a request goes on or is answered.
 *
 * @returns Whether that was the end of the exchange.
 */
export async function injectHttp2Faults(of: BridgedExchange, feed: FaultFeed): Promise<boolean> {
  const all = failuresOf(feed)
  if (all.length === 0) return false
  const { exchange, bridge } = of
  // Frames in place of a response: the request has come whole before.
  const frames = all.find((each) => each.failure.kind === 'frames')
  if (frames?.failure.kind === 'frames') {
    if (!(await exchange.request.whenOver()) || of.isOver) return true
    bridge.connection.flow.noteFault(frames.fault, exchange)
    const id = of.stream.id ?? 0
    bridge.gate.inject(frames.failure.octets(id))
    silence(of)
    of.end('fault')
    return true
  }
  for (const { failure, fault } of all) {
    bridge.connection.flow.noteFault(fault, exchange)
    if (failure.kind === 'goAway') bridge.goAway(failure.code)
    else if (failure.kind === 'settings') applySettings(bridge.session, failure.settings)
    else if (failure.kind === 'withhold')
      withhold(of, failure.frame, () => failuresOf(feed).some((each) => each.fault === fault), feed)
  }
  return of.isOver
}

/** Nothing more is said of a stream. */
function silence(of: BridgedExchange): void {
  const { id } = of.stream
  const remove = of.bridge.gate.filter((_, streamId) => (streamId === id ? 'drop' : 'pass'))
  // A number is never used again: with the stream goes all that could be said of it.
  of.stream.once('close', () => setImmediate(remove))
}

/** Ends an exchange by RST_STREAM or GOAWAY, which the session itself would not send, or not so. */
export function cutByFrames(of: BridgedExchange, side: Side, cut: Http2Cut): void {
  const { exchange, bridge, stream } = of
  const id = stream.id ?? 0
  if (exchange.http2 && cut.kind === 'reset') exchange.http2.resetCode = cut.code
  of.end('fault')
  if (cut.kind === 'reset' && side === 'server') {
    of.request.abort(cut.code)
    if (!stream.closed) stream.close(cut.code)
    return
  }
  of.request.abort(ERROR_CODE.cancel)
  bridge.gate.inject(
    cut.kind === 'reset'
      ? writeReset(id, cut.code)
      : writeGoAway(cut.last === 'before' ? Math.max(0, id - 2) : cut.last, cut.code),
  )
  silence(of)
  if (!stream.closed) stream.close(ERROR_CODE.cancel)
  if (cut.kind === 'goAway') bridge.drainSoon()
}

function applySettings(session: ServerHttp2Session | undefined, settings: Readonly<Record<string, number>>): void {
  if (session && !session.destroyed) session.settings(settings)
}

/** Holds frames back until the exchange is over, or the fault is removed: then what they would have said is said at once. */
function withhold(of: BridgedExchange, frame: 'WINDOW_UPDATE' | 'PING', isThere: () => boolean, feed: FaultFeed): void {
  const { gate } = of.bridge
  const { id } = of.stream
  const type = frame === 'PING' ? FRAME.ping : FRAME.windowUpdate
  const held = new Set<number>()
  const remove = gate.filter((actual, streamId, flags) => {
    if (actual !== type || (frame === 'PING' && (flags & FLAG.ack) === 0)) return 'pass'
    if (frame === 'WINDOW_UPDATE' && streamId !== id && streamId !== 0) return 'pass'
    held.add(streamId)
    return 'drop'
  })
  const restore = (): void => {
    stop()
    of.signal.removeEventListener('abort', restore)
    remove()
    if (frame === 'PING') return
    // As much as a window can be opened by, in any state of it.
    for (const streamId of held)
      if (streamId === 0 || !of.isOver) gate.inject(writeWindowUpdate(streamId, RESTORED_BYTES))
  }
  const stop = feed.subscribe(() => {
    if (!isThere()) restore()
  })
  of.signal.addEventListener('abort', restore)
}

/** A window that is opened by this much more does not overflow, whatever it was (RFC 9113 section 6.9.1). */
const RESTORED_BYTES = 2 ** 30 - FRAME_HEAD_BYTES

function failuresOf(feed: FaultFeed): readonly Injected[] {
  return feed.faults.flatMap(({ fault }) =>
    fault.parts.filter((part): part is Http2Part => part.stage === 'http2').map(({ failure }) => ({ failure, fault })),
  )
}
