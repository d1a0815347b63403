import { Readable } from 'node:stream'

import { describe, expect, it } from 'vitest'

import { writeEvent } from './event-stream.ts'
import type { ServerSentEvent } from './event-stream.ts'
import { RuleList } from './rule-list.ts'
import type { Rule } from './rule.ts'

const anyRule = (): Rule => new RuleList().when('**')
/** What no type allows: as if it came from JavaScript. */
const untyped = (value: unknown): never => value as never

describe('acts that cannot be done', () => {
  it.each<[string, (rule: Rule) => unknown, string]>([
    ['respond() with two bodies', (rule) => rule.respond({ body: 'a', json: 1 }), 'both body and json'],
    ['respond() with an unknown key', (rule) => rule.respond(untyped({ code: 200 })), '"code" is not known'],
    ['respond() of a text', (rule) => rule.respond(untyped('ok')), 'it is "ok"'],
    ['respond() with more behind an object', (rule) => rule.respond(untyped({}), 'a'), 'expected a status'],
    ['respond() with an array', (rule) => rule.respond(200, untyped([])), 'body is []'],
    ['respond() with an empty path', (rule) => rule.respond({ path: '' }), 'path is ""'],
    ['respond() with a path of the web', (rule) => rule.respond({ path: new URL('http://a/b') }), 'path is http://a/b'],
    ['respond() with a stream and 204', (rule) => rule.respond(204, Readable.from([])), 'status 204 has no body'],
    [
      'respond() with trailers that frame',
      (rule) => rule.respond({ trailers: { trailer: 'a' } }),
      'trailers has trailer',
    ],
    ['respond() with a reason of two lines', (rule) => rule.respond({ statusText: 'a\nb' }), 'statusText is'],
    ['json() of undefined', (rule) => rule.json(undefined), 'json is undefined'],
    ['json() of a function', (rule) => rule.json(() => 1), 'json is function'],
    ['json() of a BigInt', (rule) => rule.json(1n), 'json cannot be written'],
    ['redirect() with another status', (rule) => rule.redirect('/a', 200), 'status is 200'],
    ['redirect() to nothing', (rule) => rule.redirect(untyped(undefined)), 'url is undefined'],
    ['redirect() to what is no URL', (rule) => rule.redirect('http://[/'), 'url is "http://[/"'],
    ['sse() of a text', (rule) => rule.sse('event'), 'events is "event"'],
    ['sse() of nothing', (rule) => rule.sse(untyped(null)), 'events is null'],
    ['sse() with a wrong event', (rule) => rule.sse(['a', untyped({ name: 'x' })]), 'events[1] has "name"'],
    ['sse() with a type of two lines', (rule) => rule.sse([{ event: 'a\nb' }]), 'events[0] has the event'],
    ['sse() with half a retry', (rule) => rule.sse([{ retry: 0.5 }]), 'events[0] has the retry 0.5'],
    ['sse() with data that JSON cannot hold', (rule) => rule.sse([{ data: 1n }]), 'events[0] has data'],
    ['rewriteEvents() with an event', (rule) => rule.rewriteEvents(untyped({ data: 'a' })), 'expected a function'],
    ['sse() with 204', (rule) => rule.sse([], { status: 204 }), 'status 204 has no body'],
    ['sse() with an unknown option', (rule) => rule.sse([], untyped({ retry: 1 })), '"retry" is not known'],
    ['interim() of 101', (rule) => rule.interim(101), 'status is 101'],
    ['interim() of a final status', (rule) => rule.interim(200), 'status is 200'],
    ['interim() with a wrong header', (rule) => rule.interim(103, { 'a b': '' }), 'headers has the name'],
    ['earlyHints() of nothing', (rule) => rule.earlyHints([]), 'there are no links'],
    ['earlyHints() of a number', (rule) => rule.earlyHints(untyped(1)), 'headers is neither'],
    ['forwardTo() with a path', (rule) => rule.forwardTo('http://a.test/b'), 'without a path'],
    ['forwardTo() with a query', (rule) => rule.forwardTo('http://a.test/?b'), 'without a path'],
    ['forwardTo() with another scheme', (rule) => rule.forwardTo('ftp://a.test'), 'origin is "ftp://a.test"'],
    ['forwardTo() a bare authority', (rule) => rule.forwardTo('a.test:80'), 'origin is "a.test:80"'],
    [
      'forwardTo() with an unknown option',
      (rule) => rule.forwardTo('http://a', untyped({ host: 1 })),
      '"host" is not known',
    ],
    ['transformRequest() by a stream', (rule) => rule.transformRequest(untyped(new TransformStream())), 'only once'],
    ['transformResponse() by nothing', (rule) => rule.transformResponse(untyped(undefined)), 'it is undefined'],
    ['delay() of less than nothing', (rule) => rule.delay(-1), 'ms is -1'],
    ['delay() for ever', (rule) => rule.delay(Number.POSITIVE_INFINITY), 'ms is Infinity'],
    ['two answers', (rule) => rule.redirect('/a').sse([]), 'has an answer already'],
  ])('refuse %s', (_, tell, text) => {
    expect(() => tell(anyRule())).toThrow(
      expect.objectContaining({ code: 'MITM_INVALID_RULE', message: expect.stringContaining(text) as unknown }),
    )
  })
})

