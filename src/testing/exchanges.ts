/** Exchanges made by hand, for tests of filters and rules. */
import { Connection } from '../connection.ts'
import { Exchange, HttpRequest, HttpResponse } from '../exchange.ts'
import type { ExchangeEndReason, Field } from '../exchange.ts'

/** What an exchange is made of. */
export interface ExchangeParts {
  readonly method?: string
  readonly url?: string
  readonly fields?: readonly Field[]
  /** Up to 1000 octets of it are kept. */
  readonly body?: string | Buffer
  readonly httpVersion?: string
  /** Whether the request has come whole. @defaultValue `true` */
  readonly isComplete?: boolean
  /** The status of its response. @defaultValue none yet */
  readonly status?: number
  /** The names of faults that acted on it. */
  readonly faults?: readonly string[]
  readonly endReason?: ExchangeEndReason
  readonly connection?: Connection
}

/** Makes an exchange: `GET https://api.test/a` unless told otherwise. */
export function exchangeOf(parts: ExchangeParts = {}): Exchange {
  const { method = 'GET', url = 'https://api.test/a', fields = [], httpVersion = 'HTTP/1.1' } = parts
  const request = new HttpRequest({ method, url, target: '/', httpVersion, fields })
  request.keepBody(1000)
  if (parts.body !== undefined) request.addBody(Buffer.from(parts.body))
  if (parts.isComplete !== false) request.finish()
  const exchange = new Exchange(parts.connection ?? new Connection(), request)
  if (parts.status !== undefined) {
    exchange.response = new HttpResponse({ status: parts.status, statusText: '', httpVersion, fields: [] })
  }
  exchange.faults.push(...(parts.faults ?? []).map((name) => ({ name, text: name, at: 0 })))
  exchange.endReason = parts.endReason
  return exchange
}

/** A connection that came by one of the doors. */
export function connectionBy(door: 'browser' | 'http-proxy' | 'test'): Connection {
  const connection = new Connection()
  if (door === 'browser') connection.layers.push('socks5')
  connection.isFromTest = door === 'test'
  return connection
}
