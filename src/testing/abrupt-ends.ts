/** Walks connections to a state, ends one side abruptly there, and tells what the mitm made of it. */
import { createHook } from 'node:async_hooks'
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Socket } from 'node:net'

import { ERROR_CODE } from '../protocols/http2/frame.ts'
import { writeGoAway } from '../protocols/http2/frame-write.ts'
import type { TestMitmOptions } from '../test-mitm.ts'
import { startMitm } from '../test-mitm.ts'
import type { TestMitm } from '../test-mitm.ts'
import { dial, enter, Origin } from './doors.ts'
import type { Door, End } from './doors.ts'
import { originAuthority } from './identity.ts'
import { Wire } from './wire.ts'

/** Who ends. */
export type Who = 'client' | 'server'

/**
 * How it ends: with a FIN (in TLS, after a close_notify), with a reset, or gone in the midst of what it was about to say
 * (which is a FIN, or a reset where octets were not read).
 */
export type How = 'by a FIN' | 'by a reset' | 'in the midst of octets' | 'by GOAWAY and a FIN'

/** All ways to end, whatever is spoken. */
export const HOWS: readonly How[] = ['by a FIN', 'by a reset', 'in the midst of octets']

/** What is said before an end of HTTP/2 by those who say something. It covers all streams of tests. */
const LAST_WORDS = writeGoAway(99, ERROR_CODE.internalError, Buffer.from('oops'))

/** One end of a connection: what to talk on, and the socket below it. */
export interface AbruptEnd {
  readonly wire: Wire
  readonly raw: Socket
}

/** What a state is reached with. */
export interface Stage {
  readonly mitm: TestMitm
  /** Behind the mitm as `origin.test`. */
  readonly origin: Origin
  /** Connects to the mitm, and does nothing more. */
  dial(): Promise<AbruptEnd>
  /** Connects through the mitm to the origin. */
  enter(door: Door): Promise<AbruptEnd>
  /** The next connection that the origin was given. */
  accept(): Promise<AbruptEnd>
  /** The same before its TLS handshake, which is not done. */
  acceptRaw(): Promise<AbruptEnd>
}

/** Both ends, or the client alone where no server was connected. */
export interface Ends {
  readonly client: AbruptEnd
  readonly server?: AbruptEnd | undefined
  /** What either end hears, line by line, where a peer notes it: the last line is that of the end. */
  readonly heard?: { readonly [Name in Who]?: readonly string[] }
  /** When the client has what it wants of a server that ends, and leaves. @defaultValue when it hears of the end */
  readonly isOver?: () => Promise<unknown>
}

/** A state that connections are in. */
export interface State {
  readonly name: string
  /** Whether the origin speaks TLS. @defaultValue `false` */
  readonly isSecure?: boolean
  /** What is offered in TLS. @defaultValue nothing */
  readonly alpn?: { readonly client: readonly string[]; readonly server: readonly string[] }
  /** @param port - Of the origin. */
  readonly options?: (port: number) => TestMitmOptions
  /** Brings a connection there. */
  reach(stage: Stage): Promise<Ends>
  /** What is sent before an end in the midst of octets. @defaultValue `x` */
  readonly partial?: string | Buffer
  /**
   * What comes of it, as {@link Outcome.text} has it: after a FIN, after a reset, and in the midst of octets; the last is
   * either of the others where it is not given. Then after GOAWAY, where that can be said. `a or b` where the network
   * decides. Who is not named has no part in this state.
   */
  readonly comes: { readonly [Name in Who]?: readonly [fin: string, reset: string, midst?: string, goAway?: string] }
}

/** What the mitm made of an end. */
export interface Outcome {
  /**
   * `client-reset`, `failed MITM_MALFORMED_TLS`; behind it the ends of exchanges: `client-reset / client-reset, complete`, of
   * WebSockets with their close code and who closed them.
   */
  readonly text: string
  /** What the other side heard of it: `fin`, `reset`, or nothing; and what its peer noted before that. */
  readonly seen: string
  /** What was left of sockets and timers, beyond what there was before. */
  readonly left: readonly string[]
  /** What nobody caught. */
  readonly uncaught: readonly unknown[]
}

