/** Plays one script twice: over a direct connection, and through a mitm that must not show. */
import { withDeadline } from './deadline.ts'
import type { Middleware } from '../middleware.ts'
import { looksLikeRequest } from '../protocols/http1/head.ts'
import { startMitm } from '../test-mitm.ts'
import type { TestMitm } from '../test-mitm.ts'
import { CertificateAuthority } from '../tls/certificate-authority.ts'
import { converse } from './conversation.ts'
import type { End, Outcome, Script } from './conversation.ts'
import { enter, isSecure, Origin, ORIGIN_NAME } from './doors.ts'
import type { Door } from './doors.ts'

/** What is done in the mitm, all of which must leave the octets alone. */
export type Touch = 'nothing' | 'other-rules' | 'possible-answer' | 'hooks' | 'async-hooks' | 'rule-transforms'

/** A mitm, and the server that it leads to. */
export interface Passage {
  readonly origin: Origin
  readonly mitm: TestMitm
}

/** One passage without TLS and one with it, kept open for many scripts, one at a time. */
export class Passages {
  readonly authority: CertificateAuthority
  readonly #plain: Passage
  readonly #secured: Passage
  readonly #timeoutMs: number

  private constructor(authority: CertificateAuthority, plain: Passage, secured: Passage, timeoutMs: number) {
    this.authority = authority
    this.#plain = plain
    this.#secured = secured
    this.#timeoutMs = timeoutMs
  }

  /**
   * @param timeoutMs - How long one script may take.
   * @param firstBytesWaitMs - As the mitm's option. Short, it lets servers speak first without delay; but a request line
   *   that comes slowly is not taken for one then.
   * @param alpnProtocols - What both ends offer in TLS.
   */
  static async open(timeoutMs = 5000, firstBytesWaitMs = 5, alpnProtocols?: readonly string[]): Promise<Passages> {
    const authority = await CertificateAuthority.create()
    const open = async (origin: Origin): Promise<Passage> => {
      await origin.listen()
      const mitm = await startMitm({
        certificateAuthority: authority,
        upstream: { ca: authority.certificate },
        hosts: { [ORIGIN_NAME]: `127.0.0.1:${origin.port}` },
        firstBytesWaitMs,
      })
      return { origin, mitm }
    }
    return new Passages(
      authority,
      await open(new Origin()),
      await open(new Origin(authority, alpnProtocols)),
      timeoutMs,
    )
  }

  /** The passage behind a door. */
  behind(door: Door): Passage {
    return isSecure(door) ? this.#secured : this.#plain
  }

  /** Plays a script without a mitm. */
  async direct(door: Door, script: Script): Promise<Outcome> {
    const { origin } = this.behind(door)
    const outcome = await this.play(script, origin, origin.dial())
    if (!outcome.isOver) throw new Error('The script waits for itself')
    return outcome
  }

  /** Plays a script through a mitm. What that has recorded stays until {@link Passages.forget}. */
  async proxied(door: Door, script: Script, touch: Touch = 'nothing'): Promise<Outcome> {
    const { origin, mitm } = this.behind(door)
    const canAsk = looksLikeRequest(Buffer.from(script.client.turns[0]?.octets ?? '', 'latin1')) === 'yes'
    const remove = putInPlace(mitm, touch === 'possible-answer' && !canAsk ? 'other-rules' : touch)
    try {
      return await this.play(script, origin, enter(door, mitm.port, this.authority, origin.alpnProtocols))
    } finally {
      remove()
    }
  }

  /** Plays a script over a connection that is being opened. */
  async play(script: Script, origin: Origin, opened: Promise<End>): Promise<Outcome> {
    const accepted = origin.accept()
    accepted.catch(() => undefined) // A handshake that was broken off: `converse` tells what came of it.
    try {
      const client = await withDeadline(opened, this.#timeoutMs, () => new Error('Cannot connect in time'))
      return await converse(script, client, accepted, this.#timeoutMs)
    } finally {
      origin.forget()
    }
  }

  /** Drops what was recorded. */
  forget(): void {
    this.#plain.mitm.reset()
    this.#secured.mitm.reset()
  }

  async close(): Promise<void> {
    for (const { mitm, origin } of [this.#plain, this.#secured]) {
      await mitm.close()
      origin.close()
    }
  }
}

function putInPlace(mitm: TestMitm, touch: Touch): () => void {
  if (touch === 'nothing') return () => undefined
  if (touch === 'hooks' || touch === 'async-hooks') {
    const pass: Middleware['clientData'] =
      touch === 'hooks' ? (_, data) => data : (_, data) => new Promise((resolve) => setImmediate(resolve, data))
    const registration = mitm.use({ clientData: pass, serverData: pass })
    return () => registration.dispose()
  }
  if (touch === 'rule-transforms') {
    const rule = mitm.when(() => true)
    rule.clientData((data) => data).serverData((data) => Promise.resolve(data))
    return () => rule.remove()
  }
  // One that could answer for a host keeps it from being dialled before a request has come.
  const host = touch === 'possible-answer' ? ORIGIN_NAME : 'elsewhere.test'
  const rules = [
    mitm.when({ method: 'BREW' }).rewriteRequest({ headers: { a: 'b' } }),
    mitm.when({ host, method: 'BREW', json: { cups: 1 } }).json({}),
  ]
  return () => rules.forEach((rule) => rule.remove())
}
