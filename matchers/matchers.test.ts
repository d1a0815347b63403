import { setImmediate } from 'node:timers/promises'
import { stripVTControlCharacters } from 'node:util'

import { beforeEach, describe, expect, it } from 'vitest'

import { FakeMitm } from '../src/testing/fake-mitm.ts'
import { mitmMatchers } from './index.ts'
import type { MitmMatchers } from './index.ts'

expect.extend(mitmMatchers)

declare module 'vitest' {
  interface Assertion<T> extends MitmMatchers<T> {}
}

const CHARGE = { method: 'POST', url: 'https://pay.test/charge' }

let mitm: FakeMitm
beforeEach(() => {
  mitm = new FakeMitm()
})

/** Whether a promise has settled by now. */
async function state(promise: Promise<unknown>): Promise<'pending' | 'passed' | 'failed'> {
  let seen: 'pending' | 'passed' | 'failed' = 'pending'
  promise.then(
    () => (seen = 'passed'),
    () => (seen = 'failed'),
  )
  await setImmediate()
  return seen
}

async function failure(promise: Promise<unknown>): Promise<string> {
  try {
    await promise
  } catch (error) {
    return stripVTControlCharacters(error instanceof Error ? error.message : String(error))
  }
  throw new Error('the matcher passed')
}

describe('toHaveRequested()', () => {
  it('passes at once when a matching request came before', async () => {
    mitm.request('GET', 'https://pay.test/')
    mitm.request('POST', 'https://pay.test/charge')
    await expect(mitm).toHaveRequested(CHARGE)
  })

  it('refuses options that it does not have', async () => {
    const options: object = { timout: 3 }
    await expect(expect(mitm).toHaveRequested(CHARGE, options)).rejects.toThrow('"timout"')
  })

  it('waits for the request, and passes as soon as its head has come', async () => {
    const matcher = expect(mitm).toHaveRequested(CHARGE)
    mitm.request('GET', 'https://pay.test/charge')
    expect(await state(matcher)).toBe('pending')
    mitm.request('POST', 'https://pay.test/charge', { isComplete: false })
    expect(await state(matcher)).toBe('passed')
  })

  it('waits for the body when the filter looks at it', async () => {
    const exchange = mitm.request('POST', 'https://pay.test/charge', { isComplete: false })
    const matcher = expect(mitm).toHaveRequested({ ...CHARGE, json: { eur: 42 } })
    exchange.request.addBody(Buffer.from('{"eur":42,"to":"x"}'))
    mitm.changes.fire()
    expect(await state(matcher)).toBe('pending')
    exchange.request.finish()
    mitm.changes.fire()
    expect(await state(matcher)).toBe('passed')
  })

  it('waits for the response when the filter looks at it', async () => {
    const exchange = mitm.request('POST', 'https://pay.test/charge')
    const matcher = expect(mitm).toHaveRequested({ ...CHARGE, status: 201 })
    expect(await state(matcher)).toBe('pending')
    mitm.respond(exchange, 201)
    expect(await state(matcher)).toBe('passed')
  })

  it('asks a function again as the exchange goes on', async () => {
    const exchange = mitm.request('POST', 'https://pay.test/charge')
    const matcher = expect(mitm).toHaveRequested(({ response }) => response?.status === 201)
    expect(await state(matcher)).toBe('pending')
    mitm.respond(exchange, 201)
    expect(await state(matcher)).toBe('passed')
  })

  it('shows the seed once anything was left to chance', async () => {
    const matcher = (): Promise<string> => failure(expect(mitm).toHaveRequested(CHARGE, { timeout: 1 }))
    expect(await matcher()).not.toContain('Seed')
    mitm.drawnSeed = 'mine'
    expect(await matcher()).toContain('\nSeed:     mine; the same comes out with mitmOptions: { seed: "mine" }\n')
  })

  it('shows the nearest misses first when none matched in time', async () => {
    mitm.respond(mitm.request('GET', 'https://shop.test/'), 200)
    mitm.respond(mitm.request('GET', 'https://pay.test/charge'), 405)
    mitm.respond(mitm.request('POST', 'https://pay.test/charge', { body: 'eur=41' }), 201)
    mitm.request('POST', 'https://pay.test/charge', { isComplete: false })
    const text = await failure(expect(mitm).toHaveRequested({ ...CHARGE, body: 'eur=42' }, { timeout: 10 }))
    expect(text).toBe(`expect(mitm).toHaveRequested(filter) failed

Proxy:    http://127.0.0.1:8080
Expected: POST https://pay.test/charge with body "eur=42"
Received: 4 requests, none matching
Timeout:  10ms

Nearest misses:
  POST https://pay.test/charge -> 201
    - body is "eur=41", expected "eur=42" (differs at offset 5)
  POST https://pay.test/charge -> pending
    - body cannot be read: the body has not come whole
  GET https://pay.test/charge -> 405
    - method is GET, expected POST
    - body is "", expected "eur=42" (differs at offset 0)
  GET https://shop.test/ -> 200
    - method is GET, expected POST
    - url is https://shop.test/, expected https://pay.test/charge
    - body is "", expected "eur=42" (differs at offset 0)`)
  })

  it('lists what else came, and counts what is too much to list', async () => {
    for (let index = 1; index <= 17; index++) mitm.request('GET', `https://shop.test/${index}`)
    const text = await failure(expect(mitm).toHaveRequested('https://pay.test/**', { timeout: 10 }))
    expect(text).toContain('Received: 17 requests, none matching\n')
    expect(text.match(/ - url is/g)).toHaveLength(5)
    expect(text.split('Other requests:\n')[1]?.split('\n')).toEqual([
      ...Array.from({ length: 10 }, (_, index) => `  GET https://shop.test/${index + 6} -> pending`),
      '  … and 2 more',
    ])
  })

  it('asks whether the proxy is used when nothing came', async () => {
    const text = await failure(expect(mitm).toHaveRequested('https://pay.test/**', { timeout: 10 }))
    expect(text).toBe(`expect(mitm).toHaveRequested(filter) failed

Proxy:    http://127.0.0.1:8080
Expected: https://pay.test/**
Received: no requests
Timeout:  10ms

No request reached this mitm: is the page or the server using its proxy?`)
  })

  it('says that it was still waiting when the test ended', async () => {
    mitm.request('GET', 'https://pay.test/charge')
    const matcher = expect(mitm).toHaveRequested(CHARGE)
    mitm.changes.end()
    expect(await failure(matcher)).toBe(`expect(mitm).toHaveRequested(filter) failed

Proxy:    http://127.0.0.1:8080
Expected: POST https://pay.test/charge
Received: 1 request, none matching; still waiting when the test ended

Nearest misses:
  GET https://pay.test/charge -> pending
    - method is GET, expected POST`)
  })

  it('says in the misses what a function of the filter threw', async () => {
    mitm.request('GET', 'https://pay.test/')
    const broken = (): boolean => {
      throw new Error('no such thing')
    }
    expect(await failure(expect(mitm).toHaveRequested(broken, { timeout: 10 }))).toContain('threw: no such thing')
  })

  it('waits until the test ends with a timeout of 0', async () => {
    const matcher = expect(mitm).toHaveRequested(CHARGE, { timeout: 0 })
    expect(await state(matcher)).toBe('pending')
    mitm.request('POST', 'https://pay.test/charge')
    await matcher
  })
})

