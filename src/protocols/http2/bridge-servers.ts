/** The servers that the requests of one bridge go to: found, or connected, by where a request is for. */
import type { OtherServer } from '../../connection.ts'
import { isSameAuthority } from '../../protocol.ts'
import type { Destination } from '../../protocol.ts'
import type { BridgeServer, ServerWatcher } from './bridge-server.ts'
import type { Bridge } from './bridge.ts'
import { Http1Server } from './http1-server.ts'
import { Http2Server } from './http2-server.ts'
import type { Http2Settings } from './settings.ts'

/** What servers of HTTP/2 are offered: both, most wanted first. */
const BOTH: readonly string[] = ['h2', 'http/1.1']

/** The servers of a bridge. */
export class BridgeServers {
  readonly #bridge: Bridge
  readonly #open = new Map<string, BridgeServer[]>()
  readonly #connecting = new Map<string, Promise<void>>()
  /** The server of the connection itself, which was connected before its client was answered: its end is the client's. */
  #mirrored: Http2Server | undefined
  #hasOpened = false

  constructor(bridge: Bridge) {
    this.#bridge = bridge
  }

  /** The server whose end the client is told of. */
  get mirrored(): Http2Server | undefined {
    return this.#mirrored
  }

  /** Whether requests for this destination go to a server whose end is that of the connection. */
  isMirrored(destination: Destination): boolean {
    const own = this.#bridge.connection.destination
    return this.#mirrored !== undefined && own !== undefined && isSameAuthority(own, destination)
  }

  /** A server that takes a request now. */
  ready(destination: Destination): BridgeServer | undefined {
    return this.#open.get(keyOf(destination))?.find(({ isFree }) => isFree)
  }

  /**
   * Connects the server of the connection before the client has said anything, and lets the client have its SETTINGS.
   *
   * @param waitMs - Longest wait for these.
   * @throws {@link MitmError} as `connection.open`.
   */
  async mirror(destination: Destination, waitMs: number): Promise<Http2Settings | undefined> {
    await this.connect(destination)
    const server = this.ready(destination)
    if (!(server instanceof Http2Server)) return undefined
    this.#mirrored = server
    let timer: NodeJS.Timeout | undefined
    await Promise.race([
      server.whenSettled(),
      new Promise((resolve) => {
        timer = setTimeout(resolve, waitMs)
      }),
    ])
    clearTimeout(timer)
    return server.settings
  }

  /**
   * Connects a server that takes a request; several requests wait for one.
   *
   * @throws {@link MitmError} as `connection.open`.
   */
  async connect(destination: Destination): Promise<void> {
    const key = keyOf(destination)
    while (!this.ready(destination)) {
      const before = this.#connecting.get(key)
      if (before) {
        // Whether that serves this one is looked at again: a server of HTTP/1 takes one at a time.
        await before
        continue
      }
      const connecting = this.#connect(destination, key).finally(() => this.#connecting.delete(key))
      this.#connecting.set(key, connecting)
      await connecting
      return
    }
  }

  /** Lets go of all of them at once, and says nothing to any. */
  cut(): void {
    for (const server of [...this.#open.values()].flat()) if (server instanceof Http2Server) server.cut()
    this.#open.clear()
  }

  async #connect(destination: Destination, key: string): Promise<void> {
    const { connection, isClear } = this.#bridge
    const { flow } = connection
    const own = connection.destination
    const isOwn = own !== undefined && isSameAuthority(own, destination)
    let link: OtherServer
    if (isOwn && !this.#hasOpened) {
      this.#hasOpened = true
      await connection.open(destination)
      link = {
        host: connection.server,
        alpn: connection.serverTls?.alpn,
        // One whose end is that of the connection is closed with it.
        close: () => {
          if (!this.#mirrored && !this.#bridge.isOver) void flow.closeServer()
        },
        reset: () => connection.reset('server'),
      }
    } else link = await flow.openAnother(destination, BOTH)
    if (this.#bridge.isOver) {
      link.close()
      return
    }
    // Without TLS nobody has said which version: that of the client, if it came straight to HTTP/2 for this server.
    const isHttp2 = link.alpn === 'h2' || (link.alpn === undefined && isClear && isOwn && !destination.tls)
    const server = isHttp2 ? this.#http2(link, key) : this.#http1(link, key)
    this.#open.set(key, [...(this.#open.get(key) ?? []), server])
  }

  #http2(link: OtherServer, key: string): Http2Server {
    const { reader, writer } = demanded(link.host)
    const server: Http2Server = new Http2Server({
      reader,
      writer,
      address: link.host.toString(),
      bufferSize: this.#bridge.bufferSize,
      settings: this.#bridge.clientSettings,
      watcher: this.#watcher(() => server, key),
      close: () => link.close(),
      reset: () => link.reset(),
    })
    return server
  }

  #http1(link: OtherServer, key: string): Http1Server {
    const { reader, writer } = demanded(link.host)
    const server: Http1Server = new Http1Server({
      reader,
      writer,
      address: link.host.toString(),
      bufferSize: this.#bridge.bufferSize,
      maxHeadBytes: this.#bridge.connection.flow.settings.maxHeadBytes,
      watcher: this.#watcher(() => server, key),
      close: () => link.close(),
      reset: () => link.reset(),
    })
    return server
  }

  #watcher(server: () => BridgeServer, key: string): ServerWatcher {
    const bridge = this.#bridge
    return {
      hook: (octets) => bridge.connection.serverData(octets),
      touched: () => bridge.touch(),
      failed: (error) => bridge.fail(error),
      settingsCame: () => {
        const { mirrored } = this
        if (mirrored?.settings && server() === mirrored) bridge.serverSettings(mirrored.settings)
      },
      goAway: (goAway) => {
        if (server() === this.#mirrored) bridge.serverGoesAway(goAway)
      },
      isWatched: () => server() === this.#mirrored,
      gone: (isReset) => {
        const rest = this.#open.get(key)?.filter((each) => each !== server()) ?? []
        if (rest.length > 0) this.#open.set(key, rest)
        else this.#open.delete(key)
        if (server() === this.#mirrored) bridge.serverGone(isReset)
      },
    }
  }
}

function demanded({ reader, writer }: OtherServer['host']): {
  readonly reader: NonNullable<OtherServer['host']['reader']>
  readonly writer: NonNullable<OtherServer['host']['writer']>
} {
  if (!reader || !writer) throw new TypeError('The server has no streams')
  return { reader, writer }
}

function keyOf({ host, port, tls }: Destination): string {
  return `${tls ? 'tls' : 'tcp'} ${host}:${port}`
}
