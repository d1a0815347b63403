import { gunzipSync, gzipSync } from 'node:zlib'

import { describe, expect, it } from 'vitest'

import { Connection } from '../connection.ts'
import { Exchange, HttpRequest } from '../exchange.ts'
import type { RewrittenResponse } from '../middleware.ts'
import { mergeJson } from './json-edit.ts'
import type { ResponseChange } from './message-change.ts'
import { RuleList } from './rule-list.ts'

const FAILED: unknown = expect.objectContaining({ code: 'MITM_RULE_FAILED' })

function exchangeOf(method = 'GET'): Exchange {
  const head = { method, url: 'https://api.test/a', target: '/a', httpVersion: 'HTTP/1.1', fields: [] }
  return new Exchange(new Connection(), new HttpRequest(head))
}

async function edit(
  change: ResponseChange,
  body: string | Buffer,
  given: Partial<RewrittenResponse> = {},
  method = 'GET',
): Promise<RewrittenResponse> {
  const rules = new RuleList()
  rules.when('**').rewriteResponse(change)
  const rewrite = (await rules.intercept(exchangeOf()))?.rewriteResponse?.[0]
  if (!rewrite) throw new Error('no rewrite')
  expect(rewrite.needsBody).toBe(true)
  const response = { status: 200, statusText: 'OK', fields: [], body: Buffer.from(body), ...given }
  return rewrite.apply(response, exchangeOf(method))
}

async function edited(change: ResponseChange, body: string): Promise<unknown> {
  return JSON.parse(String((await edit(change, body)).body))
}

