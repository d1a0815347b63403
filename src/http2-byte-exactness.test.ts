/** Property: with a relay of HTTP/2 between them, client and server hear what they hear without one. */
import fc from 'fast-check'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'

import type { Exchange } from './exchange.ts'
import { DOORS } from './testing/doors.ts'
import { http2Conversations, oddHttp2Scripts } from './testing/http2-arbitraries.ts'
import type { ExpectedStream } from './testing/http2-arbitraries.ts'
import { Passages } from './testing/passages.ts'
import type { Touch } from './testing/passages.ts'

const number = (name: string, otherwise: number): number => Number(process.env[name] ?? otherwise)

/** `FC_NUM_RUNS=5000 FC_SEED=$RANDOM npx vitest run src/http2-byte-exactness.test.ts` goes deeper. */
const numRuns = number('FC_NUM_RUNS', 40)
const parameters: fc.Parameters<unknown> = {
  numRuns,
  seed: number('FC_SEED', 20_261_123),
  // Shrinking a script that hangs takes its deadline at every step.
  interruptAfterTimeLimit: number('FC_LIMIT_MS', 60_000 + numRuns * 100),
}
const testTimeoutMs = 2 * number('FC_LIMIT_MS', 60_000 + numRuns * 100)
/** Rules that could touch a host would drain its connections. */
const touches = fc.constantFrom<Touch>('nothing', 'hooks', 'async-hooks')

let passages: Passages
beforeAll(async () => {
  const deadlineMs = number('FC_DEADLINE_MS', 5000)
  passages = await Passages.open(deadlineMs, deadlineMs, ['h2'])
})
afterEach(() => passages.forget())
afterAll(() => passages.close())

describe.each(DOORS)('through the door %s', (door) => {
  it(
    'each side gets the octets and the end that a direct connection gives, whatever they are',
    async () => {
      await fc.assert(
        fc.asyncProperty(oddHttp2Scripts, touches, async (script, touch) => {
          const direct = await passages.direct(door, script)
          expect(await passages.proxied(door, script, touch)).toEqual(direct)
        }),
        parameters,
      )
    },
    testTimeoutMs,
  )

  it(
    'what is recorded is what was sent, and what was sent arrives as it was',
    async () => {
      const { mitm } = passages.behind(door)
      await fc.assert(
        fc.asyncProperty(http2Conversations, touches, async ({ script, streams }, touch) => {
          passages.forget()
          const direct = await passages.direct(door, script)
          expect(await passages.proxied(door, script, touch)).toEqual(direct)
          const hasEnded = (): true | undefined =>
            mitm.exchanges.every(({ endReason }) => endReason !== undefined) || undefined
          await mitm.changes.until(hasEnded, { timeoutMs: 5000 })
          expect(mitm.exchanges.map(shown)).toEqual(streams.map(expected))
        }),
        parameters,
      )
    },
    testTimeoutMs,
  )
})

function shown({ request, interim, response, endReason, http2 }: Exchange): unknown {
  return {
    request: [request.method, request.url, request.fields, request.body.toString('latin1'), request.trailers],
    interim: interim.map(({ status }) => status),
    response: response && [
      response.status,
      response.fields,
      response.body.toString('latin1'),
      response.bodySize,
      response.trailers,
    ],
    endReason,
    resetCode: http2?.resetCode,
  }
}

function expected(stream: ExpectedStream): unknown {
  const { responseBody, resetCode } = stream
  return {
    request: ['POST', `https://origin.test${stream.path}`, stream.fields, stream.body, stream.requestTrailers],
    interim: stream.interim,
    response: [stream.status, stream.responseFields, responseBody, responseBody.length, stream.trailers],
    endReason: resetCode === undefined ? 'complete' : 'server-reset',
    resetCode,
  }
}
