import type { ClientHttp2Session, ClientHttp2Stream, OutgoingHttpHeaders, ServerHttp2Stream } from 'node:http2'

import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import { heardBy, heardOn, Http2Stage, WAYS } from '../../testing/http2-stage.ts'
import type { Heard, Way } from '../../testing/http2-stage.ts'

/** One conversation, which must be the same whether there is a mitm in it or not. */
interface Conversation {
  readonly ask: (session: ClientHttp2Session) => ClientHttp2Stream
  readonly answer: (stream: ServerHttp2Stream) => void
}

/** Sends a head as it is given. */
function respond(stream: ServerHttp2Stream, headers: OutgoingHttpHeaders, options = {}): void {
  // Not in the types: without a Date field.
  stream.respond(headers, { sendDate: false, ...options } as { endStream?: boolean; waitForTrailers?: boolean })
}

const ok = (stream: ServerHttp2Stream): void => {
  stream.resume()
  respond(stream, { ':status': 200, 'x-a': '1' })
  stream.end('fine')
}

const get =
  (headers: OutgoingHttpHeaders = {}) =>
  (session: ClientHttp2Session): ClientHttp2Stream =>
    session.request({ ':path': '/a?b=%20c', ...headers }, { endStream: true })

const send =
  (body: Buffer | string, trailers?: OutgoingHttpHeaders) =>
  (session: ClientHttp2Session): ClientHttp2Stream => {
    const stream = session.request(
      { ':path': '/', ':method': 'POST' },
      { waitForTrailers: trailers !== undefined, endStream: false },
    )
    if (trailers) stream.on('wantTrailers', () => stream.sendTrailers(trailers))
    stream.end(body)
    return stream
  }

const withTrailers =
  (body: string | undefined, trailers: OutgoingHttpHeaders) =>
  (stream: ServerHttp2Stream): void => {
    stream.resume()
    respond(stream, { ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true })
    stream.on('wantTrailers', () => stream.sendTrailers(trailers))
    stream.end(body)
  }

const methods = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE', 'QUERY', 'BREW']
const statuses = [200, 201, 204, 205, 206, 301, 304, 400, 404, 418, 429, 500, 503, 599]

const conversations: Readonly<Record<string, Conversation | readonly Conversation[]>> = {
  'all methods': methods.map((method) => ({ ask: get({ ':method': method }), answer: ok })),
  'all statuses': statuses.map((status) => ({
    ask: get(),
    answer: (stream) => respond(stream, { ':status': status }, { endStream: true }),
  })),
  'OPTIONS *': { ask: get({ ':method': 'OPTIONS', ':path': '*' }), answer: ok },
  'no date, and none put in': {
    ask: get(),
    answer: (stream) => respond(stream, { ':status': 200, 'x-a': '1' }, { endStream: true }),
  },
  'HEAD, with the length that there would be': {
    ask: get({ ':method': 'HEAD' }),
    answer: (stream) => respond(stream, { ':status': 200, 'content-length': '1234' }, { endStream: true }),
  },
  '304 with a length': {
    ask: get({ 'if-none-match': '"a"' }),
    answer: (stream) => respond(stream, { ':status': 304, etag: '"a"', 'content-length': '1234' }, { endStream: true }),
  },
  'an empty body with content-length 0': {
    ask: get(),
    answer: (stream) => {
      respond(stream, { ':status': 200, 'content-length': '0' })
      stream.end()
    },
  },
  'fields that come several times': {
    ask: get({ 'x-a': ['1', '2', '3'], 'x-b': '' }),
    answer: (stream) =>
      respond(
        stream,
        {
          ':status': 200,
          'set-cookie': ['a=1; Path=/', 'b=2, c', 'c=3'],
          'x-a': ['1', '2'],
          'x-b': ['a', 'b'],
          'x-empty': '',
        },
        { endStream: true },
      ),
  },
  'names that objects have already': {
    ask: get({ constructor: 'a', valueof: 'b', 'x-a': 'c' }),
    answer: (stream) => respond(stream, { ':status': 200, constructor: 'a', hasownproperty: 'b' }, { endStream: true }),
  },
  'cookies in crumbs': { ask: get({ cookie: ['a=1', 'b=2', 'c=3'] as unknown as string }), answer: ok },
  'cookies in one field': { ask: get({ cookie: 'a=1; b=2; c=3' }), answer: ok },
  'te: trailers': { ask: get({ te: 'trailers' }), answer: ok },
  'values beyond ASCII': {
    ask: get({ 'x-a': 'gr\u00fc\u00df', 'x-b': 'a\tb  c' }),
    answer: (stream) => respond(stream, { ':status': 200, 'x-a': 'gr\u00fc\u00df' }, { endStream: true }),
  },
  'host beside the authority': { ask: get({ host: 'other.test' }), answer: ok },
  'another authority than that of the tunnel': { ask: get({ ':authority': 'elsewhere.test:444' }), answer: ok },
  credentials: { ask: get({ authorization: 'Basic YTpi', 'proxy-authorization': 'Basic YTpi' }), answer: ok },
  '60 KB of fields': {
    ask: get(Object.fromEntries(Array.from({ length: 60 }, (_, at) => [`x-${at}`, `${at}`.padEnd(1000, 'a')]))),
    answer: (stream) =>
      respond(
        stream,
        {
          ':status': 200,
          ...Object.fromEntries(Array.from({ length: 55 }, (_, at) => [`y-${at}`, `${at}`.padEnd(1000, 'b')])),
        },
        { endStream: true },
      ),
  },
  'a thousand fields': {
    ask: get(Object.fromEntries(Array.from({ length: 1000 }, (_, at) => [`x-${at}`, `${at}`]))),
    answer: (stream) =>
      respond(
        stream,
        { ':status': 200, ...Object.fromEntries(Array.from({ length: 1000 }, (_, at) => [`y-${at}`, `${at}`])) },
        { endStream: true },
      ),
  },
  'a body': { ask: send('hello'), answer: ok },
  'an empty body': { ask: send(''), answer: ok },
  'a body of 300 KB': { ask: send(Buffer.alloc(300_000, 'abc')), answer: ok },
  'an echo': {
    ask: send(Buffer.alloc(200_000, 'xyz')),
    answer: (stream) => {
      respond(stream, { ':status': 200 })
      stream.pipe(stream)
    },
  },
  'a body in many small frames': {
    ask: get(),
    answer: (stream) => {
      respond(stream, { ':status': 200 })
      for (let at = 0; at < 500; at++) stream.write(`${at},`)
      stream.end()
    },
  },
  'trailers of the client': { ask: send('hello', { 'x-sum': 'abc', 'x-two': ['1', '2'] }), answer: ok },
  'trailers of the client behind no body': { ask: send('', { 'x-sum': 'abc' }), answer: ok },
  'empty trailers of the client': { ask: send('hello', {}), answer: ok },
  'trailers of the server': {
    ask: get({ te: 'trailers' }),
    answer: withTrailers('hello', { 'grpc-status': '0', 'grpc-message': 'fine', 'x-two': ['1', '2'] }),
  },
  'trailers of the server behind no body': { ask: get(), answer: withTrailers(undefined, { 'grpc-status': '5' }) },
  'empty trailers of the server': { ask: get(), answer: withTrailers('hello', {}) },
  'trailers alone': {
    ask: send('hello'),
    answer: (stream) => {
      stream.resume()
      respond(stream, { ':status': 200, 'grpc-status': '12', 'grpc-message': 'no' }, { endStream: true })
    },
  },
  '103 with several links, and another one': {
    ask: get(),
    answer: (stream) => {
      stream.additionalHeaders({ ':status': 103, link: ['</a.css>; rel=preload', '</b.js>; rel=preload'] })
      stream.additionalHeaders({ ':status': 103, link: '</c.js>; rel=preload' })
      ok(stream)
    },
  },
  '100 and 102': {
    ask: send('hello'),
    answer: (stream) => {
      stream.additionalHeaders({ ':status': 100 })
      stream.additionalHeaders({ ':status': 102 })
      ok(stream)
    },
  },
  'expect: 100-continue': {
    ask: (session) => {
      const stream = session.request({ ':path': '/', ':method': 'POST', expect: '100-continue' }, { endStream: false })
      stream.on('continue', () => stream.end('hello'))
      return stream
    },
    answer: (stream) => {
      stream.additionalHeaders({ ':status': 100 })
      ok(stream)
    },
  },
  'a response before the request is whole': {
    ask: (session) => {
      const stream = session.request({ ':path': '/', ':method': 'POST' }, { endStream: false })
      stream.write('half')
      stream.on('data', () => stream.end('rest'))
      return stream
    },
    answer: (stream) => {
      respond(stream, { ':status': 200 })
      stream.write('already')
      stream.on('end', () => stream.end('over'))
      stream.resume()
    },
  },
  'a stream with priorities': {
    ask: (session) => session.request({ ':path': '/', priority: 'u=1, i' }, { weight: 200, exclusive: true }),
    answer: ok,
  },
}

