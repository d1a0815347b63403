import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { gunzipSync } from 'node:zlib'

import { describe, expect, it } from 'vitest'

import { startMitm } from '../test-mitm.ts'
import { takeResponse, tunnelTo } from '../testing/clients.ts'
import type { WireResponse } from '../testing/clients.ts'
import { httpServer } from '../testing/servers.ts'
import { gate } from '../testing/waits.ts'
import type { Wire } from '../testing/wire.ts'

const ask = (path: string, method = 'GET', rest = '\r\n'): string =>
  `${method} ${path} HTTP/1.1\r\nHost: a.test\r\n${rest}`

async function exchange(client: Wire, path: string, method = 'GET', rest?: string): Promise<WireResponse> {
  client.write(ask(path, method, rest))
  return takeResponse(client, method)
}

async function* pieces(...values: (string | Uint8Array)[]): AsyncGenerator<string | Uint8Array, void, undefined> {
  yield* values
}

describe('a stream as body', () => {
  it.each([
    ['an asynchronous generator', () => pieces('one ', Buffer.from('two'))],
    ['a readable of Node', () => Readable.from([Buffer.from('one '), Buffer.from('two')])],
    ['a web stream', () => ReadableStream.from<string | Uint8Array>(pieces('one ', 'two'))],
  ])('leaves in chunks, and the connection goes on: %s', async (_, make) => {
    await using mitm = await startMitm()
    mitm.get('**/stream').respond(200, make(), { 'x-a': '1' })
    mitm.get('**/made').respond(() => ({ body: make(), status: 201 }))
    const client = await tunnelTo(mitm, 'a.test:80')
    const first = await exchange(client, '/stream')
    expect([first.status, first.headers['x-a'], first.headers['transfer-encoding'], String(first.body)]).toEqual([
      200,
      '1',
      'chunked',
      'one two',
    ])
    for (let count = 0; count < 2; count++) {
      const response = await exchange(client, '/made')
      expect([response.status, String(response.body)]).toEqual([201, 'one two'])
    }
    expect(mitm.exchanges[0]?.response?.text()).toBe('one two')
    expect(mitm.exchanges[0]?.endReason).toBe('complete')
    expect(mitm.errors).toEqual([])
  })

  it('leaves piece by piece, as it comes', async () => {
    await using mitm = await startMitm()
    const more = gate()
    mitm.get('**').respond(
      200,
      (async function* body() {
        yield 'first'
        await more.opened
        yield 'second'
      })(),
    )
    const client = await tunnelTo(mitm, 'a.test:80')
    client.write(ask('/'))
    await client.until('\r\n\r\n5\r\nfirst\r\n')
    more.open()
    expect(await client.until('0\r\n\r\n')).toBe('6\r\nsecond\r\n0\r\n\r\n')
  })

  it('has the length that the headers say', async () => {
    await using mitm = await startMitm()
    mitm.get('**').respond(() => ({ body: pieces('one ', 'two'), headers: { 'content-length': '7' } }))
    const client = await tunnelTo(mitm, 'a.test:80')
    for (let count = 0; count < 2; count++) {
      const response = await exchange(client, '/')
      expect(response.headers['transfer-encoding']).toBeUndefined()
      expect(String(response.body)).toBe('one two')
    }
  })

  it.each([
    ['less', 'one two three'],
    ['more', 'one'],
  ])('of %s octets than its content-length allows is broken off', async (_, text) => {
    await using mitm = await startMitm()
    mitm.get('**').respond(200, pieces(text), { 'content-length': '7' })
    const client = await tunnelTo(mitm, 'a.test:80')
    client.write(ask('/'))
    expect(await client.ended).toBe('reset')
    await expect.poll(() => mitm.errors.map(({ code }) => code)).toEqual(['MITM_RULE_FAILED'])
  })

  it('ends with the connection for a client of HTTP/1.0', async () => {
    await using mitm = await startMitm()
    mitm.get('**').respond(200, pieces('one ', 'two'))
    const client = await tunnelTo(mitm, 'a.test:80')
    client.write('GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n')
    const text = await client.rest()
    expect(text).toMatch(/connection: close\r\n\r\none two$/)
    expect(text).not.toMatch(/transfer-encoding|content-length/i)
    expect(await client.ended).toBe('fin')
  })

  it('is not read for HEAD, and cancelled', async () => {
    await using mitm = await startMitm()
    const body = Readable.from(['never'])
    mitm.when('**').respond(200, body)
    const client = await tunnelTo(mitm, 'a.test:80')
    const { status, body: octets } = await exchange(client, '/', 'HEAD')
    expect([status, octets.length, body.destroyed]).toEqual([200, 0, true])
    expect(client.buffered).toHaveLength(0)
  })

  it('is compressed as its headers say, each piece at once', async () => {
    await using mitm = await startMitm()
    const more = gate()
    mitm.get('**').respond(
      200,
      (async function* body() {
        yield 'one '
        await more.opened
        yield 'two'
      })(),
      { 'content-encoding': 'gzip' },
    )
    const client = await tunnelTo(mitm, 'a.test:80')
    client.write(ask('/'))
    await client.until('\r\n\r\n')
    const first = await client.take(Number.parseInt(await client.until('\r\n'), 16))
    expect(first.length).toBeGreaterThan(0)
    more.open()
    const rest: Buffer[] = [first]
    await client.until('\r\n')
    for (let size = -1; size !== 0;) {
      size = Number.parseInt(await client.until('\r\n'), 16)
      rest.push(await client.take(size))
      await client.until('\r\n')
    }
    expect(String(gunzipSync(Buffer.concat(rest)))).toBe('one two')
  })

  it('that fails half way breaks the response off, and names the rule', async () => {
    await using mitm = await startMitm()
    mitm.get('**/bad').respond(
      200,
      (async function* body() {
        yield 'half'
        throw new Error('ouch')
      })(),
    )
    const client = await tunnelTo(mitm, 'a.test:80')
    client.write(ask('/bad'))
    await client.until('half')
    expect(await client.ended).toBe('reset')
    await expect.poll(() => mitm.errors.length).toBe(1)
    expect(mitm.errors[0]?.code).toBe('MITM_RULE_FAILED')
    expect(mitm.errors[0]?.message).toMatch(/ouch/)
    expect(mitm.errors[0]?.message).toContain('answers-on-the-wire.test.ts')
    expect(mitm.exchanges[0]?.endReason).toBe('failed')
  })

  it('that gives something else than octets breaks the response off', async () => {
    await using mitm = await startMitm()
    mitm.get('**').respond(200, Readable.from([{ a: 1 }]))
    const client = await tunnelTo(mitm, 'a.test:80')
    client.write(ask('/'))
    expect(await client.ended).toBe('reset')
    await expect.poll(() => mitm.errors[0]?.message).toContain('expected texts or octets')
  })

  it.each([
    ['a generator', () => pieces('x')],
    ['a readable', () => Readable.from(['x'])],
    ['a web stream', () => new Blob(['x']).stream()],
  ])('that is used twice says so the second time: %s', async (_, make) => {
    await using mitm = await startMitm()
    mitm.get('**').respond(200, make())
    const client = await tunnelTo(mitm, 'a.test:80')
    expect(String((await exchange(client, '/')).body)).toBe('x')
    const second = await exchange(client, '/')
    expect([second.status, second.headers['x-playwright-mitm-error']]).toEqual([500, 'MITM_RULE_FAILED'])
    expect(String(second.body)).toContain('can be read only once')
  })

  it.each(['reset', 'end'] as const)('is cancelled when the client leaves: %s', async (how) => {
    await using mitm = await startMitm()
    const cancelled = gate()
    const body = new ReadableStream<Uint8Array>({
      start: (controller) => controller.enqueue(Buffer.from('first')),
      cancel: () => cancelled.open(),
    })
    mitm.get('**').respond(200, body)
    const client = await tunnelTo(mitm, 'a.test:80')
    client.write(ask('/'))
    await client.until('first')
    client[how]()
    await cancelled.opened
    await expect.poll(() => mitm.exchanges[0]?.endReason).toBe(how === 'end' ? 'client-closed' : 'client-reset')
    expect(mitm.errors).toEqual([])
  })

  it('closes a generator when the client leaves', async () => {
    await using mitm = await startMitm()
    const closed = gate()
    async function* ticks(): AsyncGenerator<string, void, undefined> {
      try {
        for (;;) {
          yield 'tick'
          await new Promise((resolve) => setImmediate(resolve))
        }
      } finally {
        closed.open()
      }
    }
    mitm.get('**').respond(200, ticks())
    const client = await tunnelTo(mitm, 'a.test:80')
    client.write(ask('/'))
    await client.until('tick')
    client.reset()
    await closed.opened
  })

  it('is read no faster than the client reads', async () => {
    await using mitm = await startMitm()
    let given = 0
    async function* endless(): AsyncGenerator<Uint8Array, void, undefined> {
      for (; given < 4096; given++) yield Buffer.alloc(65_536)
    }
    mitm.get('**').respond(200, endless())
    const client = await tunnelTo(mitm, 'a.test:80')
    client.pause()
    client.write(ask('/'))
    let last = -1
    await expect
      .poll(
        () => {
          const isSame = given > 0 && given === last
          last = given
          return isSame
        },
        { interval: 100 },
      )
      .toBe(true)
    expect(given).toBeLessThan(400)
  })
})

