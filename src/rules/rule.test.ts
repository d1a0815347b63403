import { gunzipSync, gzipSync } from 'node:zlib'

import { describe, expect, it } from 'vitest'

import { Connection } from '../connection.ts'
import { Exchange, HttpRequest } from '../exchange.ts'
import type { Field } from '../exchange.ts'
import { resetPeer } from '../faults/reset-peer.ts'
import type { RewrittenRequest, RewrittenResponse } from '../middleware.ts'
import type { RequestRewriter, ResponseRewriter } from './rewrite-act.ts'
import type { HeadersInput } from './headers-input.ts'
import type { RequestChange, ResponseChange } from './message-change.ts'
import { RuleList } from './rule-list.ts'
import type { Rule } from './rule.ts'

const FIELDS: readonly Field[] = [
  ['Host', 'api.test'],
  ['X-A', '1'],
  ['Cookie', 'a'],
  ['x-a', '2'],
]
const INVALID: unknown = expect.objectContaining({ code: 'MITM_INVALID_RULE' })
const FAILED: unknown = expect.objectContaining({ code: 'MITM_RULE_FAILED' })

function anyRule(): Rule {
  return new RuleList().when('**')
}

function exchangeOf(): Exchange {
  const head = { method: 'POST', url: 'https://api.test/a?b', target: '/a?b', httpVersion: 'HTTP/1.1', fields: FIELDS }
  return new Exchange(new Connection(), new HttpRequest(head))
}

async function answerOf(make: (rule: Rule) => Rule): Promise<RewrittenResponse> {
  const rules = new RuleList()
  make(rules.when('**'))
  const answer = (await rules.intercept(exchangeOf()))?.answer
  if (answer?.kind !== 'respond') throw new Error('no answer')
  return answer.response(exchangeOf())
}

async function rewriteRequest(
  change: RequestChange | RequestRewriter,
  given: Partial<RewrittenRequest> = {},
): Promise<RewrittenRequest> {
  const rules = new RuleList()
  rules.when('**').rewriteRequest(change)
  const rewrite = (await rules.intercept(exchangeOf()))?.rewriteRequest?.[0]
  if (!rewrite) throw new Error('no rewrite')
  expect(rewrite.needsBody).toBe(typeof change === 'function')
  const request = { method: 'POST', url: 'https://api.test/a?b', fields: FIELDS, body: undefined, ...given }
  return rewrite.apply(request, exchangeOf())
}

async function rewriteResponse(
  change: ResponseChange | ResponseRewriter,
  given: Partial<RewrittenResponse> = {},
): Promise<RewrittenResponse> {
  const rules = new RuleList()
  rules.when('**').rewriteResponse(change)
  const rewrite = (await rules.intercept(exchangeOf()))?.rewriteResponse?.[0]
  if (!rewrite) throw new Error('no rewrite')
  return rewrite.apply({ status: 200, statusText: 'Fine', fields: [], body: undefined, ...given }, exchangeOf())
}

