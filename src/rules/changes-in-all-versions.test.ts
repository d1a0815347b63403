/** What rules match and change, in each version of HTTP. */
import { brotliCompressSync, brotliDecompressSync, deflateSync, gunzipSync, gzipSync, inflateSync } from 'node:zlib'

import { describe, expect, it } from 'vitest'

import type { ExchangeFilter } from '../index.ts'
import { Scene, VERSIONS } from '../testing/versions.ts'
import type { Asking, Got, VersionHandler, Versions } from '../testing/versions.ts'

/** Says what came, and how. */
const echo: VersionHandler = ({ method, url, headers }, response, body) => {
  response.end(JSON.stringify({ method, url, headers, body: body.toString('base64') }))
}

interface Echo {
  readonly method: string
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

// A boundary: what the server of a test says.
const echoOf = ({ body }: Got): Echo => JSON.parse(String(body)) as Echo
const text = ({ body }: Got): string => String(body)
const errorOf = ({ status, headers }: Got): unknown => [status, headers['x-playwright-mitm-error']]
const upper = (): TransformStream<Uint8Array, Uint8Array> =>
  new TransformStream({
    transform: (chunk, controller) => controller.enqueue(Buffer.from(Buffer.from(chunk).toString().toUpperCase())),
  })

const codings = {
  plain: { encode: (octets: Buffer) => octets, decode: (octets: Buffer) => octets },
  gzip: { encode: gzipSync, decode: gunzipSync },
  deflate: { encode: deflateSync, decode: inflateSync },
  br: { encode: brotliCompressSync, decode: brotliDecompressSync },
}

const JSON_BODY = { headers: { 'content-type': 'application/json' }, method: 'POST' }
const FORM_BODY = { headers: { 'content-type': 'application/x-www-form-urlencoded' }, method: 'POST' }
const MULTIPART = {
  headers: { 'content-type': 'multipart/form-data; boundary=b' },
  method: 'POST',
  body: '--b\r\nContent-Disposition: form-data; name="title"\r\n\r\nA day\r\n--b\r\nContent-Disposition: form-data; name="photo"; filename="a.png"\r\nContent-Type: image/png\r\n\r\n\x89PNG\r\n--b--\r\n',
}

/** A filter, what it means and what it does not. */
const FILTERS: readonly (readonly [
  name: string,
  filter: ExchangeFilter,
  yes: readonly [string, Asking],
  no: readonly [string, Asking],
])[] = [
  ['a URL pattern', 'https://a.test/x?b=*', ['/x?b=1', {}], ['/x', {}]],
  ['a RegExp', /\/x\d$/, ['/x1', {}], ['/x', {}]],
  ['a function', ({ request }) => request.url === 'https://a.test/x', ['/x', {}], ['/y', {}]],
  ['a method', { method: 'put' }, ['/', { method: 'PUT', body: '' }], ['/', {}]],
  ['a host', { host: '*.test', path: '/x' }, ['/x', {}], ['/y', {}]],
  ['a query', { query: { a: ['1', '2'], b: undefined } }, ['/?a=1&a=2', {}], ['/?a=1&a=2&b', {}]],
  [
    'headers, whose names are compared in any case',
    { headers: { 'X-A': /^b/, 'x-c': undefined } },
    ['/', { headers: { 'x-a': 'bb' } }],
    ['/', { headers: { 'x-a': 'bb', 'x-c': '' } }],
  ],
  // In HTTP/2 they may come in crumbs (RFC 9113 section 8.2.3).
  [
    'cookies',
    { cookies: { a: '1', b: '2 3' } },
    ['/', { headers: { cookie: ['a=1', 'b=2%203'] } }],
    ['/', { headers: { cookie: 'a=1' } }],
  ],
  [
    'a body',
    { body: 'exactly' },
    ['/', { method: 'POST', body: 'exactly' }],
    ['/', { method: 'POST', body: 'exactly!' }],
  ],
  [
    'JSON',
    { json: { a: { b: [1] } } },
    ['/', { ...JSON_BODY, body: '{"a":{"b":[1],"c":2}}' }],
    ['/', { ...JSON_BODY, body: '{"a":{"b":[2]}}' }],
  ],
  [
    'JSON in gzip',
    { json: { a: 1 } },
    ['/', { method: 'POST', headers: { ...JSON_BODY.headers, 'content-encoding': 'gzip' }, body: gzipSync('{"a":1}') }],
    [
      '/',
      { method: 'POST', headers: { ...JSON_BODY.headers, 'content-encoding': 'gzip' }, body: Buffer.from('{"a":1}') },
    ],
  ],
  ['a form', { form: { a: 'b c' } }, ['/', { ...FORM_BODY, body: 'a=b+c&d=e' }], ['/', { ...FORM_BODY, body: 'a=b' }]],
  [
    'multipart',
    { multipart: { title: 'A day', photo: { filename: /\.png$/, type: 'image/png' } } },
    ['/', MULTIPART],
    ['/', { ...MULTIPART, body: '--b--\r\n' }],
  ],
  [
    'GraphQL',
    { graphql: { operationName: 'Cart', variables: { id: 7 } } },
    ['/', { ...JSON_BODY, body: '{"query":"query Cart { a }","variables":{"id":7}}' }],
    ['/', { ...JSON_BODY, body: '{"query":"query Other { a }","variables":{"id":7}}' }],
  ],
  ['not', { path: '/x*', not: [{ path: '/x2' }, { method: 'DELETE' }] }, ['/x1', {}], ['/x2', {}]],
  ['WebSockets', { webSocket: false, path: '/x' }, ['/x', {}], ['/y', {}]],
]

describe.each(VERSIONS.map((versions): [string, Versions] => [versions.name, versions]))('%s', (_, versions) => {
  it.each(FILTERS)('a filter of %s means the same', async (__, filter, [path, asking], [otherPath, otherAsking]) => {
    await using scene = await Scene.open(versions)
    const rule = scene.mitm.when(filter).respond(299, 'matched')
    expect((await scene.ask(path, asking)).status).toBe(299)
    expect((await scene.ask(otherPath, otherAsking)).status).toBe(200)
    expect(rule.calls).toBe(1)
    expect(scene.mitm.requests(filter)).toHaveLength(1)
    expect(scene.mitm.errors).toEqual([])
  })

  it('a filter of a version means that of the client', async () => {
    await using scene = await Scene.open(versions)
    scene.mitm.when({ protocol: 'http/2' }).respond(202)
    scene.mitm.when({ protocol: 'http/1.1' }).respond(201)
    expect((await scene.ask('/')).status).toBe(versions.client === 'h2' ? 202 : 201)
  })

  it('forwardTo() sends a request to another host', async () => {
    await using scene = await Scene.open(versions, { handler: echo })
    scene.mitm.get('**/move*').forwardTo('https://b.test')
    scene.mitm.get('**/keep').forwardTo('https://b.test', { keepHost: true })
    const hostOf = (got: Got): string => echoOf(got).headers[':authority'] ?? echoOf(got).headers['host'] ?? ''
    expect(hostOf(await scene.ask('/move?a=b'))).toBe('b.test')
    expect(hostOf(await scene.ask('/keep'))).toBe('a.test')
    expect(hostOf(await scene.ask('/stay'))).toBe('a.test')
    expect(scene.requests).toEqual(['b.test GET /move?a=b', 'b.test GET /keep', 'a.test GET /stay'])
  })

  it('rewriteRequest() changes method, path and fields', async () => {
    await using scene = await Scene.open(versions, { handler: echo })
    scene.mitm
      .post('**/v1')
      .rewriteRequest({ method: 'PUT', url: '/v2?x=1', headers: { 'X-New': 'yes', 'x-old': null } })
    const seen = echoOf(
      await scene.ask('/v1', { method: 'POST', headers: { 'x-old': '1', 'x-same': '2' }, body: 'body' }),
    )
    expect([seen.method, seen.url, Buffer.from(seen.body, 'base64').toString()]).toEqual(['PUT', '/v2?x=1', 'body'])
    expect(seen.headers).toMatchObject({ 'x-new': 'yes', 'x-same': '2' })
    expect(seen.headers['x-old']).toBeUndefined()
    const [exchange] = scene.mitm.exchanges
    expect([exchange?.request.method, exchange?.sentRequest?.method]).toEqual(['POST', 'PUT'])
  })

  it.each(['plain', 'gzip'] as const)('rewriteRequest() changes a body, with its length: %s', async (coding) => {
    await using scene = await Scene.open(versions, { handler: echo })
    scene.mitm.post('**').rewriteRequest((request) => ({ body: `${request.text()} and more` }))
    const { encode, decode } = codings[coding]
    const headers = coding === 'plain' ? {} : { 'content-encoding': coding }
    const seen = echoOf(await scene.ask('/', { method: 'POST', headers, body: encode(Buffer.from('body')) }))
    const body = Buffer.from(seen.body, 'base64')
    expect(String(decode(body))).toBe('body and more')
    expect(seen.headers['content-length']).toBe(String(body.length))
    const [exchange] = scene.mitm.exchanges
    expect([exchange?.request.text(), exchange?.sentRequest?.text()]).toEqual(['body', 'body and more'])
  })

  it.each(Object.keys(codings))(
    'rewriteResponse() changes a body, in its coding, with its length: %s',
    async (coding) => {
      // A boundary: a key of it.
      const { encode, decode } = codings[coding as keyof typeof codings]
      const handler: VersionHandler = (__, response) => {
        if (coding !== 'plain') response.setHeader('content-encoding', coding)
        response.setHeader('server', 'x')
        const body = encode(Buffer.from('{"price":1}'))
        response.write(body.subarray(0, 5))
        response.end(body.subarray(5))
      }
      await using scene = await Scene.open(versions, { handler })
      scene.mitm.get('**').rewriteResponse((response) => ({
        json: { was: response.json() },
        status: 299,
        headers: { server: null, 'x-new': 'yes' },
      }))
      const { status, headers, body } = await scene.ask('/')
      expect(status).toBe(299)
      expect(JSON.parse(String(decode(body)))).toEqual({ was: { price: 1 } })
      expect(headers).toMatchObject({ 'content-length': String(body.length), 'x-new': 'yes' })
      expect(headers['server']).toBeUndefined()
      expect(scene.mitm.exchanges[0]?.serverResponse?.status).toBe(200)
      expect(scene.mitm.exchanges[0]?.response?.json()).toEqual({ was: { price: 1 } })
    },
  )

  it('rewriteResponse() leaves responses without a body without one', async () => {
    const handler: VersionHandler = ({ method }, response) => {
      response.statusCode = method === 'HEAD' ? 200 : 304
      response.end()
    }
    await using scene = await Scene.open(versions, { handler })
    scene.mitm.when('**').rewriteResponse(() => ({ headers: { 'x-new': 'yes' } }))
    for (const method of ['HEAD', 'GET', 'GET']) {
      const { headers, body } = await scene.ask('/', { method })
      expect([headers['x-new'], body.length]).toEqual(['yes', 0])
    }
  })

  it('rewriteResponse() changes what another rule answers, and puts trailers behind the body', async () => {
    await using scene = await Scene.open(versions)
    scene.mitm.get('**/mock').respond(200, 'mock')
    scene.mitm
      .get('**')
      .rewriteResponse((response) => ({ body: response.text().toUpperCase(), trailers: { 'x-sum': '4' } }))
    for (const path of ['/mock', '/real']) {
      const { body, trailers } = await scene.ask(path)
      expect([String(body), { ...trailers }['x-sum']]).toEqual([path === '/mock' ? 'MOCK' : 'GET /REAL', '4'])
    }
  })

  it('rewriteResponse() answers 502 for a body that is too large to be held', async () => {
    const handler: VersionHandler = (__, response) => void response.end(Buffer.alloc(300_000, 'x'))
    await using scene = await Scene.open(versions, { handler, mitm: { maxBodyBytes: 200_000 } })
    scene.mitm.get('**').rewriteResponse((response) => ({ body: `${response.text()}!` }))
    expect(errorOf(await scene.ask('/'))).toEqual([502, 'MITM_BODY_TOO_LARGE'])
    expect(scene.mitm.errors.map(({ code }) => code)).toEqual(['MITM_BODY_TOO_LARGE'])
  })

  it('transformRequest() and transformResponse() change bodies while they stream', async () => {
    await using scene = await Scene.open(versions)
    scene.mitm.post('**/up').transformRequest(upper)
    scene.mitm.post('**/down').transformResponse(upper)
    expect(text(await scene.ask('/up', { method: 'POST', body: 'body' }))).toBe('POST /up BODY')
    expect(text(await scene.ask('/down', { method: 'POST', body: 'body' }))).toBe('POST /DOWN BODY')
    const [up, down] = scene.mitm.exchanges
    expect([up?.request.text(), up?.sentRequest?.text(), down?.response?.text()]).toEqual([
      'body',
      'BODY',
      'POST /DOWN BODY',
    ])
  })

  it('rewriteEvents() changes and drops events', async () => {
    const handler: VersionHandler = (__, response) => {
      response.setHeader('content-type', 'text/event-stream')
      for (const each of ['one', 'two', 'three']) response.write(`data: ${each}\n\n`)
      response.end()
    }
    await using scene = await Scene.open(versions, { handler })
    scene.mitm
      .get('**')
      .rewriteEvents((event) =>
        event.data === 'two' ? null : event.data === 'three' ? { ...event, data: 'THREE' } : event,
      )
    expect(text(await scene.ask('/'))).toBe('data: one\n\ndata: THREE\n\n')
  })

  it('clientData() and serverData() change octets: in HTTP/2 those of bodies, in HTTP/1.1 heads as well', async () => {
    await using scene = await Scene.open(versions, { handler: echo })
    const change = (octets: Buffer): Buffer =>
      Buffer.from(octets.toString('latin1').replaceAll('mark', 'MARK'), 'latin1')
    scene.mitm.post('**/up').clientData(change)
    scene.mitm.post('**/down').serverData(change)
    const asking = { method: 'POST', headers: { 'x-a': 'mark' }, body: 'mark' }
    const up = echoOf(await scene.ask('/up', asking))
    expect(Buffer.from(up.body, 'base64').toString()).toBe('MARK')
    expect(up.headers['x-a']).toBe(versions.client === 'h2' ? 'mark' : 'MARK')
    expect(echoOf(await scene.ask('/down', asking)).headers['x-a']).toBe('MARK')
  })

  it.each(['rewriteRequest', 'rewriteResponse'] as const)(
    'a function that throws is a 500, and named: %s',
    async (method) => {
      await using scene = await Scene.open(versions)
      scene.mitm.get('**/bad')[method](() => {
        throw new Error('ouch')
      })
      const response = await scene.ask('/bad')
      expect(errorOf(response)).toEqual([500, 'MITM_RULE_FAILED'])
      expect(text(response)).toContain('ouch')
      expect(scene.mitm.errors[0]?.message).toContain('changes-in-all-versions.test.ts')
      expect(text(await scene.ask('/good'))).toBe('GET /good')
    },
  )

  it('rules of one exchange are joined as they are made, and recorded', async () => {
    await using scene = await Scene.open(versions, { handler: echo })
    const first = scene.mitm.when('**').rewriteRequest({ headers: { 'x-a': '1', 'x-b': '1' } })
    const second = scene.mitm.when('**').rewriteRequest({ headers: { 'x-b': '2' } })
    const { headers } = echoOf(await scene.ask('/'))
    expect([headers['x-a'], headers['x-b']]).toEqual(['1', '2'])
    expect(scene.mitm.exchanges[0]?.rules).toHaveLength(2)
    expect([first.calls, second.calls]).toEqual([1, 1])
  })

  it('waits are met, and records say the same', async () => {
    await using scene = await Scene.open(versions)
    scene.mitm.get('**/mock*').respond(404, 'nothing', { 'x-a': '1' })
    const waited = scene.mitm.waitForResponse({ path: '/mock', status: 404 })
    await scene.ask('/mock?a=1', { headers: { 'x-b': '2' } })
    const exchange = await waited
    expect(exchange).toMatchObject({ answeredBy: 'rule' })
    expect([exchange.request.method, exchange.request.url, exchange.request.header('X-B')]).toEqual([
      'GET',
      'https://a.test/mock?a=1',
      '2',
    ])
    expect([exchange.response?.status, exchange.response?.header('x-a'), exchange.response?.text()]).toEqual([
      404,
      '1',
      'nothing',
    ])
    // HTTP/2 has no words for a status (RFC 9113 section 8.3.2).
    expect(exchange.response?.statusText).toBe(versions.client === 'h2' ? '' : 'Not Found')
    expect(exchange.request.httpVersion).toBe(versions.client === 'h2' ? 'HTTP/2' : 'HTTP/1.1')
  })
})