describe('not.toHaveRequested()', () => {
  it('passes when the traffic has settled without a match, and not before', async () => {
    const matcher = expect(mitm).not.toHaveRequested(CHARGE)
    mitm.request('GET', 'https://pay.test/charge')
    expect(await state(matcher)).toBe('pending')
    mitm.settle()
    expect(await state(matcher)).toBe('passed')
  })

  it('fails as soon as one matches, and lists those that did', async () => {
    const matcher = failure(expect(mitm).not.toHaveRequested(CHARGE))
    expect(await state(matcher)).toBe('pending')
    mitm.request('GET', 'https://shop.test/')
    mitm.respond(mitm.request('POST', 'https://pay.test/charge', { body: `{"note":\n"${'x'.repeat(300)}"}` }), 201)
    expect(await matcher).toBe(`expect(mitm).not.toHaveRequested(filter) failed

Proxy:    http://127.0.0.1:8080
Expected: no request matching POST https://pay.test/charge
Received: 2 requests, 1 matching

Matching requests:
  POST https://pay.test/charge -> 201
    body: {"note": "${'x'.repeat(190)}…`)
  })

  it('gives the size of a body that is no text', async () => {
    mitm.request('POST', 'https://pay.test/charge', { body: Buffer.from([0, 27, 255]) })
    expect(await failure(expect(mitm).not.toHaveRequested(CHARGE))).toMatch(/\n {4}body: 3 octets$/)
  })

  it('passes at the timeout when nothing matched in traffic that never settles', async () => {
    mitm.request('GET', 'https://pay.test/poll')
    await expect(mitm).not.toHaveRequested(CHARGE, { timeout: 10 })
  })

  it('is decided by what was seen when the test ends', async () => {
    const matcher = expect(mitm).not.toHaveRequested(CHARGE)
    mitm.changes.end()
    await matcher
    mitm.request('POST', 'https://pay.test/charge')
    expect(await failure(expect(mitm).not.toHaveRequested(CHARGE))).toContain('Received: 1 request, 1 matching\n')
  })
})

