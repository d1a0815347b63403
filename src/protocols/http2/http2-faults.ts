/** What goes wrong with frames on purpose: the parts of faults of the stage `http2`. */
import type { Fault, FaultFeed, FaultyHttp2Frame, Http2Part } from '../../fault.ts'
import { isOpenEnded } from '../http/messages.ts'
import type { BridgedExchange } from './bridged-exchange.ts'
import { writeFaultyFrame } from './faulty-frame-write.ts'
import { ERROR_CODE, FLAG, FRAME } from './frame.ts'
import { mishapOfGoAway, noteSentAgain } from './sent-again.ts'

/** Where the number of the stream is in the head of a frame. */
const STREAM_AT = 5

/** A part that acts, and the fault that it is of. */
interface Injected {
  readonly failure: Http2Part['failure']
  readonly fault: Fault
}

/**
 * Does what the faults want of frames: before a request goes on or is answered, or when they come while it is under way.
 * Never rejects.
 *
 * @returns Whether that was the end of the exchange.
 */
export async function injectHttp2Faults(of: BridgedExchange, feed: FaultFeed): Promise<boolean> {
  let inPlace: { readonly octets: Buffer; readonly fault: Fault } | undefined
  for (const { failure, fault } of failuresOf(feed)) {
    const note = (): void => of.bridge.connection.flow.noteFault(fault, of.exchange)
    switch (failure.kind) {
      case 'goAway':
        note()
        goAway(of, failure.code)
        break
      case 'settings':
        note()
        of.bridge.settings?.add(fault, failure.settings, feed)
        break
      case 'withhold':
        note()
        withhold(of, failure.frame, fault, feed)
        break
      case 'frames':
        inPlace ??= { octets: octetsOf(failure.frames, of), fault }
        break
      case 'octets':
        inPlace ??= { octets: failure.octets, fault }
    }
  }
  if (inPlace) await sendInPlace(of, inPlace.octets, inPlace.fault, feed)
  return of.isOver
}

function octetsOf(frames: readonly FaultyHttp2Frame[], { stream }: BridgedExchange): Buffer {
  return Buffer.concat(frames.map((frame) => writeFaultyFrame(frame, stream.id)))
}

/** GOAWAY, and no more than that: the exchange goes on. */
function goAway(of: BridgedExchange, code: number): void {
  const { bridge } = of
  const mishap = mishapOfGoAway(code)
  // Nothing is refused by it, but browsers leave at once where HTTP/1.1 is demanded.
  if (mishap === 'http1Demanded') noteSentAgain(bridge.open, mishap, of)
  for (const { exchange } of bridge.open) if (exchange.http2) exchange.http2.goAwayCode = code
  bridge.goAway(code, undefined, undefined, 'fault')
}

/** Sends octets in place of the response, when the request has come whole. */
async function sendInPlace(of: BridgedExchange, octets: Buffer, fault: Fault, feed: FaultFeed): Promise<void> {
  const { exchange, bridge, stream } = of
  const { request } = exchange
  if (!isOpenEnded(request)) await request.whenComplete()
  if (of.isOver || stream.headersSent || !feed.faults.some((each) => each.fault === fault)) return
  bridge.connection.flow.noteFault(fault, exchange)
  bridge.isFaulty = true
  bridge.output.inject(octets)
  of.end('fault')
  abandon(of)
}

/** Ends the streams of an exchange on both sides, and tells the client nothing of that. */
export function abandon({ bridge, stream, request }: BridgedExchange): void {
  bridge.output.silence(stream.id)
  request.abort(ERROR_CODE.cancel)
  stream.close(ERROR_CODE.cancel)
}

/** Holds frames back until the exchange is over, or the fault is removed: then they are sent after all. */
function withhold(of: BridgedExchange, frame: 'WINDOW_UPDATE' | 'PING', fault: Fault, feed: FaultFeed): void {
  const { bridge, stream, signal } = of
  const { output } = bridge
  const isPing = frame === 'PING'
  const isHeld = (type: number, streamId: number, flags: number): boolean =>
    isPing
      ? type === FRAME.ping && (flags & FLAG.ack) !== 0
      : type === FRAME.windowUpdate && (streamId === 0 || streamId === stream.id)
  const held: Buffer[] = []
  const remove = output.filter(
    (type, streamId, flags) => (isHeld(type, streamId, flags) ? 'hold' : 'pass'),
    (octets) => {
      held.push(octets)
      if (isPing) bridge.heldPings++
    },
  )
  const release = (): void => {
    stop()
    signal.removeEventListener('abort', release)
    remove()
    if (isPing) bridge.heldPings -= held.length
    for (const octets of held) {
      // Of a stream that is over there is nothing left to say, but its octets count for the connection as well.
      if (isPing || !of.isOver || octets.readUInt32BE(STREAM_AT) === 0) output.inject(octets)
    }
  }
  const stop = feed.subscribe(() => {
    if (!feed.faults.some((each) => each.fault === fault)) release()
  })
  if (signal.aborted) release()
  else signal.addEventListener('abort', release)
}

function failuresOf(feed: FaultFeed): readonly Injected[] {
  return feed.faults.flatMap(({ fault }) =>
    fault.parts.filter((part): part is Http2Part => part.stage === 'http2').map(({ failure }) => ({ failure, fault })),
  )
}
