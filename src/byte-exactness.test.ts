/** Property: with a proxy between them, client and server hear what they hear without one. */
import fc from 'fast-check'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'

import type { Exchange } from './exchange.ts'
import { wordsOf } from './testing/conversation.ts'
import type { Script } from './testing/conversation.ts'
import { dial, DOORS, isSecure, ORIGIN_NAME } from './testing/doors.ts'
import { validExchanges } from './testing/http1-arbitraries.ts'
import type { ValidExchange } from './testing/http1-arbitraries.ts'
import { Passages } from './testing/passages.ts'
import type { Touch } from './testing/passages.ts'
import { cutLists, scriptOf, scripts } from './testing/script-arbitraries.ts'

const number = (name: string, otherwise: number): number => Number(process.env[name] ?? otherwise)

/** `FC_NUM_RUNS=5000 FC_SEED=$RANDOM npx vitest run src/byte-exactness.test.ts` goes deeper. */
const numRuns = number('FC_NUM_RUNS', 60)
const parameters: fc.Parameters<unknown> = {
  numRuns,
  // The same scripts in every run of the suite; `FC_SEED=$RANDOM` looks for new ones.
  seed: number('FC_SEED', 20_261_123),
  // Shrinking a script that hangs takes its deadline at every step.
  interruptAfterTimeLimit: number('FC_LIMIT_MS', 60_000 + numRuns * 100),
}
const testTimeoutMs = 2 * number('FC_LIMIT_MS', 60_000 + numRuns * 100)
const touches = (...of: Touch[]): fc.Arbitrary<Touch> => fc.constantFrom(...of)

let passages: Passages
/** For clients that speak first, however slowly. */
let patient: Passages
beforeAll(async () => {
  const deadlineMs = number('FC_DEADLINE_MS', 5000)
  passages = await Passages.open(deadlineMs)
  patient = await Passages.open(deadlineMs, deadlineMs)
})
afterEach(() => passages.forget())
afterAll(() => Promise.all([passages.close(), patient.close()]))

function hasSpoken({ client, server }: Script): boolean {
  return [client, server].every(({ ending, turns }) => ending !== 'reset' || turns.some(({ octets }) => octets !== ''))
}

describe.each(DOORS)('through the door %s', (door) => {
  it.each([
    ['a relay', scripts(), touches('nothing', 'other-rules', 'possible-answer', 'hooks', 'async-hooks')],
    ['a rule that changes nothing', scripts({ isPipelined: false }), touches('rule-transforms')],
  ] as const)(
    '%s gives each side the octets and the end that a direct connection gives',
    async (_, arbitrary, ways) => {
      await fc.assert(
        fc.asyncProperty(arbitrary, ways, async (script, touch) => {
          const direct = await passages.direct(door, script)
          expect(await passages.proxied(door, script, touch)).toEqual(direct)
        }),
        parameters,
      )
    },
    testTimeoutMs,
  )

  it(
    'a reset reaches the other side as a reset, behind octets that were sent',
    async () => {
      const ways = touches('nothing', 'other-rules', 'hooks', 'async-hooks', 'rule-transforms')
      await fc.assert(
        fc.asyncProperty(scripts({ ends: 'reset', isPipelined: false }), ways, async (script, touch) => {
          // Behind a TLS handshake alone a reset is lost: OpenSSL's own writes meet it, and tell nobody.
          fc.pre(!isSecure(door) || hasSpoken(script))
          const direct = await passages.direct(door, script)
          const proxied = await passages.proxied(door, script, touch)
          expect(proxied.isOver).toBe(true)
          // Where even a direct connection shows an end (both came at once), a reset is the truth all the same.
          if (direct.client.end === 'reset') expect(proxied.client.end).toBe('reset')
          if (direct.server.end === 'reset') expect(proxied.server.end).toBe('reset')
          expect(wordsOf(script.server).startsWith(proxied.client.octets)).toBe(true)
          expect(wordsOf(script.client).startsWith(proxied.server.octets)).toBe(true)
        }),
        parameters,
      )
    },
    testTimeoutMs,
  )

  it(
    'what is recorded of framed messages is what was sent, however it was cut',
    async () => {
      const { mitm } = patient.behind(door)
      const ways = touches('nothing', 'possible-answer', 'hooks', 'async-hooks', 'rule-transforms')
      await fc.assert(
        fc.asyncProperty(validExchanges, cutLists, fc.boolean(), ways, async (exchanges, cuts, isPipelined, touch) => {
          patient.forget()
          const outcome = await patient.proxied(door, scriptOf(exchanges, cuts, isPipelined), touch)
          expect(outcome.isOver).toBe(true)
          const hasEnded = (): true | undefined =>
            mitm.exchanges.every(({ endReason }) => endReason !== undefined) || undefined
          await mitm.changes.until(hasEnded, { timeoutMs: 5000 })
          expect(mitm.exchanges.map(shown)).toEqual(exchanges.map((each) => expected(each, isSecure(door))))
        }),
        parameters,
      )
    },
    testTimeoutMs,
  )
})

it(
  'in absolute-form, only the target is changed and the fields for the proxy are left out',
  async () => {
    const { mitm, origin } = passages.behind('connect')
    const open = async (): ReturnType<typeof origin.dial> => {
      const raw = await dial(mitm.port)
      return { stream: raw, raw }
    }
    const inPath = validExchanges.filter((exchanges) =>
      exchanges.every(({ request }) => request.target.startsWith('/')),
    )
    await fc.assert(
      fc.asyncProperty(inPath, cutLists, async (exchanges, cuts) => {
        const asked = exchanges.map(({ request, ...rest }) => ({ ...rest, request: toProxy(request) }))
        // What the server waits for is what comes of the requests.
        const { client } = scriptOf(asked, cuts, true)
        const { server } = scriptOf(exchanges, cuts, true)
        const outcome = await passages.play({ client, server } satisfies Script, origin, open())
        expect(outcome.isOver).toBe(true)
        expect(outcome.server.octets).toBe(exchanges.map(({ request }) => request.wire).join(''))
        expect(outcome.client.octets).toBe(
          exchanges.map(({ interim, response }) => interim.join('') + response.wire).join(''),
        )
      }),
      parameters,
    )
  },
  testTimeoutMs,
)

function toProxy(request: ValidExchange['request']): ValidExchange['request'] {
  const wire = request.wire.replace(
    /^([\r\n]*\S+ )(\S+ [^\r\n]*)(\r?\n)/,
    (_, method: string, rest: string, end: string) =>
      [
        method,
        `http://${ORIGIN_NAME}`,
        rest,
        end,
        'Proxy-Connection: keep-alive',
        end,
        'proxy-authorization: x',
        end,
      ].join(''),
  )
  return { ...request, wire }
}

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