describe('answers', () => {
  it.each<[string | Uint8Array | undefined, string | undefined]>([
    ['hi', 'text/plain; charset=utf-8'],
    ['<p>', 'text/html; charset=utf-8'],
    [Buffer.from('hi'), 'application/octet-stream'],
    [undefined, undefined],
  ])('respond() calls %j %s', async (body, type) => {
    const { status, statusText, fields, body: sent } = await answerOf((rule) => rule.respond(404, body))
    expect({ status, statusText, fields }).toEqual({
      status: 404,
      statusText: 'Not Found',
      fields: type ? [['content-type', type]] : [],
    })
    expect(sent).toEqual(Buffer.from(body ?? ''))
  })

  it('json() refuses a second argument that is none, such as bare headers', () => {
    const headers: object = { 'x-a': '1' }
    expect(() => anyRule().json({}, headers)).toThrow('"x-a" is not known')
  })

  it('respond() lets headers name the type and the coding', async () => {
    const headers = { 'Content-Type': 'text/csv', 'content-encoding': 'gzip', 'set-cookie': ['a', 'b'] }
    const { fields, body } = await answerOf((rule) => rule.respond(200, 'a,b', headers))
    expect(fields).toEqual([
      ['Content-Type', 'text/csv'],
      ['content-encoding', 'gzip'],
      ['set-cookie', 'a'],
      ['set-cookie', 'b'],
    ])
    expect(gunzipSync(body ?? Buffer.alloc(0)).toString()).toBe('a,b')
  })

  it.each([0, false, null, '', [], { a: 1 }])('json() sends %j', async (value) => {
    const { status, fields, body } = await answerOf((rule) => rule.json(value, { status: 201, headers: { a: 'b' } }))
    expect(status).toBe(201)
    expect(fields).toEqual([
      ['content-type', 'application/json'],
      ['a', 'b'],
    ])
    expect(body?.toString()).toBe(JSON.stringify(value))
  })

  it.each<[string, (rule: Rule) => unknown]>([
    ['a status that is none', (rule) => rule.respond(99)],
    ['an interim status', (rule) => rule.respond(101)],
    ['a body with 204', (rule) => rule.respond(204, 'x')],
    ['JSON with 304', (rule) => rule.json(null, { status: 304 })],
    ['JSON of undefined', (rule) => rule.json(undefined)],
    ['JSON of what JSON cannot hold', (rule) => rule.json({ n: 1n })],
    ['an object as body', (rule) => rule.respond(200, {} as string)],
    ['a header with a line feed', (rule) => rule.respond(200, '', { a: 'b\nc: d' })],
    ['a header name with a blank', (rule) => rule.respond(200, '', { 'a b': 'c' })],
    ['headers of another kind', (rule) => rule.respond(200, '', new Map() as unknown as HeadersInput)],
    ['a second answer', (rule) => rule.respond(200).block()],
    ['half a time', (rule) => rule.times(0.5)],
    ['less than no times', (rule) => rule.times(-1)],
    ['body and json', (rule) => rule.rewriteRequest({ body: '', json: 0 })],
    ['a change that is none', (rule) => rule.rewriteRequest(null as unknown as RequestChange)],
    ['a key that is none', (rule) => rule.rewriteResponse({ statusCode: 200 } as ResponseChange)],
    ['a URL of another kind', (rule) => rule.rewriteRequest({ url: 'ftp://a.test/' })],
    ['a reason of two lines', (rule) => rule.rewriteResponse({ statusText: 'a\r\nb' })],
    ['a transform that is none', (rule) => rule.serverData('x' as unknown as () => Buffer)],
  ])('refuse %s', (_, tell) => {
    expect(() => tell(anyRule())).toThrow(INVALID)
  })
})