describe('jsonMerge', () => {
  it.each<[unknown, unknown, unknown]>([
    // The cases of RFC 7396, appendix A.
    [{ a: 'b' }, { a: 'c' }, { a: 'c' }],
    [{ a: 'b' }, { b: 'c' }, { a: 'b', b: 'c' }],
    [{ a: 'b' }, { a: null }, {}],
    [{ a: 'b', b: 'c' }, { a: null }, { b: 'c' }],
    [{ a: ['b'] }, { a: 'c' }, { a: 'c' }],
    [{ a: 'c' }, { a: ['b'] }, { a: ['b'] }],
    [{ a: { b: 'c' } }, { a: { b: 'd', c: null } }, { a: { b: 'd' } }],
    [{ a: [{ b: 'c' }] }, { a: [1] }, { a: [1] }],
    [
      ['a', 'b'],
      ['c', 'd'],
      ['c', 'd'],
    ],
    [{ a: 'b' }, ['c'], ['c']],
    [{ a: 'foo' }, null, null],
    [{ a: 'foo' }, 'bar', 'bar'],
    [{ e: null }, { a: 1 }, { e: null, a: 1 }],
    [[1, 2], { a: 'b', c: null }, { a: 'b' }],
    [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
  ])('makes of %j by %j: %j', async (value, patch, result) => {
    expect(mergeJson(value, patch)).toEqual(result)
    expect(await edited({ jsonMerge: patch }, JSON.stringify(value))).toEqual(result)
  })

  it('takes no key for a prototype', () => {
    const patch: unknown = JSON.parse('{"__proto__":{"admin":true}}')
    const merged = mergeJson({}, patch)
    expect(Object.getPrototypeOf(merged)).toBe(Object.prototype)
    expect(JSON.stringify(merged)).toBe('{"__proto__":{"admin":true}}')
  })

  it('makes JSON of an empty body, and fails by name on one that is none', async () => {
    const { body, fields } = await edit({ jsonMerge: { a: 1 } }, '')
    expect([String(body), fields]).toEqual(['{"a":1}', [['content-type', 'application/json']]])
    await expect(edit({ jsonMerge: {} }, '<p>')).rejects.toEqual(FAILED)
  })

  it('keeps coding and type', async () => {
    const fields = [
      ['content-type', 'application/hal+json'],
      ['content-encoding', 'gzip'],
    ] as const
    const change = { jsonMerge: { b: 2 }, headers: { 'content-type': 'application/hal+json' } }
    const response = await edit(change, gzipSync('{"a":1}'), { fields })
    expect(response.fields).toEqual(fields)
    expect(String(gunzipSync(response.body ?? ''))).toBe('{"a":1,"b":2}')
  })

  it('leaves what has no content to be looked at', async () => {
    expect((await edit({ jsonMerge: { a: 1 } }, '', {}, 'HEAD')).body).toEqual(Buffer.alloc(0))
    expect((await edit({ jsonMerge: { a: 1 } }, '', { status: 304 })).body).toEqual(Buffer.alloc(0))
  })
})

describe('jsonPatch', () => {
  it('does all operations, in order', async () => {
    const patch: ResponseChange['jsonPatch'] = [
      { op: 'test', path: '/list/0', value: { a: 1 } },
      { op: 'add', path: '/list/-', value: 'end' },
      { op: 'add', path: '/list/0', value: 'begin' },
      { op: 'replace', path: '/a~1b/m~0n', value: null },
      { op: 'copy', from: '/list', path: '/copy' },
      { op: 'move', from: '/old', path: '/new' },
      { op: 'remove', path: '/list/1' },
    ]
    expect(await edited({ jsonPatch: patch }, '{"list":[{"a":1}],"a/b":{"m~n":1},"old":0}')).toEqual({
      list: ['begin', 'end'],
      'a/b': { 'm~n': null },
      copy: ['begin', { a: 1 }, 'end'],
      new: 0,
    })
    expect(await edited({ jsonPatch: [{ op: 'replace', path: '', value: [1] }] }, '{}')).toEqual([1])
  })

  it('shares nothing with the rule', async () => {
    const patch: ResponseChange['jsonPatch'] = [
      { op: 'add', path: '/a', value: { list: [] } },
      { op: 'add', path: '/a/list/-', value: 1 },
    ]
    for (let count = 0; count < 2; count++)
      expect(await edited({ jsonPatch: patch }, '{}')).toEqual({ a: { list: [1] } })
  })

  it.each<[string, NonNullable<ResponseChange['jsonPatch']>[number], string]>([
    ['a test that fails', { op: 'test', path: '/a', value: 2 }, 'test "/a"'],
    ['a path that leads nowhere', { op: 'remove', path: '/b' }, 'there is nothing at that path'],
    ['an index that is none', { op: 'add', path: '/list/x', value: 1 }, 'add "/list/x"'],
    ['an index behind the end', { op: 'add', path: '/list/5', value: 1 }, 'add "/list/5"'],
    ['a move into itself', { op: 'move', from: '/o', path: '/o/p' }, 'move "/o/p"'],
  ])('fails by name on %s, and does none', async (_, operation, text) => {
    const change = { jsonPatch: [{ op: 'add', path: '/c', value: 1 } as const, operation] }
    await expect(edit(change, '{"a":1,"list":[],"o":{}}')).rejects.toThrow(text)
    await expect(edit(change, '{"a":1,"list":[],"o":{}}')).rejects.toEqual(FAILED)
  })
})

describe('replace', () => {
  it('replaces texts and patterns, one after the other', async () => {
    const text = async (replace: ResponseChange['replace']): Promise<string> =>
      String((await edit({ replace }, 'a cat, a Cat')).body)
    expect(await text(['a', 'the'])).toBe('the cthet, the Cthet')
    expect(await text([/cat/i, 'dog'])).toBe('a dog, a Cat')
    expect(await text([/(c)at/gi, '$1ow'])).toBe('a cow, a Cow')
    expect(await text([/(c)at/gi, (match, first = '') => `${match}${first}`])).toBe('a catc, a CatC')
    expect(
      await text([
        ['cat', 'dog'],
        ['dog', 'cow'],
      ]),
    ).toBe('a cow, a Cat')
  })

  it('keeps the charset and the coding', async () => {
    const fields = [
      ['content-type', 'text/plain; charset=iso-8859-1'],
      ['content-encoding', 'gzip'],
    ] as const
    const response = await edit({ replace: ['é', 'à'] }, gzipSync(Buffer.from('café', 'latin1')), { fields })
    expect(response.fields).toEqual(fields)
    expect(gunzipSync(response.body ?? '').toString('latin1')).toBe('cafà')
  })

  it('keeps octets that are no text, and the very octets where nothing is found', async () => {
    const octets = Buffer.from([0xff, 0xfe, 0x63, 0x61, 0x74, 0x80])
    const changed = await edit({ replace: ['cat', 'dog'] }, octets)
    expect([...(changed.body ?? [])]).toEqual([0xff, 0xfe, 0x64, 0x6f, 0x67, 0x80])
    const zipped = gzipSync('a cat', { level: 1 })
    const fields = [['content-encoding', 'gzip']] as const
    expect((await edit({ replace: ['dog', 'cow'] }, zipped, { fields })).body).toEqual(zipped)
  })

  it('fails by name when its function returns no text', async () => {
    await expect(edit({ replace: ['a', () => 1 as unknown as string] }, 'a')).rejects.toThrow('returned 1')
  })
})

describe('a change', () => {
  it.each<[string, object]>([
    ['jsonMerge beside json', { jsonMerge: {}, json: {} }],
    ['jsonMerge of what JSON cannot hold', { jsonMerge: { a: 1n } }],
    ['a jsonPatch that is no list', { jsonPatch: {} }],
    ['an unknown op', { jsonPatch: [{ op: 'set', path: '/a', value: 1 }] }],
    ['an op of an inherited name', { jsonPatch: [{ op: 'toString', path: '/a' }] }],
    ['an add without value', { jsonPatch: [{ op: 'add', path: '/a' }] }],
    ['a move without from', { jsonPatch: [{ op: 'move', path: '/a' }] }],
    ['a path that is no pointer', { jsonPatch: [{ op: 'remove', path: 'a' }] }],
    ['a replace that is none', { replace: 'a' }],
    ['an empty text to replace', { replace: ['', 'a'] }],
    ['a replacement that is none', { replace: [['a', 1]] }],
    ['trailers that frame', { trailers: { 'content-length': '1' } }],
    ['trailers that are none', { trailers: { 'a b': '1' } }],
  ])('refuses %s', (_, change) => {
    expect(() => new RuleList().when('**').rewriteResponse(change)).toThrow(
      expect.objectContaining({ code: 'MITM_INVALID_RULE' }),
    )
  })
})