/** What both sides hear in conversations, one after the other. */
async function play(stage: Http2Stage, way: Way, all: readonly Conversation[]): Promise<readonly Heard[]> {
  const session = await stage.session(way)
  const heard: Heard[] = []
  for (const { ask, answer } of all) {
    let atServer: Promise<Heard> | undefined
    stage.handler = (stream, raw) => {
      atServer = heardBy(stream, raw)
      answer(stream)
    }
    heard.push(await heardOn(ask(session)))
    if (atServer) heard.push(await atServer)
  }
  session.close()
  return heard
}

/** With the values of one name side by side, where the first of them is: what order they have among each other is kept. */
function grouped(heard: readonly Heard[]): unknown {
  return heard.map(({ heads, ...rest }) => ({
    ...rest,
    heads: heads.map(([kind, raw]) => {
      const values = new Map<string, string[]>()
      raw.forEach((name, at) => {
        if (at % 2 === 0) values.set(name, [...(values.get(name) ?? []), raw[at + 1] ?? ''])
      })
      // The order of pseudo-fields has no meaning.
      const entries = [...values]
      return [
        kind,
        new Map(entries.filter(([name]) => name.startsWith(':'))),
        entries.filter(([name]) => !name.startsWith(':')),
      ]
    }),
  }))
}

describe.each([
  { name: 'in TLS', isClear: false },
  { name: 'in clear', isClear: true },
])('a message $name is the same as without a mitm', ({ isClear }) => {
  let stage: Http2Stage

  beforeAll(async () => {
    stage = await Http2Stage.open({ isClear })
  })
  afterAll(() => stage[Symbol.asyncDispose]())

  describe.each(WAYS)('%s', (way) => {
    it.each(Object.keys(conversations))('%s', async (name) => {
      const all = [conversations[name] ?? []].flat()
      const direct = await play(stage, 'direct', all)
      const heard = await play(stage, way, all)
      if (way === 'relay') expect(heard).toEqual(direct)
      else expect(grouped(heard)).toEqual(grouped(direct))
      expect(direct[0]?.heads[0]?.[1]).toContain(':status')
      expect(stage.mitm.errors).toEqual([])
      await stage.ended(all.length)
      expect(stage.mitm.exchanges.map(({ endReason }) => endReason)).toEqual(all.map(() => 'complete'))
    })
  })
})