describe('rewriteRequest()', () => {
  it('sets, adds and removes fields, and leaves the others in order and case', async () => {
    const headers = { 'X-a': 'new', cookie: null, added: ['1', '2'], absent: undefined }
    expect((await rewriteRequest({ headers })).fields).toEqual([
      ['Host', 'api.test'],
      ['X-A', 'new'],
      ['added', '1'],
      ['added', '2'],
    ])
    expect((await rewriteRequest({ headers: [['A', '1']] })).fields).toEqual([['A', '1']])
  })

  it('resolves a URL against the one so far, and keeps host in step', async () => {
    expect(await rewriteRequest({ url: '/c', method: 'PUT' })).toMatchObject({
      url: 'https://api.test/c',
      method: 'PUT',
      fields: FIELDS,
    })
    const moved = await rewriteRequest({ url: 'http://other.test:81/c#d' })
    expect(moved.url).toBe('http://other.test:81/c')
    expect(moved.fields[0]).toEqual(['Host', 'other.test:81'])
    const kept = await rewriteRequest({ url: 'http://other.test/', headers: { host: 'mine.test' } })
    expect(kept.fields[0]).toEqual(['Host', 'mine.test'])
  })

  it('leaves a body that it does not name to stream on', async () => {
    expect((await rewriteRequest({ method: 'PUT' })).body).toBeUndefined()
    expect((await rewriteRequest({ body: '' })).body).toEqual(Buffer.alloc(0))
  })

  it('writes json, with its type unless another is given', async () => {
    const falsy = await rewriteRequest({ json: false }, { fields: [['Content-Type', 'text/plain']] })
    expect(falsy).toMatchObject({ body: Buffer.from('false'), fields: [['Content-Type', 'application/json']] })
    const typed = await rewriteRequest({ json: 1, headers: { 'content-type': 'a/b' } }, { fields: [] })
    expect(typed.fields).toEqual([['content-type', 'a/b']])
  })

  it('shows functions the decoded message and sends theirs in the same coding', async () => {
    const fields: readonly Field[] = [['Content-Encoding', 'gzip']]
    const { body } = await rewriteRequest(
      async (request) => {
        expect(request).toMatchObject({ method: 'POST', headers: { 'content-encoding': 'gzip' }, fields })
        return Promise.resolve({ body: `${request.body.toString()}${request.text()}${JSON.stringify(request.json())}` })
      },
      { fields, body: gzipSync('1') },
    )
    expect(gunzipSync(body ?? Buffer.alloc(0)).toString()).toBe('111')
  })

  it('keeps the very octets of content that stays what it was', async () => {
    const body = gzipSync('1', { level: 1 })
    const given = { fields: [['content-encoding', 'gzip']] as const, body }
    expect((await rewriteRequest(() => ({ method: 'PUT' }), given)).body).toBe(body)
    expect((await rewriteRequest((request) => ({ body: request.body }), given)).body).toBe(body)
    expect((await rewriteRequest(() => undefined, given)).body).toBe(body)
  })

  it('keeps octets from being written to through the view', async () => {
    const body = Buffer.from('abc')
    await rewriteRequest((request) => void request.body.fill(0), { body })
    expect(body.toString()).toBe('abc')
  })

  it('sends content as it is where the coding cannot be written', async () => {
    const fields: readonly Field[] = [['content-encoding', 'zstd']]
    expect(await rewriteRequest({ body: 'x' }, { fields })).toMatchObject({ fields: [], body: Buffer.from('x') })
    const head = await rewriteRequest(() => ({ method: 'PUT' }), { fields, body: Buffer.from('?') })
    expect(head).toMatchObject({ method: 'PUT', fields, body: Buffer.from('?') })
  })

  it.each<[string, string, Buffer]>([
    ['text/plain; charset=utf-8', 'text/plain; charset=utf-8', Buffer.from('é')],
    ['text/plain; charset=iso-8859-1', 'text/plain; charset=iso-8859-1', Buffer.from([0xe9])],
    ['text/plain; charset=koi8-r', 'text/plain; charset=utf-8', Buffer.from('é')],
  ])('writes text of %s as %s', async (before, after, body) => {
    const request = await rewriteRequest({ body: 'é' }, { fields: [['content-type', before]] })
    expect(request).toMatchObject({ fields: [['content-type', after]], body })
  })

  it.each<[string, RequestRewriter, string]>([
    [
      'throws',
      () => {
        throw new Error('oops')
      },
      'oops',
    ],
    ['rejects', () => Promise.reject(new Error('oops')), 'oops'],
    ['returns another type', () => 'x' as unknown as RequestChange, 'it is "x", expected an object'],
    ['returns a wrong value', () => ({ method: 'A B' }), 'method is "A B"'],
    ['reads a body that cannot be decoded', (request) => ({ body: request.text() }), 'Cannot decode 1 octets as gzip'],
  ])('fails by name when its function %s', async (_, rewriter, text) => {
    const given = { fields: [['content-encoding', 'gzip']] as const, body: Buffer.from('?') }
    const failure = rewriteRequest(rewriter, given)
    await expect(failure).rejects.toEqual(FAILED)
    await expect(failure).rejects.toThrow(text)
    await expect(failure).rejects.toThrow(
      /^Cannot rewrite the request by the rule "when \*\*: rewrite the request" \(src\/rules\/rule\.test\.ts:\d+\): /,
    )
  })
})