const PATIENCE_MS = 6000
/** So short that a connection which nobody ends is told from one that is ended. */
const IDLE_MS = 2500
/** Longest wait for the other side to hear of an end that has been passed on. */
const SEEN_MS = 300

/** A state and who ends in it. */
export interface Case {
  readonly name: string
  readonly who: Who
  readonly state: State
}

/** Each state with everyone who may end in it. */
export function casesOf(states: readonly State[]): readonly Case[] {
  const all: readonly Who[] = ['client', 'server']
  return states.flatMap((state) =>
    all.filter((who) => state.comes[who]).map((who) => ({ name: state.name, who, state })),
  )
}

/** What may come of an end, by the table: {@link Outcome.text}. */
export function expectedOf({ state, who }: Case, how: How): readonly string[] {
  const [fin = '', reset = '', midst, goAway = ''] = state.comes[who] ?? []
  const texts: Readonly<Record<How, string>> = {
    'by a FIN': fin,
    'by a reset': reset,
    'in the midst of octets': midst ?? `${fin} or ${reset}`,
    'by GOAWAY and a FIN': goAway,
  }
  return texts[how].split(' or ')
}

/** The line that was expected, or all that were, for a message that shows them. */
export function expectedLine(each: Case, how: How, line: string): string {
  const all = expectedOf(each, how)
  return all.includes(line) ? line : all.join(' or ')
}

/** Brings a connection to a state, ends one side of it, lets the other side do what programs do, and waits for the end. */
export async function walk({ state, who }: Case, how: How): Promise<Outcome> {
  const authority = await originAuthority()
  const origin = new Origin(state.isSecure ? authority : undefined, state.alpn?.server)
  await origin.listen()
  const mitm = await startMitm({
    hosts: { 'origin.test': `127.0.0.1:${origin.port}` },
    upstream: { ca: authority.certificate },
    idleTimeoutMs: IDLE_MS,
    handshakeTimeoutMs: IDLE_MS / 2,
    serverTlsTimeoutMs: IDLE_MS / 2,
    firstBytesWaitMs: 20,
    ...state.options?.(origin.port),
  })
  const uncaught: unknown[] = []
  const catchIt = (error: unknown): void => void uncaught.push(error)
  process.on('unhandledRejection', catchIt).on('uncaughtException', catchIt)
  const opened: AbruptEnd[] = []
  let timers: TimerWatch | undefined
  const keep = (one: AbruptEnd): AbruptEnd => {
    opened.push(one)
    return one
  }
  try {
    // Makes what is made once, such as certificates, so that it does not count as left.
    const certificates = await mitm.certificateAuthority()
    await certificates.contextFor('origin.test')
    const resourcesBefore = resources()
    timers = new TimerWatch()
    const ends = await state.reach({
      mitm,
      origin,
      dial: async () => keep(endOf(await plain(dial(mitm.port)))),
      enter: async (door) => keep(endOf(await enter(door, mitm.port, certificates, state.alpn?.client))),
      accept: async () => keep(endOf(await origin.accept())),
      acceptRaw: async () => keep(endOf(await plain(origin.acceptRaw()))),
    })
    await nextTurn()
    const { client, server } = ends
    const ending = who === 'client' ? client : server
    const other = who === 'client' ? server : client
    const heard = ends.heard?.[who === 'client' ? 'server' : 'client']
    const before = heard?.length
    if (!ending) throw new Error(`There is no ${who} in this state`)
    // A program that is told of the end of the other side closes its own.
    const leave = (): unknown => other?.wire.socket.end()
    void other?.wire.ended.then(leave)
    // What it does not hear is in what it has heard.
    if (who === 'server') void ends.isOver?.().then(leave, () => undefined)
    endBy(ending, how, state.partial ?? 'x')
    // So does one that the mitm connected to later.
    origin.closeOthers()
    await until(() => mitm.connections.every(({ endedAt }) => endedAt !== undefined))
    const text = textOf(mitm)
    const end = other ? await endSeen(other) : 'nothing'
    const seen = heard ? heard.slice(before).join(', ') : end
    for (const { raw } of opened) raw.destroy()
    const left = await leftOf(resourcesBefore, timers)
    return { text, seen, left, uncaught }
  } finally {
    for (const { raw } of opened) raw.destroy()
    timers?.stop()
    origin.close()
    await mitm.close()
    await nextTurn()
    process.off('unhandledRejection', catchIt).off('uncaughtException', catchIt)
  }
}

