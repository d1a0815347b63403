/** A handler of WebSockets (`ws.link()`) among the rules of a mitm. */
import type { Exchange } from '../exchange.ts'
import type { Answer } from '../middleware.ts'
import type { HandlerOutcome } from '../rules/listed-handler.ts'
import type { RequestLocation } from '../rules/request-location.ts'
import { isWebSocketHandshake } from '../web-socket-handshake.ts'
import { withRealServers } from './bypass.ts'
import type { HandlerDesk } from './handler-desk.ts'
import { HandlerEntry } from './handler-entry.ts'
import { property, withSiblings } from './handlers.ts'
import type { MswWebSocketHandler } from './handlers.ts'
import { call } from './own-state.ts'
import { SocketConnection } from './socket-connection.ts'

/** A handler of WebSockets. */
export class SocketEntry extends HandlerEntry<MswWebSocketHandler> {
  readonly isForWebSockets = true
  readonly #desk: HandlerDesk

  constructor(handler: MswWebSocketHandler, desk: HandlerDesk, handedOver: () => string | undefined) {
    const url = property(handler, 'url')
    super({ handler, header: headerOf(handler, url), path: url, handedOver })
    this.#desk = desk
    // A subscription of GraphQL remembers whether it was used.
    call(handler, 'reset')
  }

  /** MSW takes the prefix off that Socket.IO puts before the path. */
  override means(method: string, location: RequestLocation): boolean {
    if (super.means(method, location)) return true
    const path = location.path.replace(/^\/socket\.io\//, '/')
    if (path === location.path) return false
    const origin = location.href.slice(0, location.href.length - location.pathAndQuery.length)
    const pathAndQuery = path + location.search
    return super.means(method, { ...location, path, pathAndQuery, href: origin + pathAndQuery })
  }

  /** As MSW does it, all handlers that are for a WebSocket are given it, once one of them has been asked that is. */
  async ask(exchange: Exchange, others: readonly object[]): Promise<HandlerOutcome> {
    if (!isWebSocketHandshake(exchange)) return { kind: 'other' }
    const connection = new SocketConnection({
      exchange,
      servers: this.#desk.realServers,
      onError: (cause) => exchange.connection.report(this.#desk.failed(this, cause)),
    })
    const asked = new Set<MswWebSocketHandler>()
    if (!(await this.#run(connection, exchange, asked))) return { kind: 'other' }
    for (const other of others) {
      if (!(other instanceof SocketEntry) || other.isRemoved) continue
      if (await other.#run(connection, exchange, asked)) exchange.rules.push(other.describe())
    }
    this.decided(exchange)
    this.#desk.whenEnded(exchange, () => connection.client.gone())
    return { kind: 'answer', answer: this.#answer(connection) }
  }

  /** Hands a connection to it. @returns Whether it is for it */
  async #run(connection: SocketConnection, exchange: Exchange, asked: Set<MswWebSocketHandler>): Promise<boolean> {
    const { realServers } = this.#desk
    const { baseUrl } = this.#desk.contextOf(exchange)
    let isMeant = false
    for (const handler of withSiblings(this.handler)) {
      if (asked.has(handler)) continue
      asked.add(handler)
      try {
        const run = (): Promise<unknown> => handler.run(connection, baseUrl === undefined ? undefined : { baseUrl })
        const taken = await withRealServers(realServers, run)
        isMeant ||= taken !== null && taken !== undefined && handler === this.handler
        demandNoExtension(connection)
      } catch (cause) {
        const error = this.#desk.failed(this, cause)
        exchange.error ??= error
        exchange.connection.report(error)
        connection.fail()
        return true
      }
    }
    return isMeant
  }

  override reset(): void {
    call(this.handler, 'reset')
  }

  override restore(): void {
    call(this.handler, 'reset')
  }

  override remove(): void {
    super.remove()
    // Lets a subscription of GraphQL go of the connections that it was bound to.
    call(this.handler, 'dispose')
    call(this.handler, 'reset')
  }

  #answer(connection: SocketConnection): Answer {
    return {
      kind: 'webSocket',
      mock: {
        answeredBy: 'handler',
        // A browser fails the connection when it offered some and none is chosen.
        subprotocol: ([first]) => first,
        serve: (socket) => connection.client.opened(socket),
        blame: (_, cause) => this.#desk.failed(this, cause),
      },
    }
  }
}

function headerOf(handler: MswWebSocketHandler, url: unknown): string {
  const info = property(handler, 'info')
  const header = typeof info === 'object' && info !== null ? property(info, 'header') : undefined
  return typeof header === 'string' ? header : `ws.link(${String(url)})`
}

function demandNoExtension({ client, server }: SocketConnection): void {
  if (client.extension === undefined && server.extension === undefined) return
  throw new Error(
    'extensions of ws.link() are not supported: they speak a protocol that is only known to their own sockets',
  )
}
