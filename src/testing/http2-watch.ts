/** An observer of HTTP/2 without a network: tests hand it octets, and look at what it makes of them. */
import { Connection } from '../connection.ts'
import type { ConnectionFlow, ExchangeMoment } from '../connection.ts'
import type { Side } from '../errors.ts'
import type { Exchange, Field } from '../exchange.ts'
import { Host } from '../host.ts'
import { writeHeaders } from '../protocols/http2/frame-write.ts'
import type { HeadersParts } from '../protocols/http2/frame-write.ts'
import { writeFieldBlock } from '../protocols/http2/hpack-encode.ts'
import { Observer } from '../protocols/http2/observer.ts'
import type { WatchTunnel } from '../protocols/http2/stream-ledger.ts'

/** The pseudo-header fields of a GET. */
export function getFields(path: string, ...fields: readonly Field[]): readonly Field[] {
  return [[':method', 'GET'], [':scheme', 'https'], [':authority', 'api.test'], [':path', path], ...fields]
}

/** The pseudo-header fields of a POST. */
export function postFields(path: string, ...fields: readonly Field[]): readonly Field[] {
  return [[':method', 'POST'], ...getFields(path, ...fields).slice(1)]
}

/** HEADERS with these fields. */
export function headers(streamId: number, fields: readonly Field[], parts?: HeadersParts): Buffer {
  return writeHeaders(streamId, writeFieldBlock(fields), parts)
}

/** The head of a response. */
export function responseHeaders(
  streamId: number,
  status: number,
  fields: readonly Field[] = [],
  parts?: HeadersParts,
): Buffer {
  return headers(streamId, [[':status', String(status)], ...fields], parts)
}

/** An observer, and what it has told. */
export class Watch {
  readonly connection: Connection
  readonly observer: Observer
  readonly exchanges: Exchange[] = []
  /** `requestStarted 1`, with the number of the stream. */
  readonly moments: string[] = []

  constructor({ maxHeadBytes = 65_536, watchTunnel }: { maxHeadBytes?: number; watchTunnel?: WatchTunnel } = {}) {
    this.connection = new Connection(new Host(), new Host())
    this.connection.destination = { host: 'api.test', port: 443, tls: true }
    const flow = {
      settings: { maxHeadBytes, maxBodyBytes: 65_536, firstBytesWaitMs: 100, idleTimeoutMs: 1000 },
      signal: new AbortController().signal,
      notify: (moment: ExchangeMoment, exchange: Exchange) => this.#note(moment, exchange),
    }
    // A boundary: an observer asks for nothing else.
    this.connection.attachFlow(flow as unknown as ConnectionFlow)
    this.observer = new Observer(this.connection, watchTunnel)
  }

  /** Hands it octets, in one chunk or in several. */
  see(from: Side, ...chunks: readonly Buffer[]): this {
    for (const chunk of chunks) this.observer.observe(from, chunk)
    return this
  }

  /** What is recorded, in short. */
  get record(): readonly unknown[] {
    return this.exchanges.map(shown)
  }

  #note(moment: ExchangeMoment, exchange: Exchange): void {
    this.moments.push(`${moment} ${exchange.http2?.streamId}`)
    if (moment === 'requestStarted') {
      this.exchanges.push(exchange)
      exchange.request.keepBody(65_536)
    }
    if (moment === 'responseStarted') exchange.response?.keepBody(65_536)
  }
}

function shown({ request, interim, response, endReason, http2, opaqueReason }: Exchange): unknown {
  const { resetCode, goAwayCode, isPushed } = http2 ?? {}
  return {
    request: `${request.method} ${request.url}`,
    fields: request.fields,
    body: request.body.toString('latin1'),
    ...(request.trailers.length > 0 && { requestTrailers: request.trailers }),
    isRequestWhole: request.isComplete,
    ...(interim.length > 0 && { interim: interim.map(({ status }) => status) }),
    ...(response && {
      response: [response.status, response.body.toString('latin1'), response.isComplete],
      ...(response.fields.length > 0 && { responseFields: response.fields }),
      ...(response.trailers.length > 0 && { trailers: response.trailers }),
    }),
    endReason,
    ...(opaqueReason !== undefined && { opaqueReason }),
    ...(resetCode !== undefined && { resetCode }),
    ...(goAwayCode !== undefined && { goAwayCode }),
    ...(isPushed && { isPushed }),
  }
}