describe('an answer that streams, among others', () => {
  it('leaves in its turn where requests are pipelined', async () => {
    await using origin = await httpServer()
    await using mitm = await startMitm({ hosts: { 'a.test': origin.authority } })
    const more = gate()
    mitm.get('**/stream').respond(async () => {
      await more.opened
      return { body: pieces('streamed') }
    })
    mitm.get('**/mock').respond(200, 'mock')
    const client = await tunnelTo(mitm, 'a.test:80')
    client.write(ask('/first') + ask('/stream') + ask('/mock') + ask('/last'))
    expect(String((await takeResponse(client)).body)).toBe('GET /first')
    more.open()
    const bodies: string[] = []
    for (let count = 0; count < 3; count++) bodies.push(String((await takeResponse(client)).body))
    expect(bodies).toEqual(['streamed', 'mock', 'GET /last'])
  })

  it('lets a client send its body that waits for permission', async () => {
    await using mitm = await startMitm()
    mitm.post('**').respond(({ request }) => ({ body: pieces('got ', request.text()) }))
    const client = await tunnelTo(mitm, 'a.test:80')
    client.write(ask('/', 'POST', 'Expect: 100-continue\r\nContent-Length: 4\r\n\r\n'))
    expect(await client.until('\r\n\r\n')).toBe('HTTP/1.1 100 Continue\r\n\r\n')
    client.write('body')
    expect(String((await takeResponse(client)).body)).toBe('got body')
  })

  it('of a text is sent whole to a client that half-closes', async () => {
    await using mitm = await startMitm()
    mitm.get('**').respond(200, 'x'.repeat(100_000))
    const client = await tunnelTo(mitm, 'a.test:80')
    client.end(ask('/'))
    expect((await takeResponse(client)).body).toHaveLength(100_000)
  })
})

