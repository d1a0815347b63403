import { brotliCompressSync, brotliDecompressSync, deflateSync, gunzipSync, gzipSync, inflateSync } from 'node:zlib'

import { describe, expect, it } from 'vitest'

import { startMitm } from '../test-mitm.ts'
import { connectTo, secureWire, takeResponse, tunnelTo } from '../testing/clients.ts'
import type { WireResponse } from '../testing/clients.ts'
import { closedPort, httpServer, wireServer } from '../testing/servers.ts'
import type { HttpServer } from '../testing/servers.ts'
import type { Wire } from '../testing/wire.ts'

const ask = (path: string, method = 'GET', rest = '\r\n'): string =>
  `${method} ${path} HTTP/1.1\r\nHost: a.test\r\n${rest}`

/** Sends a request, takes the response, and checks that the connection is fit for another one. */
async function exchange(client: Wire, path: string, method = 'GET', rest?: string): Promise<WireResponse> {
  client.write(ask(path, method, rest))
  return takeResponse(client, method)
}

describe('an answer', () => {
  it('comes with its length, and the connection goes on', async () => {
    await using mitm = await startMitm()
    mitm.get('**/text').respond(201, 'héllo', { 'x-a': '1' })
    mitm.get('**/octets').respond(200, Buffer.from([0, 255]))
    mitm.get('**/json').json({ a: [1, null] }, { status: 203 })
    mitm.get('**/false').json(false)
    mitm.get('**/empty').respond(200)
    mitm.get('**/none').respond(204)
    mitm.get('**/gzip').respond(200, 'zipped', { 'content-encoding': 'gzip' })
    const client = await tunnelTo(mitm, 'a.test:80')
    const text = await exchange(client, '/text')
    expect([text.status, text.headers['content-length'], text.headers['x-a'], String(text.body)]).toEqual([
      201,
      '6',
      '1',
      'héllo',
    ])
    expect([...(await exchange(client, '/octets')).body]).toEqual([0, 255])
    const json = await exchange(client, '/json')
    expect([json.status, json.headers['content-type'], String(json.body)]).toEqual([
      203,
      'application/json',
      '{"a":[1,null]}',
    ])
    expect(String((await exchange(client, '/false')).body)).toBe('false')
    expect((await exchange(client, '/empty')).headers['content-length']).toBe('0')
    const none = await exchange(client, '/none')
    expect([none.status, none.headers['content-length'], none.headers['transfer-encoding']]).toEqual([
      204,
      undefined,
      undefined,
    ])
    expect(String(gunzipSync((await exchange(client, '/gzip')).body))).toBe('zipped')
    expect(mitm.exchanges.every(({ answeredBy, endReason }) => answeredBy === 'rule' && endReason === 'complete')).toBe(
      true,
    )
  })

  it('to HEAD has the length of the body and not the body', async () => {
    await using mitm = await startMitm()
    mitm.when('**').respond(200, 'five!')
    const client = await tunnelTo(mitm, 'a.test:80')
    const response = await exchange(client, '/', 'HEAD')
    expect([response.headers['content-length'], response.body.length]).toEqual(['5', 0])
    expect(String((await exchange(client, '/')).body)).toBe('five!')
  })

  it('closes the connection for a client that does not keep it alive', async () => {
    await using mitm = await startMitm()
    mitm.when('**').respond(200, 'ok')
    for (const head of ['GET / HTTP/1.0\r\n\r\n', 'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n']) {
      const client = await tunnelTo(mitm, 'a.test:80')
      client.write(head)
      expect(await client.rest()).toMatch(/connection: close[^]*ok$/)
      client.end()
    }
  })

  it('never contacts the server: CONNECT, absolute-form and TLS alike', async () => {
    await using origin = await httpServer()
    await using mitm = await startMitm({ hosts: { 'a.test': origin.authority } })
    mitm.when({ host: 'a.test' }).respond(200, 'mock')
    const { certificate } = await mitm.certificateAuthority()
    const plain = await tunnelTo(mitm, 'a.test:80')
    expect(String((await exchange(plain, '/')).body)).toBe('mock')
    const proxied = await connectTo(mitm)
    expect(String((await exchange(proxied, 'http://a.test/')).body)).toBe('mock')
    const sealed = await secureWire(await tunnelTo(mitm, 'a.test:443'), { servername: 'a.test', ca: certificate })
    expect(String((await exchange(sealed, '/')).body)).toBe('mock')
    expect(origin.accepted).toBe(0)
    expect(mitm.connections.map(({ server }) => server)).toEqual([undefined, undefined, undefined])
  })

  it('is possible where there is no server at all', async () => {
    await using mitm = await startMitm({ hosts: { 'a.test': `127.0.0.1:${await closedPort()}` } })
    mitm.get('**/mock').respond(200, 'mock')
    const client = await tunnelTo(mitm, 'a.test:80')
    expect(String((await exchange(client, '/mock')).body)).toBe('mock')
    const real = await exchange(client, '/real')
    expect([real.status, real.headers['x-playwright-mitm-error']]).toEqual([502, 'MITM_DIAL_FAILED'])
    expect(String((await exchange(client, '/mock')).body)).toBe('mock')
  })

  it('leaves the server undialled until another path needs it', async () => {
    await using origin = await httpServer()
    await using mitm = await startMitm({ hosts: { 'a.test': origin.authority } })
    mitm.get('**/mock').respond(200, 'mock')
    const client = await tunnelTo(mitm, 'a.test:80')
    await exchange(client, '/mock')
    expect(origin.accepted).toBe(0)
    expect(String((await exchange(client, '/real')).body)).toBe('GET /real')
    await exchange(client, '/mock')
    expect(String((await exchange(client, '/real2')).body)).toBe('GET /real2')
    expect(origin.accepted).toBe(1)
  })

  it('takes in a large request body that nobody looks at', async () => {
    await using mitm = await startMitm({ maxBodyBytes: 1000 })
    mitm.post('**').respond(200, 'taken')
    const client = await tunnelTo(mitm, 'a.test:80')
    const size = 4 * 1024 * 1024
    client.write(ask('/', 'POST', `Content-Length: ${size}\r\n\r\n`))
    client.write(Buffer.alloc(size))
    expect(String((await takeResponse(client)).body)).toBe('taken')
    expect(mitm.exchanges[0]?.request).toMatchObject({ bodySize: size, isBodyTruncated: true })
  })
})

