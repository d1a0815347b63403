/** Ends exchanges by RST_STREAM and GOAWAY, as cuts say. */
import type { Side } from '../../errors.ts'
import type { CutPart, Http2Cut } from '../../fault.ts'
import type { ExchangeFaults } from '../http/exchange-faults.ts'
import type { BridgedExchange } from './bridged-exchange.ts'
import { writeReset } from './frame-write.ts'
import { abandon } from './http2-faults.ts'
import { mishapOf, mishapOfGoAway, noteSentAgain } from './sent-again.ts'

/** Ends an exchange by a frame that the session itself would not send, or not so. What was sent before has left. */
export function cutByFrames(of: BridgedExchange, faults: ExchangeFaults, cut: CutPart, http2: Http2Cut): void {
  if (http2.kind === 'reset') resetBy(of, cut.side, http2.code)
  else goAwayBy(of, faults, cut, http2)
}

function resetBy(of: BridgedExchange, side: Side, code: number): void {
  const { exchange, bridge, stream, request } = of
  if (exchange.http2) exchange.http2.resetCode = code
  const mishap = mishapOf(code)
  // One for which HTTP/1.1 is demanded takes the others of the connection with it.
  if (mishap === 'http1Demanded') noteSentAgain(bridge.open, mishap, of)
  else if (mishap) noteSentAgain([of], mishap)
  of.end('fault')
  bridge.output.inject(writeReset(stream.id, code))
  if (side === 'server') request.abort(code)
  abandon(of)
}

function goAwayBy(
  of: BridgedExchange,
  faults: ExchangeFaults,
  cut: CutPart,
  { code, last }: Extract<Http2Cut, { kind: 'goAway' }>,
): void {
  const { bridge, stream } = of
  const id = stream.id
  const lastStream = last === 'before' ? Math.max(0, id - 2) : last
  const mishap = mishapOfGoAway(code)
  const beyond = [...bridge.open].filter((each) => each.stream.id > lastStream)
  if (mishap === 'http1Demanded') noteSentAgain(bridge.open, mishap, of)
  else if (mishap) noteSentAgain(beyond, mishap)
  for (const { exchange } of bridge.open) if (exchange.http2) exchange.http2.goAwayCode = code
  bridge.sendGoAway(code, lastStream)
  for (const each of beyond) {
    each.end('fault')
    abandon(each)
  }
  // A stream that was to be opened later may be the last: then this one is answered as ever.
  if (id <= lastStream) faults.client.pass(cut)
  bridge.drainSoon('fault')
}