describe('a file as body', () => {
  it('is read anew each time, with its type and length', async () => {
    await using mitm = await startMitm()
    const folder = await mkdtemp(join(tmpdir(), 'answers-'))
    try {
      const path = join(folder, 'data.json')
      mitm.get('**/body').respond(200, { path })
      mitm.get('**/init').respond({ path, status: 203 })
      const client = await tunnelTo(mitm, 'a.test:80')
      await writeFile(path, '{"a":1}')
      const first = await exchange(client, '/body')
      expect([first.headers['content-type'], first.headers['content-length'], String(first.body)]).toEqual([
        'application/json',
        '7',
        '{"a":1}',
      ])
      await writeFile(path, '[]')
      expect(String((await exchange(client, '/init')).body)).toBe('[]')
      const big = Buffer.alloc(3 * 1024 * 1024, 'x')
      await writeFile(path, big)
      const streamed = await exchange(client, '/body')
      expect(streamed.headers['content-length']).toBe(String(big.length))
      expect(streamed.body.equals(big)).toBe(true)
      expect((await exchange(client, '/body', 'HEAD')).body).toHaveLength(0)
      await rm(path)
      const missing = await exchange(client, '/body')
      expect([missing.status, missing.headers['x-playwright-mitm-error']]).toEqual([500, 'MITM_RULE_FAILED'])
      expect(String(missing.body)).toContain('ENOENT')
    } finally {
      await rm(folder, { recursive: true })
    }
  })
})