describe('toHaveRequested() with what came of a request', () => {
  it('proves that a fault acted, and that none did', async () => {
    const broken = mitm.request('POST', 'https://pay.test/charge')
    const matcher = expect(mitm).toHaveRequested({ url: 'https://pay.test/charge', fault: 'resetPeer' })
    broken.faults.push({ name: 'resetPeer', text: 'resetPeer', at: 0 })
    mitm.changes.fire()
    await matcher

    const whole = mitm.request('GET', 'https://pay.test/price')
    const text = await failure(expect(mitm).toHaveRequested({ url: '**/price', fault: false }, { timeout: 10 }))
    expect(text).toContain('- fault is none so far, expected none')
    mitm.respond(whole, 200)
    await expect(mitm).toHaveRequested({ url: '**/price', fault: false })
    mitm.settle()
    await expect(mitm).not.toHaveRequested({ url: '**/price', fault: true })
  })
})

describe('toHaveRequestedTimes()', () => {
  it('does not count what the browser sends again by itself, and says so', async () => {
    const broken = mitm.request('POST', 'https://pay.test/charge')
    broken.isResent = true
    broken.endReason = 'fault'
    mitm.respond(mitm.request('POST', 'https://pay.test/charge'), 201)
    mitm.settle()
    await expect(mitm).toHaveRequestedTimes('https://pay.test/charge', 1)
    const text = await failure(expect(mitm).toHaveRequestedTimes('https://pay.test/charge', 2, { timeout: 10 }))
    expect(text).toContain('POST https://pay.test/charge -> fault (sent again by the browser itself)')
  })

  it('passes when the traffic has settled with the right number, and not before', async () => {
    const matcher = expect(mitm).toHaveRequestedTimes(CHARGE, 2)
    mitm.request('POST', 'https://pay.test/charge')
    mitm.request('GET', 'https://pay.test/charge')
    expect(await state(matcher)).toBe('pending')
    mitm.request('POST', 'https://pay.test/charge')
    expect(await state(matcher)).toBe('pending')
    mitm.settle()
    expect(await state(matcher)).toBe('passed')
  })

  it('goes on waiting for the number when the traffic settles with fewer', async () => {
    mitm.settle()
    const matcher = expect(mitm).toHaveRequestedTimes(CHARGE, 1)
    expect(await state(matcher)).toBe('pending')
    mitm.request('POST', 'https://pay.test/charge')
    await matcher
  })

  it('fails as soon as there is one too many', async () => {
    const matcher = failure(expect(mitm).toHaveRequestedTimes(CHARGE, 1))
    mitm.respond(mitm.request('POST', 'https://pay.test/charge', { body: 'first' }), 201)
    mitm.request('GET', 'https://shop.test/')
    expect(await state(matcher)).toBe('pending')
    mitm.request('POST', 'https://pay.test/charge', { body: 'second' })
    expect(await matcher).toBe(`expect(mitm).toHaveRequestedTimes(filter, 1) failed

Proxy:    http://127.0.0.1:8080
Expected: 1 request matching POST https://pay.test/charge
Received: 3 requests, 2 matching

Matching requests:
  POST https://pay.test/charge -> 201
    body: first
  POST https://pay.test/charge -> pending
    body: second`)
  })

  it('shows those that matched and those that nearly did when there are too few in time', async () => {
    mitm.request('POST', 'https://pay.test/charge')
    mitm.request('PUT', 'https://pay.test/charge')
    const text = await failure(expect(mitm).toHaveRequestedTimes(CHARGE, 2, { timeout: 10 }))
    expect(text).toBe(`expect(mitm).toHaveRequestedTimes(filter, 2) failed

Proxy:    http://127.0.0.1:8080
Expected: 2 requests matching POST https://pay.test/charge
Received: 2 requests, 1 matching
Timeout:  10ms

Matching requests:
  POST https://pay.test/charge -> pending

Nearest misses:
  PUT https://pay.test/charge -> pending
    - method is PUT, expected POST`)
  })

  it('passes at the timeout with the right number in traffic that never settles', async () => {
    mitm.request('POST', 'https://pay.test/charge')
    await expect(mitm).toHaveRequestedTimes(CHARGE, 1, { timeout: 10 })
  })

  it('takes 0 for: none once the traffic has settled', async () => {
    const none = expect(mitm).toHaveRequestedTimes(CHARGE, 0)
    expect(await state(none)).toBe('pending')
    mitm.settle()
    await none
    mitm.request('POST', 'https://pay.test/charge')
    expect(await failure(expect(mitm).toHaveRequestedTimes(CHARGE, 0))).toContain('Expected: 0 requests matching')
  })

  it('fails when the test ends before the traffic has settled, also with the right number', async () => {
    mitm.request('POST', 'https://pay.test/charge')
    const matcher = expect(mitm).toHaveRequestedTimes(CHARGE, 1)
    expect(await state(matcher)).toBe('pending')
    mitm.changes.end()
    expect(await failure(matcher)).toContain('Received: 1 request, 1 matching; still waiting when the test ended\n')
  })

  it('passes with .not for any other number, at once for a larger one', async () => {
    mitm.request('POST', 'https://pay.test/charge')
    const fewer = expect(mitm).not.toHaveRequestedTimes(CHARGE, 2)
    expect(await state(fewer)).toBe('pending')
    await expect(mitm).not.toHaveRequestedTimes(CHARGE, 0)
    mitm.settle()
    await fewer
  })

  it('fails with .not for that number once the traffic has settled, or the test has ended', async () => {
    mitm.request('POST', 'https://pay.test/charge')
    const ended = expect(mitm).not.toHaveRequestedTimes(CHARGE, 1)
    mitm.changes.end()
    expect(await failure(ended)).toContain('; still waiting when the test ended\n')
    mitm.settle()
    expect(await failure(expect(mitm).not.toHaveRequestedTimes(CHARGE, 1))).toContain(
      'Expected: any number but 1 request matching POST https://pay.test/charge\n',
    )
  })

  it.each([-1, 1.5, Number.NaN, '2', undefined])('refuses %s as a number of requests', async (times) => {
    const matcher = mitmMatchers.toHaveRequestedTimes.call({}, mitm, CHARGE, times as number)
    await expect(matcher).rejects.toThrow(
      `toHaveRequestedTimes() expects a number of requests as its second argument: got ${times}, expected a whole number from 0 on [MITM_INVALID_OPTION]`,
    )
  })
})

