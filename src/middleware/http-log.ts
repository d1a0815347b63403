/** Writes a line for every HTTP message. */
import type { Connection } from '../connection.ts'
import type { Exchange } from '../exchange.ts'
import type { Middleware } from '../middleware.ts'
import { bytesText, lineWriter, pair } from './log.ts'
import type { LogOptions } from './log.ts'

/** Longest URL that is written whole. */
const MAX_URL = 500

/**
 * Makes a middleware that writes a line for each HTTP request, when it is complete, and for each response or the reason
 * why there was none, when the exchange is over:
 *
 * ```text
 * c1.1 > POST https://pay.test/charge 17 bytes
 * c1.1 < 201 Created POST https://pay.test/charge 42 bytes in 35 ms
 * c1.2 > GET https://pay.test/slow 0 bytes
 * c1.2 < server-reset GET https://pay.test/slow 0 bytes in 12 ms
 * 127.0.0.1:5000 -> 10.0.0.1:5432 512 bytes of non-HTTP data
 * ```
 *
 * The number in front is the exchange's `id`. It has no data hooks: what is not HTTP, partial or binary passes beside
 * it, and is told of in one line for each direction when a connection ends that had no exchange.
 *
 * @example
 * ```ts
 * import { httpLog, Mitm } from 'playwright-mitm/core'
 *
 * const mitm = new Mitm({ middlewares: [httpLog()] })
 * ```
 */
export function httpLog(options: LogOptions = {}): Middleware {
  const write = lineWriter(options)
  return {
    name: 'httpLog',
    requestEnded(exchange) {
      write(`${exchange.id} > ${requestText(exchange)} ${bytesText(exchange.request.bodySize)}`)
    },
    exchangeEnded(exchange) {
      const size = bytesText(exchange.response?.bodySize ?? 0)
      const ms = Math.round(exchange.timings.endMs ?? exchange.elapsedMs())
      write(`${exchange.id} < ${outcomeText(exchange)} ${requestText(exchange)} ${size} in ${ms} ms`)
    },
    connectionEnded(connection) {
      if (connection.exchangeCount > 0) return
      writeNonHttp(write, connection)
    },
  }
}

function writeNonHttp(write: (line: string) => void, connection: Connection): void {
  const { fromClient, fromServer } = connection.bytes
  if (fromClient > 0) write(`${pair(connection, '->')} ${bytesText(fromClient)} of non-HTTP data`)
  if (fromServer > 0) write(`${pair(connection, '<-')} ${bytesText(fromServer)} of non-HTTP data`)
}

function requestText({ request }: Exchange): string {
  try {
    const url = request.url.length > MAX_URL ? `${request.url.slice(0, MAX_URL)}…` : request.url
    return `${request.method} ${url}`
  } catch {
    return '(a request whose head cannot be read)'
  }
}

function outcomeText(exchange: Exchange): string {
  const { response, endReason = 'pending' } = exchange
  if (!response) return endReason
  let status: string
  try {
    status = `${response.status} ${response.statusText}`.trim()
  } catch {
    status = '(a response whose head cannot be read)'
  }
  const isWhole = endReason === 'complete' || endReason === 'upgraded'
  return isWhole ? status : `${status} (${endReason})`
}
