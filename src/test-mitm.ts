/** The mitm that a test holds: one that records what passes and does what rules say. No test runner is needed for it. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { childEnvironment } from './child-environment.ts'
import { MitmError } from './errors.ts'
import type { Exchange } from './exchange.ts'
import type { ReceivedEvent } from './internal/event-stream.ts'
import { anySeed, isSeed } from './internal/random.ts'
import type { Seed } from './internal/random.ts'
import type { ConnectionRecord } from './middleware/connection-record.ts'
import { recorder } from './middleware/recorder.ts'
import type { Recorder } from './middleware/recorder.ts'
import { HandlerServers } from './handler-servers.ts'
import type { MitmAuthority } from './mitm.ts'
import { HandlerDesk } from './msw/handler-desk.ts'
import { demandHandlerOptions } from './msw/handler-options.ts'
import type { HandlerOptions } from './msw/handler-options.ts'
import { invalidOption } from './options.ts'
import type { MitmOptions } from './options.ts'
import { compileFilter } from './rules/filter.ts'
import type { ExchangeFilter } from './rules/filter.ts'
import { noteFault } from './fault-record.ts'
import * as faults from './faults/faults.ts'
import { offline } from './faults/offline.ts'
import { RuleList } from './rules/rule-list.ts'
import type { Rule } from './rules/rule.ts'
import { RuledMitm } from './ruled-mitm.ts'
import type { WebSocketMessage } from './web-socket-message.ts'
import { UnmatchedPolicy } from './rules/unmatched.ts'
import type { Unmatched } from './rules/unmatched.ts'
import { makeTestAgent } from './test-agent.ts'
import type { TestAgent } from './test-agent.ts'
import { waitForExchange, waitForIdle, waitForMessage, waitForServerSentEvent } from './waits.ts'
import type { IdleOptions, WaitOptions } from './waits.ts'

/** The options of a {@link TestMitm}: those of a {@link Mitm}, and what its rules need. */
export interface TestMitmOptions extends MitmOptions<MitmAuthority>, HandlerOptions {
  /**
   * Decides everything that is left to chance (`probability()`, jitter, …): with the same seed the same comes out.
   *
   * @defaultValue one that differs from run to run
   */
  seed?: Seed | undefined
  /** What becomes of requests that no rule answers. @defaultValue `'forward'`: they go to their servers */
  unmatched?: Unmatched | undefined
}

/**
 * Starts a mitm that records what passes and does what its rules say.
 *
 * @param options - As for {@link Mitm}; `middlewares` run behind the recorder and the rules.
 * @returns The mitm, listening. The caller closes it: `await mitm.close()`, or `await using`.
 * @throws {@link MitmError} `MITM_INVALID_OPTION`, `MITM_LISTEN_FAILED`, `MITM_CA_FAILED`.
 *
 * @example
 * ```ts
 * import { startMitm } from 'playwright-mitm/core'
 *
 * const mitm = await startMitm({ hosts: { 'api.test': '127.0.0.1:4001' } })
 * mitm.get('https://api.test/price').json({ eur: 42 })
 * const response = await mitm.fetch('https://api.test/price')
 * console.log(await response.json(), mitm.exchanges.map(String))
 * await mitm.close()
 * ```
 */
export async function startMitm(options: TestMitmOptions = {}): Promise<TestMitm> {
  const mitm = new TestMitm(options)
  await mitm.start()
  return mitm
}

/** A {@link Mitm} with a recorder and rules in it. Made by {@link startMitm}, or by the fixture `mitm`. */
export class TestMitm extends RuledMitm {
  /** Tells a mitm from other objects. */
  readonly isMitm = true as const
  /** The errors that were reported so far: those of connections, and of functions given to rules. */
  readonly errors: MitmError[]

  readonly #recorder: Recorder
  readonly #servers: HandlerServers
  #authority: MitmAuthority | undefined
  #folder: string | undefined
  #agent: Promise<TestAgent> | undefined

  /** Decides everything that is left to chance; see {@link TestMitmOptions.seed}. */
  readonly seed: Seed