/** Waits for something that comes about by itself. @throws when it does not in time */
export async function until(isMet: () => boolean): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS
  while (!isMet()) {
    if (performance.now() > deadline) throw new Error('It did not come about')
    await nextTurn()
  }
}

async function plain(dialled: Promise<Socket>): Promise<End> {
  const raw = await dialled
  return { stream: raw, raw }
}

function endOf({ stream, raw }: End): AbruptEnd {
  // A boundary: streams of tests are sockets, plain ones or of TLS.
  const wire = new Wire(stream as Socket)
  // Servers pause what they accept.
  wire.resume()
  return { wire, raw }
}

/** What a side hears of the end, once the mitm is done. */
async function endSeen({ wire }: AbruptEnd): Promise<string> {
  wire.resume()
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<string>((resolve) => {
    timer = setTimeout(() => resolve('nothing'), SEEN_MS)
  })
  const end = await Promise.race([wire.ended, late])
  clearTimeout(timer)
  return end
}

function endBy({ wire, raw }: AbruptEnd, how: How, partial: string | Buffer): void {
  if (how === 'by a FIN') wire.end()
  else if (how === 'by GOAWAY and a FIN') wire.end(LAST_WORDS)
  else if (how === 'by a reset') raw.resetAndDestroy()
  else {
    wire.write(partial)
    // Of TLS, the first octets of a record.
    if (wire.socket !== raw) raw.write(Buffer.from([0x17, 3, 3]))
    raw.destroy()
  }
}

function textOf({ connections, exchanges }: TestMitm): string {
  const ofConnections = connections.map(({ endReason, errors }) =>
    [endReason, ...errors.map(({ code }) => code)].join(' '),
  )
  const ofExchanges = exchanges.map(({ endReason, webSocket }) =>
    webSocket?.closedBy ? `${endReason} ${webSocket.closeCode} by ${webSocket.closedBy}` : String(endReason),
  )
  return [ofConnections.join(', '), ...(ofExchanges.length > 0 ? [ofExchanges.join(', ')] : [])].join(' / ')
}

/** Notes the timers that are set by this package, also those for which Node does not stay. */
class TimerWatch {
  readonly #alive = new Map<number, string>()
  readonly #hook = createHook({
    init: (id, type) => {
      if (type !== 'Timeout') return
      const frames = (new Error('set').stack ?? '').split('\n').filter((line) => /\/src\/(?!testing\/)/.test(line))
      const [setter] = frames
      if (setter) this.#alive.set(id, setter.trim())
    },
    destroy: (id) => void this.#alive.delete(id),
  })

  constructor() {
    this.#hook.enable()
  }

  /** Those that are still set. */
  get alive(): string[] {
    return [...this.#alive.values()]
  }

  stop(): void {
    this.#hook.disable()
  }
}

/** Sockets, requests and timers of this process, by kind. */
function resources(): ReadonlyMap<string, number> {
  const counts = new Map<string, number>()
  for (const kind of process.getActiveResourcesInfo()) {
    if (kind !== 'Immediate') counts.set(kind, (counts.get(kind) ?? 0) + 1)
  }
  return counts
}

/** What there is more than before, once there is no more or it stays. */
async function leftOf(before: ReadonlyMap<string, number>, timers: TimerWatch): Promise<string[]> {
  const deadline = performance.now() + IDLE_MS / 2
  for (;;) {
    const more = [...resources()].filter(([kind, count]) => count > (before.get(kind) ?? 0))
    const left = [...more.map(([kind, count]) => `${count - (before.get(kind) ?? 0)} ${kind}`), ...timers.alive]
    if (left.length === 0 || performance.now() > deadline) return left
    await nextTurn()
  }
}
