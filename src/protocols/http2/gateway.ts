/**
 * A server that speaks HTTP/2 alone, for a client that speaks HTTP/1.1: octets of HTTP/1.1 go in and come out, one exchange
 * after the other.
 */
import { Duplex } from 'node:stream'

import type { OtherServer } from '../../connection.ts'
import { errorText } from '../../errors.ts'
import type { MaybePromise } from '../../internal/maybe-promise.ts'
import { whenWritable } from '../../internal/writable.ts'
import type { Destination } from '../../protocol.ts'
import { authorityOf } from '../../protocol.ts'
import { Framer } from '../http1/framer.ts'
import type { Part } from '../http1/framer.ts'
import { outgoing } from './bridge-fields.ts'
import type { ServerRequest } from './bridge-server.ts'
import { ERROR_CODE } from './frame.ts'
import { GatewayExchange } from './gateway-exchange.ts'
import type { ResponseOctets } from './gateway-exchange.ts'
import { Http2Server } from './http2-server.ts'

/** How a gateway is made. */
export interface GatewayOptions {
  readonly server: OtherServer
  readonly destination: Destination
  readonly bufferSize: number
  readonly maxHeadBytes: number
}

/** Takes requests and gives responses, as a server of HTTP/1.1 does. Destroying it lets go of the server. */
export class Http2Gateway extends Duplex implements ResponseOctets {
  readonly #destination: Destination
  readonly #server: Http2Server
  readonly #framer: Framer
  #exchange: GatewayExchange | undefined
  #onDemand: (() => void) | undefined
  #hasEnded = false

  /** @throws {@link TypeError} when the server has no streams. */
  constructor({ server, destination, bufferSize, maxHeadBytes }: GatewayOptions) {
    super({ allowHalfOpen: true })
    const { reader, writer } = server.host
    if (!reader || !writer) throw new TypeError('The server has no streams')
    this.#destination = destination
    this.#framer = new Framer({ kind: 'request', maxHeadBytes })
    this.#server = new Http2Server({
      reader,
      writer,
      address: server.host.toString(),
      bufferSize,
      settings: {},
      watcher: {
        // What passes the hooks are the octets of HTTP/1.1.
        hook: (octets) => octets,
        touched: () => undefined,
        settingsCame: () => undefined,
        goAway: () => undefined,
        failed: () => this.broken(),
        isWatched: () => false,
        gone: (isReset) => {
          if (isReset) this.broken()
          else this.over(true)
        },
      },
      close: () => server.close(),
      reset: () => server.reset(),
    })
    // Whoever reads it is told; nobody need listen.
    this.on('error', () => undefined)
  }

  override _read(): void {
    this.#onDemand?.()
    this.#onDemand = undefined
  }

  override _write(chunk: Buffer, _: BufferEncoding, done: (error?: Error | null) => void): void {
    void this.#takeAll(chunk, done)
  }

  override _final(done: (error?: Error | null) => void): void {
    const exchange = this.#exchange
    if (exchange?.isTunnel) exchange.request?.end([])
    else {
      // As servers of HTTP/1.1 do: a client that sends its FIN has left.
      exchange?.request?.abort(ERROR_CODE.cancel)
      exchange?.close()
      this.#server.close()
      this.over(true)
    }
    done()
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#exchange?.request?.abort(ERROR_CODE.cancel)
    this.#exchange?.close()
    this.#onDemand?.()
    this.#server.close()
    done(error)
  }

  async #takeAll(chunk: Buffer, done: (error?: Error | null) => void): Promise<void> {
    let failure: Error | undefined
    try {
      await this.#take(chunk)
    } catch (error) {
      failure = error instanceof Error ? error : new Error(errorText(error))
    }
    done(failure)
  }

  async #take(chunk: Buffer): Promise<void> {
    const tunnel = this.#exchange?.isTunnel ? this.#exchange.request : undefined
    if (tunnel) {
      await send(tunnel, chunk)
      return
    }
    this.#framer.push(chunk)
    for (let part = this.#framer.read(); part && !this.destroyed; part = this.#framer.read()) await this.#onPart(part)
  }

  async #onPart(part: Part): Promise<void> {
    const request = this.#exchange?.request
    switch (part.kind) {
      case 'head':
        // Responses keep the order of their requests.
        await this.#exchange?.answered
        this.#exchange = new GatewayExchange(part.octets, part.facts, this.#destination, this)
        await this.#begin(this.#exchange)
        return
      case 'body':
        for (const slice of part.content) if (request) await send(request, slice)
        return
      case 'end':
        if (this.#exchange?.sent.protocol === undefined) request?.end(outgoing(part.trailers))
        return
      case 'opaque':
        this.broken()
    }
  }

  async #begin(exchange: GatewayExchange): Promise<void> {
    await this.#server.whenSettled()
    if (this.destroyed) return
    const { sent } = exchange
    const authority = authorityOf(this.#destination)
    if (sent.protocol !== undefined && this.#server.settings?.enableConnectProtocol !== 1) {
      exchange.refuse(501, `${authority} speaks HTTP/2 alone, and opens no WebSockets by it (RFC 8441)`)
    } else if (sent.protocol === undefined && sent.method === 'CONNECT') {
      exchange.refuse(501, `${authority} speaks HTTP/2 alone, and is asked for a tunnel`)
    } else {
      try {
        exchange.request = this.#server.request(sent, exchange.hasBody, exchange)
      } catch {
        exchange.refuse(400, `${authority} speaks HTTP/2 alone, which has no way to say this request`)
      }
    }
  }

  // What comes of the exchange.

  give(octets: Buffer): MaybePromise<void> {
    if (this.destroyed || this.#hasEnded || this.push(octets)) return undefined
    return new Promise((resolve) => {
      this.#onDemand = resolve
    })
  }

  over(closes: boolean): void {
    if (closes && !this.destroyed && !this.#hasEnded) {
      this.#hasEnded = true
      this.push(null)
    }
  }

  broken(): void {
    this.destroy(Object.assign(new Error('The server has broken off'), { code: 'ECONNRESET' }))
  }
}

async function send({ writer }: ServerRequest, octets: Buffer): Promise<void> {
  writer.write(octets)
  await whenWritable(writer)
}