describe('an answer that a function makes', () => {
  it('sees the request whole, and may be a Response', async () => {
    await using mitm = await startMitm()
    mitm.post('**/init').respond(async ({ request }) => Promise.resolve({ json: { got: request.json() } }))
    mitm.post('**/response').respond(({ request }) => Response.json({ got: request.text() }, { status: 202 }))
    mitm.get('**/cookies').respond(() => {
      const headers = new Headers({ 'set-cookie': 'a=1' })
      headers.append('set-cookie', 'b=2')
      return new Response(null, { status: 204, headers })
    })
    const client = await tunnelTo(mitm, 'a.test:80')
    const made = await exchange(client, '/init', 'POST', 'Content-Length: 2\r\n\r\n42')
    expect([made.status, String(made.body)]).toEqual([200, '{"got":42}'])
    const response = await exchange(client, '/response', 'POST', 'Content-Length: 2\r\n\r\n42')
    expect([response.status, response.headers['content-type'], String(response.body)]).toEqual([
      202,
      'application/json',
      '{"got":"42"}',
    ])
    expect((await exchange(client, '/cookies')).head).toMatch(/set-cookie: a=1\r\nset-cookie: b=2\r\n/)
  })

  it('passes on what fetch got, in its coding', async () => {
    await using origin = await httpServer((_, response) => {
      response.setHeader('content-type', 'text/plain')
      response.end('from there')
    })
    await using mitm = await startMitm()
    mitm.get('**').respond(() => fetch(origin.origin))
    const client = await tunnelTo(mitm, 'a.test:80')
    const response = await exchange(client, '/')
    expect([response.headers['content-type'], String(response.body)]).toEqual(['text/plain', 'from there'])
  })

  it.each([
    [
      'throws',
      (): never => {
        throw new Error('ouch')
      },
      'ouch',
    ],
    ['returns nothing', (): never => undefined as never, 'it is undefined'],
    ['returns what cannot be sent', () => ({ status: 42 }), 'status is 42'],
    ['returns what failed', () => Response.error(), 'status is 0'],
  ])('is a 500 when it %s', async (_, responder, text) => {
    await using mitm = await startMitm()
    mitm.get('**').respond(responder)
    const response = await exchange(await tunnelTo(mitm, 'a.test:80'), '/')
    expect([response.status, response.headers['x-playwright-mitm-error']]).toEqual([500, 'MITM_RULE_FAILED'])
    expect(String(response.body)).toContain(text)
    expect(mitm.errors[0]?.message).toContain('answers-on-the-wire.test.ts')
  })
})

describe('server-sent events', () => {
  it('leave one by one', async () => {
    await using mitm = await startMitm()
    const more = gate()
    mitm.get('**').sse(async function* events() {
      yield 'one\ntwo'
      await more.opened
      yield { event: 'price', id: '7', retry: 10, data: { eur: 1 }, comment: 'later' }
    })
    const client = await tunnelTo(mitm, 'a.test:80')
    client.write(ask('/'))
    const head = await client.until('\r\n\r\n')
    expect(head).toContain('content-type: text/event-stream')
    expect(head).toContain('cache-control: no-store')
    expect(await client.until('\n\n')).toContain('data: one\ndata: two\n\n')
    more.open()
    expect(await client.until('0\r\n\r\n')).toContain(': later\nevent: price\nid: 7\nretry: 10\ndata: {"eur":1}\n\n')
  })

  it('stay open behind the last one, if told so', async () => {
    await using mitm = await startMitm()
    mitm.get('**').sse(['one'], { keepOpen: true })
    const client = await tunnelTo(mitm, 'a.test:80')
    client.write(ask('/'))
    await client.until('data: one\n\n')
    expect(mitm.exchanges[0]?.endReason).toBeUndefined()
    client.end()
    await expect.poll(() => mitm.exchanges[0]?.endReason).toBe('client-closed')
  })

  it('that are none break the response off', async () => {
    await using mitm = await startMitm()
    mitm.get('**').sse(function* events() {
      yield 'one'
      yield 2 as unknown as string
    })
    const client = await tunnelTo(mitm, 'a.test:80')
    client.write(ask('/'))
    await client.until('one')
    expect(await client.ended).toBe('reset')
    await expect.poll(() => mitm.errors[0]?.message).toContain('event 2 is 2')
  })
})

