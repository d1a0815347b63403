/**
 * Events of WebSockets as handlers are given them. Those of Node will not do: its `MessageEvent` ignores `cancelable` in
 * Node 20, it has no `CloseEvent` there, and what a listener of an `EventTarget` throws ends the process.
 */
import { withRealServers } from './bypass.ts'
import type { RealServers } from './real-servers.ts'

type Listener = ((event: Event) => unknown) | { handleEvent(event: Event): unknown }

/** An event whose default can be prevented, and which can be kept from the listeners that follow. */
export class SocketEvent extends Event {
  #isPrevented = false
  #isStopped = false

  constructor(type: string) {
    super(type, { cancelable: true })
  }

  override get defaultPrevented(): boolean {
    return this.#isPrevented
  }

  override preventDefault(): void {
    this.#isPrevented = true
  }

  override stopImmediatePropagation(): void {
    this.#isStopped = true
  }

  /** Whether listeners that follow are not told. */
  get isStopped(): boolean {
    return this.#isStopped
  }
}

/** A message has come. */
export class SocketMessageEvent extends SocketEvent {
  readonly data: string | Uint8Array
  readonly origin: string
  readonly lastEventId = ''
  readonly ports: readonly never[] = []

  constructor(data: string | Uint8Array, origin: string) {
    super('message')
    this.data = data
    this.origin = origin
  }
}

/** An end has closed. */
export class SocketCloseEvent extends SocketEvent {
  readonly code: number
  readonly reason: string
  readonly wasClean: boolean

  constructor(code: number, reason: string) {
    super('close')
    this.code = code
    this.reason = reason
    this.wasClean = code !== 1006
  }
}

/** A connection has failed. */
export class SocketErrorEvent extends SocketEvent {
  readonly error: Error
  readonly message: string

  constructor(error: Error) {
    super('error')
    this.error = error
    this.message = error.message
  }
}

/** How a listener is added, as `addEventListener()` of the DOM has it. */
interface ListenerOptions {
  readonly once?: boolean
  readonly signal?: AbortSignal
}

/** How listeners are called. */
export interface SocketTargetOptions {
  readonly servers: RealServers
  /** Is told what a listener threw. */
  onError(error: unknown): void
}

/** What listeners are added to. */
export class SocketTarget {
  readonly #options: SocketTargetOptions
  readonly #listeners = new Map<string, Map<Listener, boolean>>()

  constructor(options: SocketTargetOptions) {
    this.#options = options
  }

  addEventListener(type: string, listener: Listener | null, options?: boolean | ListenerOptions): void {
    const { once = false, signal } = typeof options === 'object' ? options : {}
    if (listener === null || signal?.aborted) return
    const ofType = this.#listeners.get(type) ?? new Map<Listener, boolean>()
    this.#listeners.set(type, ofType)
    if (ofType.has(listener)) return
    ofType.set(listener, once)
    signal?.addEventListener('abort', () => this.removeEventListener(type, listener), { once: true })
  }

  removeEventListener(type: string, listener: Listener | null): void {
    if (listener) this.#listeners.get(type)?.delete(listener)
  }

  /** Tells the listeners. @returns Whether what follows an event by default is to follow */
  dispatchEvent(event: SocketEvent): boolean {
    for (const key of ['target', 'currentTarget'])
      Object.defineProperty(event, key, { value: this, configurable: true })
    for (const [listener, isOnce] of [...(this.#listeners.get(event.type) ?? [])]) {
      if (event.isStopped) break
      if (isOnce) this.removeEventListener(event.type, listener)
      withRealServers(this.#options.servers, () => this.#call(listener, event))
    }
    return !event.defaultPrevented
  }

  #call(listener: Listener, event: SocketEvent): void {
    const onError = (error: unknown): void => this.#options.onError(error)
    try {
      const made = typeof listener === 'function' ? listener.call(this, event) : listener.handleEvent(event)
      if (made instanceof Promise) made.catch(onError)
    } catch (error) {
      onError(error)
    }
  }
}
