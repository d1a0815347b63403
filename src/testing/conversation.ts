/** Plays both ends of a scripted conversation over sockets, and notes what each end heard. */
import { readSync } from 'node:fs'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { setImmediate as nextTurn } from 'node:timers/promises'

import { systemCode } from '../errors.ts'

/** What one side sends at once, as far as the script goes. */
export interface Turn {
  /** As latin1. */
  readonly octets: string
  /** How many octets must have been heard before; `'end'`: the other side's end. */
  readonly after: number | 'end'
  /** Where it is cut into writes: places modulo the length, or after each octet (of the first and last hundred). */
  readonly cuts: readonly number[] | 'each'
}

/** All that one side does. */
export interface Line {
  readonly turns: readonly Turn[]
  readonly ending: 'fin' | 'reset'
  /** When it ends, after its last turn. */
  readonly endAfter: number | 'end'
}

/** What both sides do. */
export interface Script {
  readonly client: Line
  readonly server: Line
}

/** All that one side says, if it gets to. */
export function wordsOf({ turns }: Line): string {
  return turns.map(({ octets }) => octets).join('')
}

/** What one side heard. `'deaf'`: it reset the connection itself, or nothing more was heard in time. */
export interface Heard {
  octets: string
  end: 'fin' | 'reset' | 'deaf'
}

/** One end: the stream to talk on, and the socket below it. */
export interface End {
  readonly stream: Duplex
  readonly raw: Socket
}

/** What both sides heard, and whether all was said and heard in time. */
export interface Outcome {
  readonly client: Heard
  readonly server: Heard
  readonly isOver: boolean
}

/**
 * Plays a script to its end, or until the deadline, and closes both ends.
 *
 * @param server - May come later than the client's first words.
 */
export async function converse(
  script: Script,
  client: End,
  server: End | Promise<End>,
  timeoutMs: number,
): Promise<Outcome> {
  const asking = new Player(client)
  let answering: Player | undefined
  const abort = new AbortController()
  const answer = async (): Promise<void> => {
    const end = await server
    abort.signal.addEventListener('abort', () => end.raw.destroy())
    if (abort.signal.aborted) end.raw.destroy()
    answering = new Player(end)
    await answering.play(script.server)
  }
  let timer: NodeJS.Timeout | undefined
  const deadline = new Promise<boolean>((resolve) => {
    timer = setTimeout(() => resolve(false), timeoutMs)
  })
  const both = Promise.all([asking.play(script.client), answer()])
  const isOver = await Promise.race([both.then(() => true), deadline])
  clearTimeout(timer)
  client.raw.destroy()
  abort.abort()
  return { client: asking.heard, server: answering?.heard ?? { octets: '', end: 'deaf' }, isOver }
}

class Player {
  readonly #end: End
  readonly #chunks: Buffer[] = []
  #size = 0
  #heardEnd: Heard['end'] | undefined
  #wake: () => void = () => {}

  constructor(end: End) {
    this.#end = end
    const { stream } = end
    stream.on('data', (chunk: Buffer) => {
      this.#chunks.push(chunk)
      this.#size += chunk.length
      this.#wake()
    })
    stream.on('end', () => this.#over(wasReset(end.raw) ? 'reset' : 'fin'))
    stream.on('error', () => this.#over('reset'))
    stream.on('close', () => this.#over('deaf'))
    stream.resume()
  }

  get heard(): Heard {
    return { octets: Buffer.concat(this.#chunks).toString('latin1'), end: this.#heardEnd ?? 'deaf' }
  }

  async play({ turns, ending, endAfter }: Line): Promise<void> {
    const { stream, raw } = this.#end
    for (const turn of turns) {
      await this.#hear(turn.after)
      for (const octets of cut(turn)) {
        if (!stream.writable) break
        stream.write(octets)
        await nextTurn()
      }
    }
    await this.#hear(endAfter)
    // So that what was written has left; and because a TLSSocket that is ended while it reads drops the records that it
    // has taken in and not decrypted yet.
    await nextTurn()
    if (ending === 'reset') {
      if (raw.destroyed) return
      this.#heardEnd = 'deaf'
      raw.resetAndDestroy()
      return
    }
    stream.end()
    await this.#hear('end')
  }

  #over(end: Heard['end']): void {
    // A stream that has ended may be reset all the same, as long as this side talks.
    this.#heardEnd ??= end
    this.#wake()
  }

  /** Resolves when so much, or the end, has been heard. */
  async #hear(what: number | 'end'): Promise<void> {
    const isHeard = (): boolean => this.#heardEnd !== undefined || (what !== 'end' && this.#size >= what)
    while (!isHeard()) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
  }
}

/** Whether an end is none: octets and a reset that come together are told as an end by libuv. */
function wasReset(raw: Socket): boolean {
  const handle: unknown = Reflect.get(raw, '_handle')
  const fd: unknown = typeof handle === 'object' && handle !== null && 'fd' in handle ? handle.fd : -1
  if (typeof fd !== 'number' || fd < 0) return false
  try {
    readSync(fd, Buffer.alloc(1))
    return false
  } catch (error) {
    return systemCode(error) === 'ECONNRESET'
  }
}

function* cut({ octets, cuts }: Turn): Generator<Buffer> {
  const all = Buffer.from(octets, 'latin1')
  const { length } = all
  const places =
    cuts === 'each'
      ? Array.from({ length }, (_, at) => at).filter((at) => at < 100 || at > length - 100)
      : cuts.map((place) => place % (length + 1))
  let from = 0
  for (const at of [...new Set(places)].toSorted((a, b) => a - b)) {
    if (at > from) yield all.subarray(from, at)
    from = Math.max(from, at)
  }
  if (from < length) yield all.subarray(from)
}
