/** A middleware that notes which of its hooks were called. */
import { Signal } from '../internal/signal.ts'
import type { Middleware } from '../middleware.ts'

/** Notes calls as `hook` or `hook:data`, in order. */
export class HookLog implements Middleware {
  readonly name = 'hook-log'
  readonly calls: string[] = []
  readonly #changed = new Signal()

  mitmStarted(host: string, port: number): void {
    this.#note(`mitmStarted:${host}:${port > 0}`)
  }

  clientConnected(): void {
    this.#note('clientConnected')
  }

  serverConnected(): void {
    this.#note('serverConnected')
  }

  clientData(_: unknown, data: Buffer): Buffer {
    this.#note(`clientData:${data.toString('latin1')}`)
    return data
  }

  serverData(_: unknown, data: Buffer): Buffer {
    this.#note(`serverData:${data.toString('latin1')}`)
    return data
  }

  clientDisconnected(): void {
    this.#note('clientDisconnected')
  }

  serverDisconnected(): void {
    this.#note('serverDisconnected')
  }

  connectionEnded(): void {
    this.#note('connectionEnded')
  }

  /** How often a hook was called. */
  count(hook: string): number {
    return this.calls.filter((call) => call.split(':')[0] === hook).length
  }

  /** Without the data hooks. */
  get events(): string[] {
    return this.calls.map((call) => call.split(':')[0] ?? '').filter((hook) => !hook.endsWith('Data'))
  }

  /** Waits until a hook was called so many times. */
  async until(hook: string, times = 1): Promise<void> {
    const met = (): true | undefined => (this.count(hook) >= times ? true : undefined)
    const outcome = await this.#changed.until(met, { timeoutMs: 8000 })
    if (outcome.state !== 'met') throw new Error(`Waited for ${times} ${hook}: ${this.calls.join(', ')}`)
  }

  #note(call: string): void {
    this.calls.push(call)
    this.#changed.fire()
  }
}