describe('block', () => {
  it('cuts the connection without a response, and the server sees nothing', async () => {
    await using origin = await httpServer()
    await using mitm = await startMitm({ hosts: { 'a.test': origin.authority } })
    mitm.get('**/blocked').block()
    const client = await tunnelTo(mitm, 'a.test:80')
    client.write(ask('/blocked'))
    expect(await client.ended).toBe('reset')
    expect(origin.requests).toEqual([])
    await expect.poll(() => mitm.exchanges[0]?.endReason).toBe('blocked')
    expect(mitm.errors).toEqual([])
  })
})

describe('how often', () => {
  it('once, times and remove let the server answer afterwards', async () => {
    await using origin = await httpServer()
    await using mitm = await startMitm({ hosts: { 'a.test': origin.authority } })
    mitm.get('**/x').respond(200, 'thrice').times(3)
    mitm.get('**/x').respond(200, 'once').once()
    const removed = mitm.get('**/x').respond(200, 'removed')
    removed.remove()
    const client = await tunnelTo(mitm, 'a.test:80')
    const bodies: string[] = []
    for (let count = 0; count < 5; count++) {
      bodies.push(String((await exchange(client, '/x')).body))
    }
    expect(bodies).toEqual(['once', 'thrice', 'thrice', 'thrice', 'GET /x'])
  })
})