describe('rewriteResponse()', () => {
  it('changes the status with its reason phrase', async () => {
    expect(await rewriteResponse({ status: 503 })).toMatchObject({ status: 503, statusText: 'Service Unavailable' })
    expect(await rewriteResponse({ status: 503, statusText: 'No' })).toMatchObject({ statusText: 'No' })
    expect(await rewriteResponse({ headers: { a: 'b' } })).toMatchObject({ statusText: 'Fine', fields: [['a', 'b']] })
  })

  it('takes the body away where the status has none', async () => {
    expect((await rewriteResponse({ status: 204 })).body).toEqual(Buffer.alloc(0))
    expect(() => anyRule().rewriteResponse({ status: 204, body: 'x' })).toThrow(INVALID)
  })

  it('shows functions response and exchange', async () => {
    const { body } = await rewriteResponse(
      (response, exchange) => ({ body: `${response.status} ${response.text()} ${exchange.request.method}` }),
      { body: Buffer.from('hi') },
    )
    expect(body?.toString()).toBe('200 hi POST')
  })
})

describe('serverData() and clientData()', () => {
  it.each(['serverData', 'clientData'] as const)('%s passes octets through its function', async (kind) => {
    const rules = new RuleList()
    rules.when('**')[kind]((data) => Buffer.from(data.toString().toUpperCase()))
    const transform = (await rules.intercept(exchangeOf()))?.[kind]?.[0]
    expect(await transform?.(Buffer.from('a'), new Connection())).toEqual(Buffer.from('A'))
  })

  it('fail by name on what is not octets', async () => {
    const rules = new RuleList()
    rules.when('**').serverData(() => 'x' as unknown as Buffer)
    const transform = (await rules.intercept(exchangeOf()))?.serverData?.[0]
    expect(() => transform?.(Buffer.from('a'), new Connection())).toThrow(
      /^Cannot change the octets of the response by the rule .*: the function returned "x", expected octets/,
    )
  })
})

describe('Rule', () => {
  it('says what it does, and where it was made', async () => {
    const rules = new RuleList()
    const rule = rules
      .when({ method: 'POST', url: 'https://api.test/*' })
      .rewriteResponse({ headers: {} })
      .json({ a: 1 })
      .times(2)
    expect(rule.where).toMatch(/^src\/rules\/rule\.test\.ts:\d+$/)
    const text =
      'when POST https://api.test/*: rewrite the response (headers), answer 200 with application/json (7 octets), 2 times'
    expect(rule.explain()).toBe(`${text}; applied 0 times`)
    await rules.intercept(exchangeOf())
    rule.remove()
    expect(rule.explain()).toBe(`${text}; applied once, removed`)
    expect(rules.when({}).explain()).toBe('when any request: does nothing yet; applied 0 times')
  })
})

describe('what a rule refuses', () => {
  it.each<[string, (rule: Rule) => unknown]>([
    ['respond', (rule) => rule.respond(99)],
    ['json', (rule) => rule.json(undefined)],
    // @ts-expect-error -- a status in the place of { status }
    ['json', (rule) => rule.json({}, 503)],
    ['redirect', (rule) => rule.redirect('http://[bad')],
    ['rewriteResponse', (rule) => rule.rewriteResponse({ status: 1 })],
    ['delay', (rule) => rule.delay(-1)],
    // @ts-expect-error -- an object that is none
    ['fault', (rule) => rule.fault({})],
    // @ts-expect-error -- the function is not called
    ['fault', (rule) => rule.fault(resetPeer)],
    ['times', (rule) => rule.times(-1)],
    ['probability', (rule) => rule.probability(2)],
    ['json', (rule) => rule.respond(200).json(1)],
  ])('%s: the error names the rule, and the line of the spec', (method, tell) => {
    const rule = new RuleList().when({ method: 'GET', url: 'https://api.test/a' })
    const words = String.raw`^Cannot use ${method}\(\) of the rule "when GET https://api\.test/a: .+" \(src/rules/rule\.test\.ts:\d+\): `
    expect(() => tell(rule)).toThrow(new RegExp(words))
  })
})
