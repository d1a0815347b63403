/** Property: with a proxy between them, client and server hear what they hear without one. */
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import type { Exchange } from './exchange.ts'
import type { Middleware } from './middleware.ts'
import { looksLikeRequest } from './protocols/http1/head.ts'
import { startMitm } from './test-mitm.ts'
import type { TestMitm } from './test-mitm.ts'
import { converse } from './testing/conversation.ts'
import type { End, Heard, Outcome, Script } from './testing/conversation.ts'
import { DOORS, enter, isSecure, Origin, ORIGIN_NAME } from './testing/doors.ts'
import type { Door } from './testing/doors.ts'
import { validExchanges } from './testing/http1-arbitraries.ts'
import type { ValidExchange } from './testing/http1-arbitraries.ts'
import { cutLists, scriptOf, scripts } from './testing/script-arbitraries.ts'
import { CertificateAuthority } from './tls/certificate-authority.ts'

/** What is done in the proxy, all of which must leave the octets alone. */
type Touch = 'nothing' | 'other-rules' | 'possible-answer' | 'hooks' | 'async-hooks' | 'rule-transforms'

const numRuns = Number(process.env['FC_NUM_RUNS'] ?? 60)
const seed = {
  ...(process.env['FC_SEED'] && { seed: Number(process.env['FC_SEED']) }),
  ...(process.env['FC_LIMIT_MS'] && {
    interruptAfterTimeLimit: Number(process.env['FC_LIMIT_MS']),
    markInterruptAsFailure: false,
  }),
}
const runDeadlineMs = Number(process.env['FC_DEADLINE_MS'] ?? 5000)
const testTimeoutMs = 60_000 + numRuns * 1000

let authority: CertificateAuthority
let plain: Origin
let secured: Origin
let mitms: Record<'plain' | 'secured', TestMitm>

beforeAll(async () => {
  authority = await CertificateAuthority.create()
  plain = new Origin()
  secured = new Origin(authority)
  await Promise.all([plain.listen(), secured.listen()])
  const options = { certificateAuthority: authority, upstream: { ca: authority.certificate }, firstBytesWaitMs: 5 }
  const start = (origin: Origin): Promise<TestMitm> =>
    startMitm({ ...options, hosts: { [ORIGIN_NAME]: `127.0.0.1:${origin.port}` } })
  mitms = { plain: await start(plain), secured: await start(secured) }
})

afterAll(async () => {
  await Promise.all([mitms.plain.close(), mitms.secured.close()])
  plain.close()
  secured.close()
})

async function play(script: Script, origin: Origin, opened: Promise<End>): Promise<Outcome> {
  const accepted = origin.accept()
  try {
    return await converse(script, await opened, accepted, runDeadlineMs)
  } finally {
    origin.forget()
  }
}

function touch(mitm: TestMitm, what: Touch): () => void {
  if (what === 'nothing') return () => undefined
  if (what === 'hooks' || what === 'async-hooks') {
    const pass: Middleware['clientData'] =
      what === 'hooks' ? (_, data) => data : (_, data) => new Promise((resolve) => setImmediate(resolve, data))
    const registration = mitm.use({ clientData: pass, serverData: pass })
    return () => registration.dispose()
  }
  const same = (data: Buffer): Buffer => data
  if (what === 'rule-transforms') {
    const rule = mitm.when(() => true)
    rule.clientData(same).serverData((data) => Promise.resolve(data))
    return () => rule.remove()
  }
  // One that could answer for a host keeps it from being dialled before a request has come.
  const host = what === 'possible-answer' ? ORIGIN_NAME : 'elsewhere.test'
  const rules = [
    mitm.when({ method: 'BREW' }).rewriteRequest({ headers: { a: 'b' } }),
    mitm.when({ host, method: 'BREW', json: { cups: 1 } }).json({}),
  ]
  return () => rules.forEach((rule) => rule.remove())
}

async function compare(door: Door, what: Touch, script: Script): Promise<{ direct: Outcome; proxied: Outcome }> {
  const origin = isSecure(door) ? secured : plain
  const mitm = isSecure(door) ? mitms.secured : mitms.plain
  const direct = await play(script, origin, origin.dial())
  if (!direct.isOver) throw new Error('The script waits for itself')
  const canAnswer = looksLikeRequest(Buffer.from(script.client.turns[0]?.octets ?? '', 'latin1')) === 'yes'
  const untouch = touch(mitm, what === 'possible-answer' && !canAnswer ? 'other-rules' : what)
  try {
    const proxied = await play(script, origin, enter(door, mitm.port, authority))
    return { direct, proxied }
  } finally {
    untouch()
    mitm.reset()
  }
}