describe('rewriteRequest', () => {
  const echo = (): Promise<HttpServer> =>
    httpServer((request, response) => {
      const chunks: Buffer[] = []
      request.on('data', (chunk: Buffer) => chunks.push(chunk))
      request.on('end', () => {
        const { method, url, headers } = request
        response.end(JSON.stringify({ method, url, headers, body: Buffer.concat(chunks).toString('base64') }))
      })
    })

  it.each([
    ['content-length', (body: Buffer) => [`Content-Length: ${body.length}\r\n\r\n`, body] as const],
    [
      'chunks',
      (body: Buffer) =>
        [
          'Transfer-Encoding: chunked\r\n\r\n',
          Buffer.concat([Buffer.from(`${body.length.toString(16)}\r\n`), body, Buffer.from('\r\n0\r\n\r\n')]),
        ] as const,
    ],
  ])('sends the changed body with the right length: %s, gzip and plain', async (_, frame) => {
    await using origin = await echo()
    await using mitm = await startMitm({ hosts: { 'a.test': origin.authority } })
    mitm.post('**').rewriteRequest((request) => ({ body: `${request.text()} and more`, headers: { 'x-new': 'yes' } }))
    const client = await tunnelTo(mitm, 'a.test:80')
    for (const isZipped of [false, true]) {
      const [fields, octets] = frame(isZipped ? gzipSync('body') : Buffer.from('body'))
      client.write(ask('/', 'POST', `${isZipped ? 'Content-Encoding: gzip\r\n' : ''}${fields}`))
      client.write(octets)
      const seen = JSON.parse(String((await takeResponse(client)).body)) as Record<string, string> & {
        headers: Record<string, string>
      }
      const body = Buffer.from(seen['body'] ?? '', 'base64')
      expect(String(isZipped ? gunzipSync(body) : body)).toBe('body and more')
      expect(seen.headers).toMatchObject({ 'x-new': 'yes', 'content-length': String(body.length) })
      expect(seen.headers['transfer-encoding']).toBeUndefined()
    }
    expect(mitm.exchanges[0]?.request.text()).toBe('body')
    expect(mitm.exchanges[0]?.sentRequest?.text()).toBe('body and more')
  })

  it('streams the body of a request whose head alone is changed', async () => {
    await using origin = await wireServer()
    await using mitm = await startMitm({ hosts: { 'a.test': origin.authority } })
    mitm.post('**').rewriteRequest({ method: 'PUT', url: '/v2?x=1', headers: { 'x-new': 'yes' } })
    const client = await tunnelTo(mitm, 'a.test:80')
    client.write(ask('/v1', 'POST', 'Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n'))
    const server = await origin.next()
    const head = await server.until('\r\n\r\n')
    expect(head).toMatch(/^PUT \/v2\?x=1 HTTP\/1\.1\r\nHost: a\.test\r\n/)
    expect(await server.until('half\r\n')).toBe('4\r\nhalf\r\n')
    client.write('0\r\n\r\n')
    expect(await server.until('0\r\n\r\n')).toBe('0\r\n\r\n')
  })

  it('to another host sends the request there, with its Host', async () => {
    await using one = await httpServer((_, response) => response.end('one'))
    await using other = await echo()
    await using mitm = await startMitm({ hosts: { 'a.test': one.authority, 'b.test': other.authority } })
    mitm.get('**/move').rewriteRequest({ url: 'http://b.test/moved' })
    const client = await tunnelTo(mitm, 'a.test:80')
    expect(String((await exchange(client, '/stay')).body)).toBe('one')
    expect(JSON.parse(String((await exchange(client, '/move')).body))).toMatchObject({
      url: '/moved',
      headers: { host: 'b.test' },
    })
    expect(String((await exchange(client, '/stay')).body)).toBe('one')
  })
})