  constructor(options: TestMitmOptions = {}) {
    if (typeof options !== 'object' || options === null) throw invalidOption('options', options, 'an object')
    // Those of a Mitm are checked by it.
    const { seed = anySeed(), unmatched, handlers = [], baseURL, handlerCors, ...ofMitm } = options
    if (!isSeed(seed)) throw invalidOption('seed', seed, 'a finite number or a text')
    demandHandlerOptions({ handlers, baseURL, handlerCors })
    const errors: MitmError[] = []
    const { maxBodyBytes } = options
    const records = recorder({ maxBodyBytes })
    const rules = new RuleList({
      maxBodyBytes,
      seed,
      unmatched: new UnmatchedPolicy(unmatched, { maxBodyBytes }),
      onConnectionFault: (rule) => this.#drainFor(rule),
      onLateFault: () => this.tellOfFaults(),
      onActAdded: () => this.tellOfInterceptors(),
      isPassedThrough: (host, port) => this.tlsSelection.passesThrough([host], port),
    })
    const servers = new HandlerServers(async () => {
      const { certificate } = await this.certificateAuthority()
      return { url: this.url, certificates: this.#trusted(certificate) }
    })
    const desk = new HandlerDesk({ baseURL, cors: handlerCors, maxBodyBytes, realServers: servers })
    super(
      {
        ...ofMitm,
        middlewares: [records, rules, desk, ...(options.middlewares ?? [])],
        onError: (error) => {
          errors.push(error)
          options.onError?.(error)
        },
      },
      { rules, desk },
    )
    this.errors = errors
    this.seed = seed
    this.#recorder = records
    this.#servers = servers
    this.useInitially('handlers', handlers)
  }

  override async start(): Promise<void> {
    await super.start()
    // What follows from a mitm (env, fetch) needs the authority at once.
    this.#authority = await this.certificateAuthority()
  }

  override async close(): Promise<void> {
    this.beginClose()
    this.#recorder.changes.end()
    const agent = this.#agent
    this.#agent = undefined
    await agent?.then((made) => made.agent.destroy()).catch(() => undefined)
    await super.close()
    await this.#servers.close()
    if (this.#folder) rmSync(this.#folder, { recursive: true, force: true })
    this.#folder = undefined
  }

  /** Every connection since the start or the last `reset()`, in the order in which clients made them. */
  get connections(): readonly ConnectionRecord[] {
    return this.#recorder.connections
  }

  /** Every exchange since the start or the last `reset()`, in the order in which they began. */
  get exchanges(): readonly Exchange[] {
    return this.#recorder.exchanges
  }

  /** Fires at every moment of an exchange, every change of a connection, and whenever something comes of an event stream. */
  get changes(): Recorder['changes'] {
    return this.#recorder.changes
  }

  /** The seed, once anything was left to chance; undefined as long as nothing was. */
  get drawnSeed(): Seed | undefined {
    return this.ruleList.drawnSeed
  }

  /** The exchanges that match; all of them without a filter. @throws {@link MitmError} `MITM_INVALID_FILTER` */
  requests(filter?: ExchangeFilter): Exchange[] {
    if (filter === undefined) return [...this.exchanges]
    const compiled = compileFilter(filter)
    return this.exchanges.filter((exchange) => compiled.misses(exchange).length === 0)
  }

  /**
   * Waits for a request that matches. One that has passed already counts.
   *
   * @returns Its exchange, perhaps without a response yet.
   * @throws {@link MitmError} `MITM_WAIT_TIMEOUT`, also when the mitm is closed first; `MITM_INVALID_FILTER`,
   *   `MITM_INVALID_OPTION`.
   */
  waitForRequest(filter: ExchangeFilter, options: WaitOptions = {}): Promise<Exchange> {
    return waitForExchange(this, 'request', filter, options)
  }

  /** As {@link TestMitm.waitForRequest}, and for the head of its final response. */
  waitForResponse(filter: ExchangeFilter, options: WaitOptions = {}): Promise<Exchange> {
    return waitForExchange(this, 'response', filter, options)
  }

  /**
   * Waits for a server-sent event in the responses of the exchanges that match, which may still run. One that has passed
   * already counts.
   *
   * @param matches - Whether an event is the one. @defaultValue any is
   * @throws {@link MitmError} `MITM_WAIT_TIMEOUT`, also when the mitm is closed first; `MITM_INVALID_FILTER`,
   *   `MITM_INVALID_OPTION`; `MITM_BODY_UNDECODABLE` for a stream in a content coding that is not known here.
   *
   * @example
   * ```ts
   * import type { TestMitm } from 'playwright-mitm/core'
   *
   * export async function sold(mitm: TestMitm): Promise<string> {
   *   const { data } = await mitm.waitForServerSentEvent('https://shop.test/events', ({ event }) => event === 'sold')
   *   return data
   * }
   * ```
   */
  waitForServerSentEvent(
    filter: ExchangeFilter,
    matches: (event: ReceivedEvent) => boolean = () => true,
    options: WaitOptions = {},
  ): Promise<ReceivedEvent> {
    return waitForServerSentEvent(this, filter, matches, options)
  }

  /**
   * Waits for a message of a WebSocket whose handshake matches the filter. One that has passed already counts.
   *
   * @param matches - Which message. @defaultValue any
   * @throws {@link MitmError} `MITM_WAIT_TIMEOUT`, also when the mitm is closed first; `MITM_INVALID_FILTER`,
   *   `MITM_INVALID_OPTION`; what `matches` throws.
   */
  waitForMessage(
    filter: ExchangeFilter,
    matches: (message: WebSocketMessage) => boolean = () => true,
    options: WaitOptions = {},
  ): Promise<WebSocketMessage> {
    return waitForMessage(this, filter, matches, options)
  }

  /**
   * Waits until the traffic has settled: no exchange in flight, and none begun for `quietMs`. Event streams and
   * connections that became another protocol (WebSocket) do not count as in flight, nor what a fault stalls.
   *
   * @returns Whether it settled in time.
   */
  waitForIdle(options: IdleOptions = {}): Promise<boolean> {
    return waitForIdle(this, options)
  }

  /**
   * Takes the network away: no server can be reached, and all connections there are are reset at once.
   *
   * @returns The rule that does it; `remove()` brings the network back.
   * @throws {@link MitmError} `MITM_NOT_RUNNING` after `close()`.
   *
   * @example
   * ```ts
   * import type { TestMitm } from 'playwright-mitm/core'
   *
   * export async function whileOffline(mitm: TestMitm, work: () => Promise<void>): Promise<void> {
   *   using _ = mitm.offline()
   *   await work()
   * }
   * ```
   */
  offline(): Rule {
    const fault = offline()
    const rule = this.when({}).fault(fault)
    for (const exchange of this.exchanges) if (!exchange.endReason) noteFault(exchange.connection, fault, exchange)
    this.resetConnections((connection) => {
      noteFault(connection, fault, undefined)
      return true
    })
    return rule
  }

  /**
   * Puts a slow link between the clients and everything; see `faults.network()`.
   *
   * @param link - The name of one (`'Slow 4G'`), or what it can do.
   * @returns The rule that does it; `remove()` makes it fast again, and lets what was held back go on.
   * @throws {@link MitmError} `MITM_INVALID_FAULT`; `MITM_NOT_RUNNING` after `close()`.
   */
  slow(link: faults.NetworkPreset | faults.NetworkLink): Rule {
    const fault = faults.network(link)
    return this.when({}).fault(fault)
  }

  /** All rules and handlers, newest first, a line each: what they do, how often they did it; if never, the request that came nearest. */
  explain(): string {
    return this.ruleList.explain(this.exchanges)
  }

  /** Its address, and how much it has and has seen. */
  override toString(): string {
    const { rules, connections, exchanges } = this
    const counts = Object.entries({ rules, connections, exchanges }).map(([what, { length }]) => `${what}: ${length}`)
    return `mitm ${this.isRunning ? this.url : '(not listening)'} (${counts.join(', ')})`
  }

  /** Connections made before a rule that lets them fail would hide it. */
  #drainFor({ filter }: Rule): void {
    if (filter.unknownBeforeRequest.length > 0) return
    // A fetch in the same breath would take a connection that is being closed.
    const agent = this.#agent
    this.#agent = undefined
    agent?.then((made) => made.agent.close()).catch(() => undefined)
    this.drain((connection) => {
      const { destination } = connection
      return destination !== undefined && filter.matchesConnection(destination, connection)
    })
  }

  /**
   * Drops all rules, all handlers but the initial ones, all records and all errors; connections stay open, and the mitm goes on
   * listening.
   */
  reset(): void {
    this.resetRules()
    this.#recorder.clear()
    this.errors.length = 0
  }

  /**
   * The environment for a child process whose traffic is to pass through this mitm. Inherits nothing: spread it over
   * `process.env`. The files it names are removed by `close()`.
   *
   * @throws {@link MitmError} `MITM_NOT_RUNNING` before `start()` and after `close()`.
   */
  env(): Record<string, string> {
    const authority = this.#authority
    if (!authority || !this.isRunning) {
      throw new MitmError('MITM_NOT_RUNNING', 'Cannot tell the environment of a mitm that does not listen')
    }
    this.#folder ??= mkdtempSync(join(tmpdir(), 'playwright-mitm-'))
    return childEnvironment(this.url, this.#trusted(authority.certificate), this.#folder)
  }

  /**
   * `fetch` of undici through this mitm, trusting its authority. Connections are kept alive until `close()`.
   *
   * @throws {@link MitmError} `MITM_NOT_RUNNING` before `start()` and after `close()`.
   */
  readonly fetch: TestAgent['fetch'] = async (input, init) => {
    if (!this.isRunning) throw new MitmError('MITM_NOT_RUNNING', 'Cannot fetch through a mitm that does not listen')
    this.#agent ??= this.#makeAgent()
    const { fetch, agent } = await this.#agent
    return fetch(input, { dispatcher: agent, ...init })
  }

  /** What clients of this mitm must trust: its authority, and those of servers whose TLS is passed through. */
  #trusted(certificate: string): readonly string[] {
    return [certificate, ...[this.options.upstream.ca ?? []].flat().map(String)]
  }

  async #makeAgent(): Promise<TestAgent> {
    const { certificate } = await this.certificateAuthority()
    return makeTestAgent(this.url, this.#trusted(certificate))
  }
}