describe('trailers', () => {
  it('follow a body that is chunked for them', async () => {
    await using mitm = await startMitm()
    mitm.get('**').respond({ body: 'text', trailers: { 'x-sum': '4' } })
    const client = await tunnelTo(mitm, 'a.test:80')
    client.write(ask('/'))
    expect(await client.until('\r\n\r\n')).toMatch(/transfer-encoding: chunked\r\ntrailer: x-sum\r\n/)
    expect(await client.until('x-sum: 4\r\n\r\n')).toBe('4\r\ntext\r\n0\r\nx-sum: 4\r\n\r\n')
    expect(mitm.exchanges[0]?.response?.trailers).toEqual([['x-sum', '4']])
  })

  it('are not sent to a client of HTTP/1.0', async () => {
    await using mitm = await startMitm()
    mitm.get('**').respond({ body: 'text', trailers: { 'x-sum': '4' } })
    const client = await tunnelTo(mitm, 'a.test:80')
    client.write('GET / HTTP/1.0\r\n\r\n')
    expect(await client.rest()).toMatch(/content-length: 4\r\nconnection: close\r\n\r\ntext$/)
  })

  it('can be put behind the response of a server, whose own ones stay', async () => {
    await using origin = await httpServer((request, response) => {
      if (request.url === '/own') {
        response.setHeader('trailer', 'x-own')
        response.write('te')
        response.addTrailers({ 'x-own': '1' })
        response.end('xt')
      } else response.end('text')
    })
    await using mitm = await startMitm({ hosts: { 'a.test': origin.authority } })
    mitm.get('**').rewriteResponse({ trailers: { 'x-sum': '4' } })
    mitm.get('**/own').rewriteResponse((response) => ({ body: response.text().toUpperCase() }))
    const client = await tunnelTo(mitm, 'a.test:80')
    client.write(ask('/'))
    expect(await client.until('x-sum: 4\r\n\r\n')).toMatch(/\r\n\r\n4\r\ntext\r\n0\r\nx-sum: 4\r\n\r\n$/)
    client.write(ask('/own'))
    expect(await client.until('x-sum: 4\r\n\r\n')).toMatch(/\r\n\r\n4\r\nTEXT\r\n0\r\nx-own: 1\r\nx-sum: 4\r\n\r\n$/i)
  })
})

describe('before the answer', () => {
  it('interim responses leave at once, but not to a client of HTTP/1.0', async () => {
    await using mitm = await startMitm()
    mitm.get('**').earlyHints('</a.css>; rel=preload').interim(102).respond(200, 'ok')
    const client = await tunnelTo(mitm, 'a.test:80')
    client.write(ask('/'))
    expect(await client.until('\r\n\r\n')).toBe('HTTP/1.1 103 Early Hints\r\nlink: </a.css>; rel=preload\r\n\r\n')
    expect(await client.until('\r\n\r\n')).toBe('HTTP/1.1 102 Processing\r\n\r\n')
    expect((await takeResponse(client)).status).toBe(200)
    expect(mitm.exchanges[0]?.interim.map(({ status }) => status)).toEqual([103, 102])
    const old = await tunnelTo(mitm, 'a.test:80')
    old.write('GET / HTTP/1.0\r\n\r\n')
    expect(await old.rest()).toMatch(/^HTTP\/1\.1 200 OK/)
  })

  it('interim responses come before what a server answers, and after what was asked before', async () => {
    await using origin = await httpServer()
    await using mitm = await startMitm({ hosts: { 'a.test': origin.authority } })
    mitm.get('**/hinted').earlyHints(['</a.css>', '</b.css>'])
    const client = await tunnelTo(mitm, 'a.test:80')
    client.write(ask('/first') + ask('/hinted'))
    expect(String((await takeResponse(client)).body)).toBe('GET /first')
    expect(await client.until('\r\n\r\n')).toContain('103 Early Hints\r\nlink: </a.css>\r\nlink: </b.css>')
    expect(String((await takeResponse(client)).body)).toBe('GET /hinted')
  })

  it('delay() waits, before an answer and before a server', async () => {
    await using origin = await httpServer()
    await using mitm = await startMitm({ hosts: { 'a.test': origin.authority } })
    mitm.get('**').delay(60)
    mitm.get('**/mock').delay(60).respond(200)
    const client = await tunnelTo(mitm, 'a.test:80')
    for (const path of ['/mock', '/real']) {
      const before = performance.now()
      await exchange(client, path)
      expect(performance.now() - before).toBeGreaterThan(58)
    }
  })

  it.each(['reset', 'end'] as const)('a client that leaves meanwhile ends the exchange: %s', async (how) => {
    await using mitm = await startMitm()
    mitm.get('**').delay(60_000).respond(200)
    const client = await tunnelTo(mitm, 'a.test:80')
    client.write(ask('/'))
    await mitm.waitForRequest('**')
    client[how]()
    await expect.poll(() => mitm.exchanges[0]?.endReason).toBe(how === 'end' ? 'client-closed' : 'client-reset')
  })
})

describe('redirect()', () => {
  it('sends the client elsewhere', async () => {
    await using mitm = await startMitm()
    mitm.get('**/a').redirect('/b?x=ü')
    mitm.get('**/c').redirect('https://b.test', 308)
    const client = await tunnelTo(mitm, 'a.test:80')
    const first = await exchange(client, '/a')
    expect([first.status, first.headers['location'], first.headers['content-length']]).toEqual([
      302,
      '/b?x=%C3%BC',
      '0',
    ])
    const second = await exchange(client, '/c')
    expect([second.status, second.headers['location']]).toEqual([308, 'https://b.test/'])
  })
})