describe('rewriteResponse', () => {
  const codings = {
    plain: { encode: (octets: Buffer) => octets, decode: (octets: Buffer) => octets },
    gzip: { encode: gzipSync, decode: gunzipSync },
    deflate: { encode: deflateSync, decode: inflateSync },
    br: { encode: brotliCompressSync, decode: brotliDecompressSync },
  }

  it.each(
    Object.keys(codings).flatMap((coding) =>
      (['content-length', 'chunked', 'close-delimited'] as const).map((framing) => [coding, framing] as const),
    ),
  )('keeps the coding and puts the length right: %s, %s', async (coding, framing) => {
    const { encode, decode } = codings[coding as keyof typeof codings] // Boundary: a key of it.
    await using origin = await httpServer((_, response) => {
      const body = encode(Buffer.from('{"price":1}'))
      if (coding !== 'plain') response.setHeader('content-encoding', coding)
      if (framing === 'content-length') response.setHeader('content-length', body.length)
      if (framing === 'close-delimited') {
        response.shouldKeepAlive = false
        response.useChunkedEncodingByDefault = false
      }
      response.write(body.subarray(0, 5))
      response.end(body.subarray(5))
    })
    await using mitm = await startMitm({ hosts: { 'a.test': origin.authority } })
    mitm.get('**').rewriteResponse((response) => ({ json: { was: response.json() }, status: 299 }))
    const client = await tunnelTo(mitm, 'a.test:80')
    const response = await exchange(client, '/')
    expect(response.status).toBe(299)
    expect(JSON.parse(String(decode(response.body)))).toEqual({ was: { price: 1 } })
    expect(response.headers['content-length']).toBe(String(response.body.length))
    expect(response.headers['transfer-encoding']).toBeUndefined()
    expect(mitm.exchanges[0]?.serverResponse?.status).toBe(200)
    expect(mitm.exchanges[0]?.response?.json()).toEqual({ was: { price: 1 } })
  })

  it('streams the body where the head alone is changed', async () => {
    await using origin = await wireServer()
    await using mitm = await startMitm({ hosts: { 'a.test': origin.authority } })
    mitm.get('**').rewriteResponse({ headers: { 'x-new': 'yes', server: null } })
    const client = await tunnelTo(mitm, 'a.test:80')
    client.write(ask('/'))
    const server = await origin.next()
    await server.until('\r\n\r\n')
    server.write('HTTP/1.1 200 OK\r\nServer: x\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n')
    const head = await client.until('\r\n\r\n')
    expect(head.toLowerCase()).toContain('x-new: yes')
    expect(head.toLowerCase()).not.toContain('server:')
    expect(await client.until('half\r\n')).toBe('4\r\nhalf\r\n')
    server.write('0\r\nT: 1\r\n\r\n')
    expect(await client.until('T: 1\r\n\r\n')).toBe('0\r\nT: 1\r\n\r\n')
  })

  it.each(['HEAD', 'GET'])('of a response without a body leaves it without: %s', async (method) => {
    await using origin = await httpServer((_, response) => {
      response.statusCode = method === 'HEAD' ? 200 : 304
      response.end()
    })
    await using mitm = await startMitm({ hosts: { 'a.test': origin.authority } })
    mitm.when('**').rewriteResponse(() => ({ headers: { 'x-new': 'yes' } }))
    const client = await tunnelTo(mitm, 'a.test:80')
    for (let count = 0; count < 2; count++) {
      const response = await exchange(client, '/', method)
      expect([response.headers['x-new'], response.body.length, client.buffered.length]).toEqual(['yes', 0, 0])
    }
  })

  it('applies to the answer of another rule too', async () => {
    await using mitm = await startMitm()
    mitm.get('**').respond(200, 'mock')
    mitm.get('**').rewriteResponse((response) => ({ body: response.text().toUpperCase() }))
    const client = await tunnelTo(mitm, 'a.test:80')
    expect(String((await exchange(client, '/')).body)).toBe('MOCK')
  })

  it('takes a large body that fits, and answers 502 for one that does not', async () => {
    const size = 3 * 1024 * 1024
    await using origin = await httpServer((_, response) => response.end(Buffer.alloc(size, 'x')))
    await using mitm = await startMitm({ hosts: { 'a.test': origin.authority } })
    mitm.get('**').rewriteResponse((response) => ({ body: `${response.text()}!` }))
    expect((await exchange(await tunnelTo(mitm, 'a.test:80'), '/')).body).toHaveLength(size + 1)

    await using small = await startMitm({ hosts: { 'a.test': origin.authority }, maxBodyBytes: size - 1 })
    small.get('**').rewriteResponse((response) => ({ body: `${response.text()}!` }))
    const client = await tunnelTo(small, 'a.test:80')
    const refused = await exchange(client, '/')
    expect([refused.status, refused.headers['x-playwright-mitm-error']]).toEqual([502, 'MITM_BODY_TOO_LARGE'])
    expect(small.errors.map(({ code }) => code)).toEqual(['MITM_BODY_TOO_LARGE'])
  })
})