describe('every matcher', () => {
  it.each([
    [{}, 'an object'],
    [new URL('http://a.test'), 'an object of class URL'],
    [Promise.resolve(new FakeMitm()), 'a promise; await it first'],
    [undefined, 'undefined'],
    ['mitm', '"mitm"'],
  ])('refuses %o', async (receiver, description) => {
    const message = `() expects a mitm, such as the fixture "mitm" or what startMitm() gives: got ${description} [`
    const notMitm = receiver as unknown as FakeMitm
    await expect(mitmMatchers.toHaveRequested.call({}, notMitm, CHARGE)).rejects.toThrow(`toHaveRequested${message}`)
    await expect(mitmMatchers.toHaveRequestedTimes.call({}, notMitm, CHARGE, 1)).rejects.toThrow(
      `toHaveRequestedTimes${message}`,
    )
  })

  it('takes its timeout from Playwright, unless it is given one', async () => {
    const playwright = { isNot: false, promise: '', timeout: 7 }
    const result = await mitmMatchers.toHaveRequested.call(playwright, mitm, CHARGE)
    expect(result).toMatchObject({ pass: false, name: 'toHaveRequested', timeout: 7 })
    const own = await mitmMatchers.toHaveRequested.call(playwright, mitm, CHARGE, { timeout: 3 })
    expect(own.timeout).toBe(3)
  })

  it.each([-1, Number.NaN])('refuses %d as its timeout', async (timeout) => {
    const matcher = mitmMatchers.toHaveRequested.call({}, mitm, CHARGE, { timeout })
    await expect(matcher).rejects.toThrow(expect.objectContaining({ code: 'MITM_INVALID_OPTION' }))
  })

  it('gives the same text without the colours of a runner', async () => {
    mitm.request('GET', 'https://pay.test/')
    const inVitest = await failure(expect(mitm).toHaveRequested(CHARGE, { timeout: 5 }))
    const { message } = await mitmMatchers.toHaveRequested.call({}, mitm, CHARGE, { timeout: 5 })
    expect(message()).toBe(inVitest)
  })
})
