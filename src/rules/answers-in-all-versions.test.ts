/** What rules answer, in each version of HTTP. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'

import { describe, expect, it } from 'vitest'

import * as faults from '../faults/faults.ts'
import { Scene, VERSIONS } from '../testing/versions.ts'
import type { Got, Versions } from '../testing/versions.ts'
import { gate } from '../testing/waits.ts'

async function* pieces(...values: (string | Uint8Array)[]): AsyncGenerator<string | Uint8Array, void, undefined> {
  yield* values
}

/** What a client of HTTP/2 does not have: the length of what comes in chunks is told by the end of the stream. */
const text = ({ body }: Got): string => String(body)

/** A response that broke off: by a reset of the connection, or of the stream. */
const BROKEN = /ECONNRESET|aborted|socket hang up|ERR_HTTP2|closed with (?:error )?code/

const errorOf = ({ status, headers }: Got): unknown => [status, headers['x-playwright-mitm-error']]

describe.each(VERSIONS.map((versions): [string, Versions] => [versions.name, versions]))('%s', (_, versions) => {
  it('respond() and json() answer with status, fields and body', async () => {
    await using scene = await Scene.open(versions)
    const { mitm } = scene
    mitm.get('**/text').respond(201, 'héllo', { 'x-a': '1', 'X-Upper': 'B' })
    mitm.get('**/octets').respond(200, Buffer.from([0, 255]))
    mitm.get('**/json').json({ a: [1, null] }, { status: 203 })
    mitm.get('**/empty').respond(200)
    mitm.get('**/none').respond(204)
    mitm.get('**/gzip').respond(200, 'zipped', { 'content-encoding': 'gzip' })
    const first = await scene.ask('/text')
    expect([first.status, text(first)]).toEqual([201, 'héllo'])
    expect(first.headers).toMatchObject({
      'content-type': 'text/plain; charset=utf-8',
      'content-length': '6',
      'x-a': '1',
      'x-upper': 'B',
    })
    expect([...(await scene.ask('/octets')).body]).toEqual([0, 255])
    const json = await scene.ask('/json')
    expect([json.status, json.headers['content-type'], text(json)]).toEqual([203, 'application/json', '{"a":[1,null]}'])
    expect((await scene.ask('/empty')).headers['content-length']).toBe('0')
    const none = await scene.ask('/none')
    expect([none.status, none.headers['content-length'], none.body.length]).toEqual([204, undefined, 0])
    expect(String(gunzipSync((await scene.ask('/gzip')).body))).toBe('zipped')
    expect(text(await scene.ask('/real'))).toBe('GET /real')
    expect(scene.requests).toEqual(['a.test GET /real'])
    expect(mitm.exchanges.map(({ answeredBy, endReason }) => `${answeredBy} ${endReason}`)).toEqual([
      ...Array.from({ length: 6 }, () => 'rule complete'),
      'server complete',
    ])
  })

  it('an answer to HEAD has the length of the body, and not the body', async () => {
    await using scene = await Scene.open(versions)
    scene.mitm.when('**/x').respond(200, 'four')
    const { headers, body } = await scene.ask('/x', { method: 'HEAD' })
    expect([headers['content-length'], body.length]).toEqual(['4', 0])
    expect(text(await scene.ask('/x'))).toBe('four')
  })

  it('a function sees the request whole, and may give a Response', async () => {
    await using scene = await Scene.open(versions)
    scene.mitm.post('**/init').respond(async ({ request }) => Promise.resolve({ json: { got: request.json() } }))
    scene.mitm.post('**/response').respond(({ request }) => {
      const headers = new Headers({ 'set-cookie': 'a=1' })
      headers.append('set-cookie', 'b=2')
      return new Response(request.text(), { status: 202, headers })
    })
    expect(text(await scene.ask('/init', { method: 'POST', body: '[42]' }))).toBe('{"got":[42]}')
    const response = await scene.ask('/response', { method: 'POST', body: 'x'.repeat(100_000) })
    expect([response.status, response.body.length, response.headers['set-cookie']]).toEqual([
      202,
      100_000,
      ['a=1', 'b=2'],
    ])
  })

  it.each([
    [
      'throws',
      (): never => {
        throw new Error('ouch')
      },
      'ouch',
    ],
    ['returns what cannot be sent', () => ({ status: 42 }), 'status is 42'],
  ])('a function that %s is a 500', async (__, responder, message) => {
    await using scene = await Scene.open(versions)
    scene.mitm.get('**/bad').respond(responder)
    const response = await scene.ask('/bad')
    expect(errorOf(response)).toEqual([500, 'MITM_RULE_FAILED'])
    expect(text(response)).toContain(message)
    expect(scene.mitm.errors.map(({ code }) => code)).toEqual(['MITM_RULE_FAILED'])
    expect(text(await scene.ask('/good'))).toBe('GET /good')
  })

  it('a stream leaves piece by piece, with the length that it says', async () => {
    await using scene = await Scene.open(versions)
    const more = gate()
    scene.mitm.get('**/slow').respond(
      200,
      (async function* body() {
        yield 'first '
        await more.opened
        yield 'second'
      })(),
    )
    scene.mitm.get('**/sized').respond(() => ({ body: pieces('one ', 'two'), headers: { 'content-length': '7' } }))
    const slow = scene.ask('/slow')
    await expect.poll(() => scene.mitm.exchanges[0]?.response?.bodySize).toBe(6)
    expect(scene.mitm.exchanges[0]?.endReason).toBeUndefined()
    more.open()
    expect(text(await slow)).toBe('first second')
    const sized = await scene.ask('/sized')
    expect([sized.headers['content-length'], text(sized)]).toEqual(['7', 'one two'])
  })

  it('a stream that fails, or is not as long as it says, breaks the response off', async () => {
    await using scene = await Scene.open(versions)
    scene.mitm.get('**/fails').respond(
      200,
      (async function* body() {
        yield 'half'
        throw new Error('ouch')
      })(),
    )
    scene.mitm.get('**/short').respond(() => ({ body: pieces('one'), headers: { 'content-length': '7' } }))
    for (const path of ['/fails', '/short']) await expect(scene.ask(path)).rejects.toThrow(BROKEN)
    await expect.poll(() => scene.mitm.errors.map(({ code }) => code)).toEqual(['MITM_RULE_FAILED', 'MITM_RULE_FAILED'])
    expect(scene.mitm.exchanges.map(({ endReason }) => endReason)).toEqual(['failed', 'failed'])
  })

  it('a file is read anew each time', async () => {
    await using scene = await Scene.open(versions)
    const folder = await mkdtemp(join(tmpdir(), 'answers-'))
    try {
      const path = join(folder, 'data.json')
      scene.mitm.get('**/file').respond(200, { path })
      await writeFile(path, '{"a":1}')
      const first = await scene.ask('/file')
      expect([first.headers['content-type'], first.headers['content-length'], text(first)]).toEqual([
        'application/json',
        '7',
        '{"a":1}',
      ])
      const big = Buffer.alloc(3 * 2 ** 20, 'x')
      await writeFile(path, big)
      expect((await scene.ask('/file')).body.equals(big)).toBe(true)
      await rm(path)
      expect(errorOf(await scene.ask('/file'))).toEqual([500, 'MITM_RULE_FAILED'])
    } finally {
      await rm(folder, { recursive: true })
    }
  })

  it('redirect() sends the client elsewhere', async () => {
    await using scene = await Scene.open(versions)
    scene.mitm.get('**/a').redirect('/b?x=ü')
    scene.mitm.get('**/c').redirect('https://b.test', 308)
    const first = await scene.ask('/a')
    expect([first.status, first.headers['location'], first.body.length]).toEqual([302, '/b?x=%C3%BC', 0])
    const second = await scene.ask('/c')
    expect([second.status, second.headers['location']]).toEqual([308, 'https://b.test/'])
  })

  it('sse() sends events one by one', async () => {
    await using scene = await Scene.open(versions)
    scene.mitm.get('**').sse(['one\ntwo', { event: 'price', id: '7', data: { eur: 1 } }])
    const { headers, body } = await scene.ask('/')
    expect(headers['content-type']).toMatch(/^text\/event-stream/)
    expect(String(body)).toBe('data: one\ndata: two\n\nevent: price\nid: 7\ndata: {"eur":1}\n\n')
  })

  it('trailers follow the body', async () => {
    await using scene = await Scene.open(versions)
    scene.mitm.get('**/text').respond({ body: 'text', trailers: { 'X-Sum': '4' } })
    const { body, trailers } = await scene.ask('/text')
    expect([String(body), { ...trailers }['x-sum']]).toEqual(['text', '4'])
    expect(scene.mitm.exchanges[0]?.response?.trailers.map(([name, value]) => [name.toLowerCase(), value])).toEqual([
      ['x-sum', '4'],
    ])
  })

  it('interim() and earlyHints() come before an answer, and before what a server answers', async () => {
    await using scene = await Scene.open(versions)
    const hints = ['</a.css>; rel=preload', '</b.css>; rel=preload']
    scene.mitm.get('**/real').earlyHints(hints).interim(102)
    scene.mitm.get('**/mock').earlyHints(hints).interim(102).respond(200, 'mock')
    for (const [path, body] of [
      ['/mock', 'mock'],
      ['/real', 'GET /real'],
    ] as const) {
      const response = await scene.ask(path)
      expect([response.interim, text(response)]).toEqual([[103, 102], body])
    }
    expect(scene.mitm.exchanges[1]?.interim.map(({ status }) => status)).toEqual([103, 102])
  })

  it('delay() waits, before an answer and before a server', async () => {
    await using scene = await Scene.open(versions)
    scene.mitm.get('**').delay(60)
    scene.mitm.get('**/mock').delay(60).respond(200)
    for (const path of ['/mock', '/real']) {
      const before = performance.now()
      await scene.ask(path)
      expect(performance.now() - before).toBeGreaterThan(58)
    }
  })

  it('block() gives no response, and asks no server', async () => {
    await using scene = await Scene.open(versions)
    scene.mitm.get('**/blocked').block()
    await expect(scene.ask('/blocked')).rejects.toThrow(BROKEN)
    await expect.poll(() => scene.mitm.exchanges[0]?.endReason).toBe('blocked')
    expect(text(await scene.ask('/other'))).toBe('GET /other')
    expect(scene.requests).toEqual(['a.test GET /other'])
    // In HTTP/1.1 the connection is cut; in HTTP/2 the stream, and others on the connection are not touched.
    expect(scene.mitm.connections).toHaveLength(versions.client === 'h2' ? 1 : 2)
    expect(scene.mitm.errors).toEqual([])
  })

  it('once(), times(), after(), sequence() and remove() count requests, not connections', async () => {
    await using scene = await Scene.open(versions)
    const { mitm } = scene
    mitm.get('**/x').respond(200, 'twice').times(2)
    mitm.get('**/x').respond(200, 'once').once()
    mitm.get('**/x').respond(200, 'removed').remove()
    mitm.get('**/late').respond(200, 'late').after(1)
    mitm.get('**/steps').sequence(503, 'pass', (rule) => rule.json({ id: 1 }), faults.status(429))
    const bodies = async (path: string, count: number): Promise<string[]> => {
      const all: string[] = []
      for (let at = 0; at < count; at++) {
        const response = await scene.ask(path)
        all.push(`${response.status} ${text(response)}`.trim())
      }
      return all
    }
    expect(await bodies('/x', 4)).toEqual(['200 once', '200 twice', '200 twice', '200 GET /x'])
    expect(await bodies('/late', 2)).toEqual(['200 GET /late', '200 late'])
    const steps = await bodies('/steps', 5)
    expect(steps.map((step) => step.slice(0, 12))).toEqual([
      '503',
      '200 GET /ste',
      '200 {"id":1}',
      expect.stringMatching(/^429/),
      '200 GET /ste',
    ])
    // A server that speaks HTTP/2 alone is dialled again for it.
    expect(scene.accepted).toBe(versions.client === 'http/1.1' && versions.server === 'h2' ? 2 : 1)
  })

  it('pages of other origins may read an answer, unless its rule says otherwise', async () => {
    await using scene = await Scene.open(versions)
    scene.mitm.when({ method: 'PUT', url: '**/x' }).json({})
    scene.mitm.get('**/secret').json({}).cors(false)
    const headers = { origin: 'https://shop.test' }
    const answer = await scene.ask('/x', { method: 'PUT', headers, body: '{}' })
    expect(answer.headers).toMatchObject({
      'access-control-allow-origin': 'https://shop.test',
      'access-control-allow-credentials': 'true',
    })
    expect((await scene.ask('/secret', { headers })).headers['access-control-allow-origin']).toBeUndefined()
    const preflight = (method: string): Promise<Got> =>
      scene.ask('/x', { method: 'OPTIONS', headers: { ...headers, 'access-control-request-method': method } })
    const allowed = await preflight('PUT')
    expect([allowed.status, allowed.headers['access-control-allow-methods']]).toEqual([204, 'PUT'])
    expect(text(await preflight('DELETE'))).toBe('OPTIONS /x')
  })

  it.each(['block', 'fail'] as const)(
    'what no rule is for is answered with 502, but for what is allowed: %s',
    async (mode) => {
      await using scene = await Scene.open(versions, {
        mitm: { unmatched: { mode, allow: ['**/allowed'] }, hosts: {} },
      })
      scene.mitm.get('**/mock').respond(200, 'mock')
      expect(text(await scene.ask('/mock'))).toBe('mock')
      const refused = await scene.ask('/other', { method: 'POST', body: 'body' })
      expect(errorOf(refused)).toEqual([502, 'MITM_UNMATCHED_REQUEST'])
      expect(text(refused)).toContain("mitm.post('https://a.test/other')")
      expect(scene.mitm.exchanges[1]?.error?.code).toBe('MITM_UNMATCHED_REQUEST')
      expect(scene.requests).toEqual([])
    },
  )
})