function isPrefix(heard: Heard, whole: Heard): boolean {
  return whole.octets.startsWith(heard.octets) || heard.octets.startsWith(whole.octets)
}

describe.each(DOORS)('through the door %s', (door) => {
  const touches = (...of: Touch[]): fc.Arbitrary<Touch> => fc.constantFrom(...of)

  it.each([
    ['a relay', scripts(), touches('nothing', 'other-rules', 'possible-answer', 'hooks', 'async-hooks')],
    ['rules that change nothing', scripts({ isPipelined: false }), touches('rule-transforms')],
  ] as const)(
    '%s gives each side the octets and the end that a direct connection gives',
    async (_, script, what) => {
      await fc.assert(
        fc.asyncProperty(script, what, async (talk, how) => {
          const { direct, proxied } = await compare(door, how, talk)
          expect(proxied).toEqual(direct)
        }),
        { numRuns, ...seed },
      )
    },
    testTimeoutMs,
  )

  it(
    'a reset reaches the other side as a reset, behind octets that were sent',
    async () => {
      const what = touches('nothing', 'other-rules', 'hooks', 'async-hooks', 'rule-transforms')
      await fc.assert(
        fc.asyncProperty(scripts({ ends: 'reset', isPipelined: false }), what, async (talk, how) => {
          const { direct, proxied } = await compare(door, how, talk)
          expect(proxied.isOver).toBe(true)
          // Where even a direct connection shows an end (both came at once), a reset is the truth all the same.
          if (direct.client.end === 'reset') expect(proxied.client.end).toBe('reset')
          if (direct.server.end === 'reset') expect(proxied.server.end).toBe('reset')
          expect(isPrefix(proxied.client, direct.client)).toBe(true)
          expect(isPrefix(proxied.server, direct.server)).toBe(true)
        }),
        { numRuns, ...seed },
      )
    },
    testTimeoutMs,
  )

  it(
    'what is recorded of framed messages is what was sent, however it was cut',
    async () => {
      const what = touches('nothing', 'possible-answer', 'hooks', 'async-hooks', 'rule-transforms')
      await fc.assert(
        fc.asyncProperty(validExchanges, cutLists, fc.boolean(), what, async (exchanges, cuts, isPipelined, how) => {
          const mitm = isSecure(door) ? mitms.secured : mitms.plain
          const untouch = touch(mitm, how)
          try {
            const script = scriptOf(exchanges, cuts, isPipelined)
            const outcome = await play(script, isSecure(door) ? secured : plain, enter(door, mitm.port, authority))
            expect(outcome.isOver).toBe(true)
            const hasEnded = (): true | undefined =>
              mitm.exchanges.every(({ endReason }) => endReason !== undefined) || undefined
            await mitm.changes.until(hasEnded, { timeoutMs: runDeadlineMs })
            expect(mitm.exchanges.map(shown)).toEqual(exchanges.map((each) => expected(each, isSecure(door))))
          } finally {
            untouch()
            mitm.reset()
          }
        }),
        { numRuns, ...seed },
      )
    },
    testTimeoutMs,
  )
})

function shown({ request, interim, response, endReason }: Exchange): unknown {
  return {
    request: [request.method, request.url, request.body.toString('latin1'), request.trailers, request.isComplete],
    interim: interim.length,
    response: response && [
      response.status,
      response.body.toString('latin1'),
      response.bodySize,
      response.trailers,
      response.isComplete,
    ],
    endReason,
  }
}

function expected({ request, interim, response }: ValidExchange, isTls: boolean): unknown {
  const origin = `${isTls ? 'https' : 'http'}://${ORIGIN_NAME}`
  const { target } = request
  const path = target.startsWith('/') ? target : ''
  return {
    request: [
      request.method,
      target.startsWith('http:') ? target : origin + path,
      request.body,
      request.trailers,
      true,
    ],
    interim: interim.length,
    response: [response.status, response.body, response.body.length, response.trailers, true],
    endReason: 'complete',
  }
}
