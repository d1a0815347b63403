/** One exchange of a gateway: a request of HTTP/1.1 as HTTP/2 has it, and its response as HTTP/1.1 has it (RFC 9113 section 8). */
import { STATUS_CODES } from 'node:http'

import type { Field } from '../../exchange.ts'
import type { MaybePromise } from '../../internal/maybe-promise.ts'
import type { Destination } from '../../protocol.ts'
import { authorityOf } from '../../protocol.ts'
import { hasNoBody } from '../http/messages.ts'
import { lastChunk, writeChunk } from '../http1/chunked.ts'
import type { HeadFacts } from '../http1/framer.ts'
import { parseRequestHead, parseTarget } from '../http1/head.ts'
import { withChunkedBody, writeResponseHead } from '../http1/write.ts'
import { acceptKey } from '../websocket/handshake.ts'
import { http2Fields } from './bridge-fields.ts'
import type { BridgedRequestHead, BridgedResponseHead, ResponseHandlers, ServerRequest } from './bridge-server.ts'

/** Where the octets of a response go. */
export interface ResponseOctets {
  /** Takes octets; a promise when the sender has to wait. */
  give(octets: Buffer): MaybePromise<void>
  /** The response is over. `closes`: its end is that of the connection. */
  over(closes: boolean): void
  /** The response breaks off. */
  broken(): void
}

/** One exchange. */
export class GatewayExchange implements ResponseHandlers {
  /** What is sent to the server. */
  readonly sent: BridgedRequestHead
  readonly hasBody: boolean
  /** Resolves when the response is over. */
  readonly answered: Promise<void>
  request: ServerRequest | undefined
  /** Whether it has become a WebSocket: octets pass from then on. */
  isTunnel = false
  readonly #to: ResponseOctets
  readonly #facts: HeadFacts
  /** The `Sec-WebSocket-Key` of a handshake, which the server is not told. */
  readonly #key: string | undefined
  #isChunked = false
  #closes = false
  #answer: () => void = () => undefined

  constructor(octets: Buffer, facts: HeadFacts, destination: Destination, to: ResponseOctets) {
    const { method, target, fields } = parseRequestHead(octets)
    const isWebSocket = facts.upgrade?.toLowerCase() === 'websocket'
    const parsed = parseTarget(target, method)
    this.#to = to
    this.#facts = facts
    this.#key = isWebSocket ? (valueOf(fields, 'sec-websocket-key') ?? '') : undefined
    this.hasBody = facts.hasBody || isWebSocket
    this.sent = {
      method: isWebSocket ? 'CONNECT' : method,
      scheme: destination.tls ? 'https' : 'http',
      authority: facts.host ?? authorityOf(destination),
      path: 'path' in parsed ? parsed.path : target,
      protocol: isWebSocket ? 'websocket' : undefined,
      // The authority is told by itself; the key is none of HTTP/2 (RFC 8441 section 5).
      fields: http2Fields(fields).filter(([name]) => name !== 'host' && !(isWebSocket && name === 'sec-websocket-key')),
    }
    this.answered = new Promise((resolve) => {
      this.#answer = resolve
    })
  }

  /** Answers in place of a server that cannot be asked. */
  refuse(status: number, text: string): void {
    const body = Buffer.from(`playwright-mitm: ${text}\n`)
    const fields: readonly Field[] = [
      ['content-type', 'text/plain; charset=utf-8'],
      ['content-length', String(body.length)],
    ]
    const head = headOf(status, fields)
    void this.#to.give(this.#facts.method === 'HEAD' ? head : Buffer.concat([head, body]))
    this.#over()
  }

  /** Nobody waits for it any more. */
  close(): void {
    this.#answer()
  }

  interim({ status, fields }: BridgedResponseHead): void {
    // HTTP/1.0 has none (RFC 9110 section 15.2).
    if (!this.#facts.isHttp10) void this.#to.give(headOf(status, fields))
  }

  head({ status, fields }: BridgedResponseHead, isWhole: boolean): MaybePromise<void> {
    if (this.#key !== undefined && status >= 200 && status <= 299) {
      this.isTunnel = true
      const upgrade: readonly Field[] = [
        ['upgrade', 'websocket'],
        ['connection', 'Upgrade'],
        ['sec-websocket-accept', acceptKey(this.#key)],
      ]
      return this.#to.give(headOf(101, [...upgrade, ...fields]))
    }
    const isSized = fields.some(([name]) => name === 'content-length')
    const isBodiless = hasNoBody(this.#facts.method, status)
    const isOpenEnded = !isSized && !isBodiless
    this.#isChunked = isOpenEnded && !this.#facts.isHttp10
    this.#closes = isOpenEnded && this.#facts.isHttp10
    const close: readonly Field[] = this.#closes ? [['connection', 'close']] : []
    const wait = this.#to.give(headOf(status, this.#isChunked ? withChunkedBody(fields) : [...fields, ...close]))
    if (isWhole) this.end([])
    return wait
  }

  data(octets: Buffer): MaybePromise<void> {
    if (octets.length === 0) return undefined
    return this.#to.give(this.#isChunked ? writeChunk(octets) : octets)
  }

  end(trailers: readonly Field[]): void {
    if (this.#isChunked) void this.#to.give(lastChunk(trailers))
    this.#over()
  }

  failed(): void {
    this.#answer()
    this.#to.broken()
  }

  #over(): void {
    this.#answer()
    this.#to.over(this.#closes || this.isTunnel)
  }
}

function headOf(status: number, fields: readonly Field[]): Buffer {
  return writeResponseHead({ status, statusText: STATUS_CODES[status] ?? '', fields })
}

function valueOf(fields: readonly Field[], wanted: string): string | undefined {
  return fields.find(([name]) => name.toLowerCase() === wanted)?.[1]
}
