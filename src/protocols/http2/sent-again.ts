/** What a browser sends again by itself, without telling the page (measured with Chromium 147). */
import type { Exchange } from '../../exchange.ts'
import type { BridgedExchange } from './bridged-exchange.ts'
import { ERROR_CODE } from './frame.ts'

/** How often a request is sent that is refused each time; then the page is told. */
const TRIES = 3

/**
 * What befell a stream: its connection broke; it was refused, by RST_STREAM or by a GOAWAY that does not cover it; or HTTP/1.1
 * was demanded of it.
 */
export type Mishap = 'connectionLost' | 'refused' | 'http1Demanded'

/** The mishap of a stream that is ended with an error code; undefined when browsers take that for an answer. */
export function mishapOf(code: number): Mishap | undefined {
  if (code === ERROR_CODE.http11Required) return 'http1Demanded'
  return code === ERROR_CODE.refusedStream ? 'refused' : undefined
}

/** The same of a stream that a GOAWAY with this error code does not cover. */
export function mishapOfGoAway(code: number): Mishap | undefined {
  if (code === ERROR_CODE.http11Required) return 'http1Demanded'
  return code === ERROR_CODE.noError ? 'refused' : undefined
}

/**
 * Notes which requests browsers send again by themselves, because something befalls their streams. They are not counted.
 *
 * @param exchanges - Those whose streams it befalls.
 * @param counted - One that is counted, as nothing will befall its next try.
 */
export function noteSentAgain(exchanges: Iterable<BridgedExchange>, mishap: Mishap, counted?: BridgedExchange): void {
  for (const of of exchanges) {
    if (!isSentAgain(of, mishap)) continue
    of.bridge.connection.flow.noteResent(of.exchange)
    if (of !== counted) of.faults?.notCounted()
  }
}

function isSentAgain(of: BridgedExchange, mishap: Mishap): boolean {
  const { exchange, stream, bridge } = of
  if (exchange.source !== 'page' || stream.headersSent || exchange.interim.length > 0) return false
  switch (mishap) {
    case 'connectionLost':
      return bridge.isProven(stream.id)
    case 'refused':
      return refusalsBefore(exchange) < TRIES - 1
    case 'http1Demanded':
      return true
  }
}

function refusalsBefore(exchange: Exchange): number {
  let count = 0
  for (let at = exchange.resentFrom; at; at = at.resentFrom) {
    const { resetCode, goAwayCode } = at.http2 ?? {}
    if (resetCode === ERROR_CODE.refusedStream || goAwayCode === ERROR_CODE.noError) count++
  }
  return count
}