describe('clientData and serverData', () => {
  it('change the octets of that exchange only', async () => {
    await using origin = await wireServer()
    await using mitm = await startMitm({ hosts: { 'a.test': origin.authority } })
    const upper = (data: Buffer): Buffer => Buffer.from(data.toString('latin1').replace('mark', 'MARK'), 'latin1')
    mitm
      .get('**/changed')
      .clientData(upper)
      .serverData(async (data) => Promise.resolve(upper(data)))
    const client = await tunnelTo(mitm, 'a.test:80')
    client.write(ask('/same', 'GET', 'X: mark\r\n\r\n'))
    const server = await origin.next()
    expect(await server.until('\r\n\r\n')).toContain('X: mark')
    server.write('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nmark')
    expect(String((await takeResponse(client)).body)).toBe('mark')
    client.write(ask('/changed', 'GET', 'X: mark\r\n\r\n'))
    expect(await server.until('\r\n\r\n')).toContain('X: MARK')
    server.write('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nmark')
    expect(String((await takeResponse(client)).body)).toBe('MARK')
  })
})

describe('a function that throws', () => {
  it.each(['rewriteRequest', 'rewriteResponse'] as const)('answers 500 and is reported: %s', async (method) => {
    await using origin = await httpServer()
    await using mitm = await startMitm({ hosts: { 'a.test': origin.authority } })
    mitm.get('**/bad')[method](() => {
      throw new Error('ouch')
    })
    const client = await tunnelTo(mitm, 'a.test:80')
    const response = await exchange(client, '/bad')
    expect([response.status, response.headers['x-playwright-mitm-error']]).toEqual([500, 'MITM_RULE_FAILED'])
    expect(String(response.body)).toContain('ouch')
    expect(mitm.errors.map(({ code }) => code)).toEqual(['MITM_RULE_FAILED'])
    expect(mitm.errors[0]?.message).toContain('on-the-wire.test.ts')
    expect(String((await exchange(client, '/good')).body)).toBe('GET /good')
  })

  it('answers 500 where nothing of the request was sent yet: clientData', async () => {
    await using origin = await httpServer()
    await using mitm = await startMitm({ hosts: { 'a.test': origin.authority } })
    mitm.get('**/bad').clientData(() => Promise.reject(new Error('ouch')))
    const response = await exchange(await tunnelTo(mitm, 'a.test:80'), '/bad')
    expect([response.status, response.headers['x-playwright-mitm-error']]).toEqual([500, 'MITM_RULE_FAILED'])
    expect(mitm.errors.map(({ code }) => code)).toEqual(['MITM_RULE_FAILED'])
    expect(origin.requests).toEqual([])
  })

  it('ends that connection and no other: serverData', async () => {
    await using origin = await httpServer()
    await using mitm = await startMitm({ hosts: { 'a.test': origin.authority } })
    mitm.get('**/bad').serverData(() => {
      throw new Error('ouch')
    })
    const client = await tunnelTo(mitm, 'a.test:80')
    client.write(ask('/bad'))
    await client.rest()
    expect(mitm.errors.map(({ code }) => code)).toEqual(['MITM_RULE_FAILED'])
    expect(mitm.exchanges[0]?.endReason).toBe('failed')
    expect(String((await exchange(await tunnelTo(mitm, 'a.test:80'), '/good')).body)).toBe('GET /good')
  })

  it('in a filter passes the rule over, and is reported', async () => {
    await using origin = await httpServer()
    await using mitm = await startMitm({ hosts: { 'a.test': origin.authority } })
    mitm
      .when(() => {
        throw new Error('ouch')
      })
      .respond(200, 'never')
    const client = await tunnelTo(mitm, 'a.test:80')
    expect(String((await exchange(client, '/')).body)).toBe('GET /')
    expect(mitm.errors.map(({ code }) => code)).toEqual(['MITM_RULE_FAILED'])
  })
})