describe('acts in words', () => {
  it.each<[string, (rule: Rule) => Rule]>([
    ['answer 200 with a stream', (rule) => rule.respond(200, Readable.from([]))],
    ['answer 404 with the file a/b.html', (rule) => rule.respond(404, { path: 'a/b.html' })],
    ['answer 200 with text/plain; charset=utf-8 (2 octets)', (rule) => rule.respond({ body: 'ok' })],
    ['answer 200 with application/json (4 octets)', (rule) => rule.json(null)],
    [
      'answer with what makeIt() returns',
      (rule) =>
        rule.respond(function makeIt() {
          return {}
        }),
    ],
    ['redirect to /b (302)', (rule) => rule.redirect('/b')],
    ['answer 200 with server-sent events (2)', (rule) => rule.sse(['a', 'b'])],
    ['send 103 Early Hints before', (rule) => rule.earlyHints('</a>')],
    ['forward to http://127.0.0.1:4001', (rule) => rule.forwardTo('http://127.0.0.1:4001/')],
    [
      'transform the body of the request by upper()',
      (rule) =>
        rule.transformRequest(function upper() {
          return new TransformStream()
        }),
    ],
    [
      'rewrite the events of the response by older()',
      (rule) =>
        rule.rewriteEvents(function older() {
          return null
        }),
    ],
    ['wait 10 ms', (rule) => rule.delay(10)],
  ])('%s', (text, tell) => {
    expect(tell(anyRule()).explain()).toContain(text)
  })
})

describe('what spares the server', () => {
  it.each<[boolean, (rule: Rule) => Rule]>([
    [true, (rule) => rule.json(1)],
    [true, (rule) => rule.forwardTo('http://b.test')],
    [true, (rule) => rule.rewriteRequest({ url: 'http://b.test/' })],
    [false, (rule) => rule.rewriteRequest({ url: '/b' })],
    [false, (rule) => rule.rewriteRequest(() => ({}))],
  ])('is told: %s', (spares, tell) => {
    expect(tell(anyRule()).sparesServer).toBe(spares)
  })
})

describe('writeEvent()', () => {
  it.each<[ServerSentEvent, string]>([
    ['a', 'data: a\n\n'],
    ['', 'data: \n\n'],
    ['a\nb\r\nc\rd', 'data: a\ndata: b\ndata: c\ndata: d\n\n'],
    [{ data: { a: [1] } }, 'data: {"a":[1]}\n\n'],
    [{ data: null }, 'data: null\n\n'],
    [{ data: ' a' }, 'data:  a\n\n'],
    [{ comment: 'x\ny' }, ': x\n: y\n\n'],
    [{ event: 'e', id: '', retry: 0, data: 'a' }, 'event: e\nid: \nretry: 0\ndata: a\n\n'],
  ])('writes %j', (event, text) => {
    expect(writeEvent(event)).toBe(text)
  })
})
