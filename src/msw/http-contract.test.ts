/** What handlers of requests do on the wire, by both majors of MSW and in both versions of HTTP. */
import { once } from 'node:events'
import { request as requestBy } from 'node:http'
import type { IncomingMessage } from 'node:http'
import type { ClientHttp2Session } from 'node:http2'
import { describe, expect, it } from 'vitest'

import { startMitm } from '../index.ts'
import { programFetch } from '../testing/fetches.ts'
import type { FetchVersion, ProgramFetch } from '../testing/fetches.ts'
import { http2Server, http2Through, request as requestByHttp2 } from '../testing/http2.ts'
import { MSW_MAJORS } from '../testing/msw-majors.ts'
import { httpServer } from '../testing/servers.ts'
import type { TestMitm, TestMitmOptions } from '../test-mitm.ts'

const VERSIONS: readonly FetchVersion[] = ['HTTP/1.1', 'HTTP/2']
const CASES = MSW_MAJORS.flatMap((major) => VERSIONS.map((version) => ({ ...major, version })))

describe.each(CASES)('$name over $version', ({ msw, graphqlAt, version }) => {
  const { http, HttpResponse, passthrough, bypass, delay } = msw

  /** A mitm, and a program behind it. */
  async function stage(options: TestMitmOptions = {}): Promise<AsyncDisposable & { mitm: TestMitm } & ProgramFetch> {
    const mitm = await startMitm(options)
    const program = await programFetch(mitm, version)
    return {
      mitm,
      fetch: program.fetch,
      async [Symbol.asyncDispose]() {
        await program[Symbol.asyncDispose]()
        await mitm.close()
      },
    }
  }

  it('answers with parameters, and the exchange says which handler it was', async () => {
    await using on = await stage()
    on.mitm.use(http.get('https://api.test/user/:id', ({ params }) => HttpResponse.json({ id: params['id'] })))
    const response = await on.fetch('https://api.test/user/7?a=1')
    expect(await response.json()).toEqual({ id: '7' })
    const [exchange] = on.mitm.exchanges
    expect(exchange?.http2 !== undefined).toBe(version === 'HTTP/2')
    expect(exchange?.answeredBy).toBe('handler')
    expect(exchange?.handler?.header).toBe('GET https://api.test/user/:id')
    expect(exchange?.handler?.where).toMatch(/^src\/msw\/http-contract\.test\.ts:\d+$/)
    expect(exchange?.rules).toEqual([expect.stringMatching(/^handler GET https:\/\/api\.test\/user\/:id \(src/)])
    expect(on.mitm.explain()).toMatch(/^handler GET https:\/\/api\.test\/user\/:id \(.*\); answered once$/)
  })

  it('gives the request as it was sent: method, fields, cookies, body', async () => {
    await using on = await stage()
    on.mitm.use(
      http.post('https://api.test/:kind', async ({ request, cookies, params }) =>
        HttpResponse.json(
          {
            cookies,
            params,
            url: request.url,
            body: await request.json(),
            field: request.headers.get('x-mine'),
          },
          { status: 201, headers: { 'x-answer': 'yes' } },
        ),
      ),
    )
    const response = await on.fetch('https://api.test/orders?page=2', {
      method: 'POST',
      body: JSON.stringify({ id: 1 }),
      headers: { 'content-type': 'application/json', cookie: 'a=1; b=2', 'x-mine': 'yes' },
    })
    expect(response.status).toBe(201)
    expect(response.headers.get('x-answer')).toBe('yes')
    expect(await response.json()).toEqual({
      cookies: { a: '1', b: '2' },
      params: { kind: 'orders' },
      url: 'https://api.test/orders?page=2',
      body: { id: 1 },
      field: 'yes',
    })
  })

  it('stands in one order with rules: the last that was added is asked first', async () => {
    await using on = await stage()
    on.mitm.get('https://api.test/a').respond(200, 'rule')
    const added = on.mitm.use(
      http.get('https://api.test/a', () => undefined),
      http.get('https://api.test/a', () => HttpResponse.text('handler')),
    )
    const ask = async (): Promise<string> => (await on.fetch('https://api.test/a')).text()
    expect(await ask()).toBe('handler')
    const later = on.mitm.get('https://api.test/a').respond(200, 'later')
    expect(await ask()).toBe('later')
    later.remove()
    expect(await ask()).toBe('handler')
    added.dispose()
    expect(await ask()).toBe('rule')
  })

  it('goes with newer rules that change the exchange', async () => {
    await using on = await stage()
    on.mitm.use(http.get('https://api.test/a', () => HttpResponse.json({ a: 1 })))
    on.mitm.get('https://api.test/a').rewriteResponse({ jsonMerge: { b: 2 } })
    const response = await on.fetch('https://api.test/a')
    expect(JSON.parse(await response.text())).toEqual({ a: 1, b: 2 })
  })

  it('goes to the server once where it says nothing, and where it says passthrough()', async () => {
    await using origin = await httpServer()
    await using on = await stage({ hosts: { 'api.test': `http://${origin.authority}` }, unmatched: 'fail' })
    on.mitm.use(
      http.post('https://api.test/silent', async ({ request }) => void (await request.text())),
      http.get('https://api.test/through', () => passthrough()),
    )
    const silent = await on.fetch('https://api.test/silent', { method: 'POST', body: 'x' })
    expect(await silent.text()).toBe('POST /silent')
    expect(await (await on.fetch('https://api.test/through')).text()).toBe('GET /through')
    expect((await on.fetch('https://api.test/other')).status).toBe(502)
    expect(origin.requests).toEqual(['POST /silent', 'GET /through'])
    expect(on.mitm.exchanges.map(({ answeredBy }) => answeredBy)).toEqual(['server', 'server', 'mitm'])
  })

  it.runIf(version === 'HTTP/1.1')('tells a client to go on that waits before it sends its body', async () => {
    await using on = await stage()
    on.mitm.use(http.post('http://api.test/', async ({ request }) => HttpResponse.text(await request.text())))
    const asked = requestBy(on.mitm.url, {
      method: 'POST',
      path: 'http://api.test/',
      headers: { host: 'api.test', expect: '100-continue', 'content-length': 4 },
    })
    asked.flushHeaders()
    await once(asked, 'continue')
    asked.end('body')
    const [response] = (await once(asked, 'response')) as [IncomingMessage]
    expect(String(Buffer.concat(await response.toArray()))).toBe('body')
  })

  it('asks older handlers where a newer one has read the body and says nothing', async () => {
    await using on = await stage()
    on.mitm.use(
      http.post('https://api.test/a', async ({ request }) => void (await request.text())),
      http.post('https://api.test/a', async ({ request }) => HttpResponse.text(`got ${await request.text()}`)),
    )
    expect(await (await on.fetch('https://api.test/a', { method: 'POST', body: 'x' })).text()).toBe('got x')
  })

  it('asks the real server once for fetch(bypass(request)), without the mark, and answers with what it makes of that', async () => {
    const accepted: (string | undefined)[] = []
    await using origin = await httpServer((request, response) => {
      accepted.push(request.headers.accept)
      response.setHeader('content-type', 'application/json')
      response.end(JSON.stringify({ method: request.method, mine: request.headers['x-mine'] }))
    })
    await using on = await stage({ hosts: { 'api.test': `http://${origin.authority}` }, unmatched: 'fail' })
    on.mitm.use(
      http.all('https://api.test/user', async ({ request }) => {
        const real: unknown = await (await fetch(bypass(request))).json()
        return HttpResponse.json({ real, added: true })
      }),
    )
    const response = await on.fetch('https://api.test/user', { headers: { accept: 'application/json', 'x-mine': '1' } })
    expect(await response.json()).toEqual({ real: { method: 'GET', mine: '1' }, added: true })
    const posted = await on.fetch('https://api.test/user', { method: 'POST', body: 'x' })
    expect(await posted.json()).toMatchObject({ real: { method: 'POST' } })
    expect(accepted).toEqual(['application/json', '*/*'])
    expect(on.mitm.exchanges.map(({ source }) => source)).toEqual(['server', 'handler', 'server', 'handler'])
    expect(on.mitm.errors).toEqual([])
  })

  it('keeps requests of bypass() apart that run at the same time for several mitms', async () => {
    const answerWith = (name: string) => httpServer((_, response) => response.end(name))
    await using one = await answerWith('one')
    await using other = await answerWith('other')
    await using first = await stage({ hosts: { 'api.test': `http://${one.authority}` } })
    await using second = await stage({ hosts: { 'api.test': `http://${other.authority}` } })
    const handler = http.get('https://api.test/', async ({ request }) => {
      await delay(1)
      return HttpResponse.text(await (await fetch(bypass(request))).text())
    })
    for (const { mitm } of [first, second]) mitm.use(handler)
    const ask = async ({ fetch: from }: ProgramFetch): Promise<string> => (await from('https://api.test/')).text()
    expect(await Promise.all([ask(first), ask(second), ask(first)])).toEqual(['one', 'other', 'one'])
  })

  it('asks no handler about a request that its client has marked, and takes the mark off', async () => {
    await using origin = await httpServer((request, response) => response.end(request.headers.accept))
    await using on = await stage({ hosts: { 'api.test': `http://${origin.authority}` } })
    on.mitm.use(http.get('https://api.test/', () => HttpResponse.text('mocked')))
    const { headers } = bypass('https://api.test/', { headers: { accept: 'text/plain' } })
    const response = await on.fetch('https://api.test/', { headers: Object.fromEntries(headers) })
    expect(await response.text()).toBe('text/plain')
  })

  it('says of the body that HEAD does not get what the handler said of it', async () => {
    await using on = await stage()
    on.mitm.use(http.head('https://api.test/', () => new HttpResponse(null, { headers: { 'content-length': '77' } })))
    const response = await on.fetch('https://api.test/', { method: 'HEAD' })
    expect(response.headers.get('content-length')).toBe('77')
  })

  it('keeps several cookies apart', async () => {
    await using on = await stage()
    on.mitm.use(
      http.get('https://api.test/', () => {
        const response = HttpResponse.text('yes')
        response.headers.append('set-cookie', 'a=1; Path=/')
        response.headers.append('set-cookie', 'b=2; Path=/')
        return response
      }),
    )
    const response = await on.fetch('https://api.test/')
    expect(response.headers.getSetCookie()).toEqual(['a=1; Path=/', 'b=2; Path=/'])
  })

  it('gives a 500 where a handler throws an error, with its own stack, and the answer where it throws one', async () => {
    await using on = await stage()
    on.mitm.use(
      http.get('https://api.test/broken', function breaks() {
        throw new Error('oops')
      }),
      // As MSW lets handlers do it: no error is thrown, but an answer.
      http.get('https://api.test/thrown', () => Promise.reject(HttpResponse.text('thrown', { status: 418 }))),
    )
    const response = await on.fetch('https://api.test/broken')
    expect(response.status).toBe(500)
    expect(await response.text()).toContain('Cannot answer by the handler GET https://api.test/broken')
    expect(on.mitm.errors).toMatchObject([{ code: 'MITM_HANDLER_FAILED', cause: { message: 'oops' } }])
    const [{ cause } = { cause: undefined }] = on.mitm.errors
    expect(cause instanceof Error && cause.stack).toContain('breaks')
    expect(on.mitm.exchanges[0]?.handler?.header).toBe('GET https://api.test/broken')
    expect((await on.fetch('https://api.test/thrown')).status).toBe(418)
  })

  it('says what is wrong with what a handler returned, and breaks a stream off that fails', async () => {
    await using on = await stage()
    on.mitm.use(
      // A boundary: what types refuse.
      http.get('https://api.test/object', () => ({ name: 'Ada' }) as unknown as Response),
      http.get('https://api.test/read', async () => {
        const response = HttpResponse.text('x')
        await response.text()
        return response
      }),
      http.get('https://api.test/fails', () => {
        const stream = new ReadableStream({ pull: () => Promise.reject(new Error('oops')) })
        return new HttpResponse(stream)
      }),
    )
    expect((await on.fetch('https://api.test/object')).status).toBe(500)
    expect((await on.fetch('https://api.test/read')).status).toBe(500)
    await expect(on.fetch('https://api.test/fails').then((response) => response.text())).rejects.toThrow()
    await expect.poll(() => on.mitm.errors.filter(({ code }) => code === 'MITM_HANDLER_FAILED')).toHaveLength(3)
    expect(on.mitm.errors.map(({ message }) => message)).toEqual([
      expect.stringMatching(/GET https:\/\/api\.test\/object/),
      expect.stringMatching(/the body of its response has been read already/),
      expect.stringMatching(/GET https:\/\/api\.test\/fails.*oops/),
    ])
  })

  it('cuts the connection for HttpResponse.error()', async () => {
    await using on = await stage()
    on.mitm.use(http.get('https://api.test/', () => HttpResponse.error()))
    await expect(on.fetch('https://api.test/')).rejects.toThrow('fetch failed')
    expect(on.mitm.exchanges[0]).toMatchObject({ endReason: 'blocked', response: undefined })
  })

  it('answers with a stream piece by piece', async () => {
    await using on = await stage()
    let send: (text: string) => void = () => undefined
    let hasLeft: () => void = () => undefined
    const left = new Promise<void>((resolve) => (hasLeft = resolve))
    on.mitm.use(
      http.get('https://api.test/', () => {
        const stream = new ReadableStream<Uint8Array>({
          start: (controller) => void (send = (text) => controller.enqueue(Buffer.from(text))),
          cancel: () => hasLeft(),
        })
        return new HttpResponse(stream, { headers: { 'content-type': 'text/plain' } })
      }),
    )
    const response = await on.fetch('https://api.test/')
    const reader = response.body?.getReader()
    for (const piece of ['one', 'two']) {
      send(piece)
      expect(Buffer.from((await reader?.read())?.value ?? []).toString()).toBe(piece)
    }
    await reader?.cancel()
    await left
  })

  it('is told when the client has gone, however long it waits, and that is no request without a handler', async () => {
    await using on = await stage({ unmatched: 'error' })
    let hasAborted: () => void = () => undefined
    const aborted = new Promise<void>((resolve) => (hasAborted = resolve))
    let hasCome: () => void = () => undefined
    const come = new Promise<void>((resolve) => (hasCome = resolve))
    on.mitm.use(
      http.get('https://api.test/slow', async ({ request }) => {
        request.signal.addEventListener('abort', () => hasAborted())
        hasCome()
        await delay('infinite')
      }),
    )
    const controller = new AbortController()
    const asked = on.fetch('https://api.test/slow', { signal: controller.signal }).catch(() => 'left')
    await come
    controller.abort()
    expect(await asked).toBe('left')
    await aborted
    await expect.poll(() => on.mitm.exchanges[0]?.endReason).toMatch(/^client-/)
    expect(on.mitm.exchanges[0]?.handler?.header).toBe('GET https://api.test/slow')
    expect(on.mitm.errors).toEqual([])
  })

  it('waits as long as delay() says', async () => {
    await using on = await stage()
    on.mitm.use(
      http.get('https://api.test/', async () => {
        await delay(40)
        return HttpResponse.text('late')
      }),
    )
    expect(await (await on.fetch('https://api.test/')).text()).toBe('late')
    expect(on.mitm.exchanges[0]?.timings.responseStartMs).toBeGreaterThan(35)
  })

  it('answers each time with the next of a generator, and once where it says so', async () => {
    await using on = await stage()
    on.mitm.use(
      http.get('https://api.test/once', () => HttpResponse.text('once'), { once: true }),
      http.get('https://api.test/once', () => HttpResponse.text('ever')),
      http.get('https://api.test/steps', function* steps() {
        yield HttpResponse.text('1')
        yield HttpResponse.text('2')
        return HttpResponse.text('last')
      }),
    )
    const seen: string[] = []
    for (const path of ['once', 'once', 'once', 'steps', 'steps', 'steps', 'steps']) {
      seen.push(await (await on.fetch(`https://api.test/${path}`)).text())
    }
    expect(seen).toEqual(['once', 'ever', 'ever', '1', '2', 'last', 'last'])
    on.mitm.restoreHandlers()
    expect(await (await on.fetch('https://api.test/once')).text()).toBe('once')
    on.mitm.resetHandlers()
    expect(on.mitm.listHandlers()).toEqual([])
  })

  it('resolves relative paths against the base URL, and means no other origin by them', async () => {
    await using on = await stage({ baseURL: 'https://shop.test/deep/' })
    on.mitm.when('https://other.test/**').respond(404)
    on.mitm.use(http.get('/users', ({ request }) => HttpResponse.text(new URL(request.url).host)))
    expect(await (await on.fetch('https://shop.test/users')).text()).toBe('shop.test')
    expect((await on.fetch('https://other.test/users')).status).toBe(404)
    const referer = 'https://other.test/page'
    expect(await (await on.fetch('https://other.test/users', { headers: { referer } })).text()).toBe('other.test')
  })

  it('shares its answers with pages of other origins, and answers their preflights, unless it is told not to', async () => {
    await using origin = await httpServer((_, response) => response.writeHead(405).end())
    for (const handlerCors of [undefined, false] as const) {
      await using on = await stage({ handlerCors, hosts: { 'api.test': `http://${origin.authority}` } })
      on.mitm.use(
        http.put('https://api.test/a', () => HttpResponse.json({})),
        graphqlAt('https://api.test/graphql').mutation('Pay', () => HttpResponse.json({ data: {} })),
      )
      const preflight = (path: string, method: string): ReturnType<ProgramFetch['fetch']> =>
        on.fetch(`https://api.test${path}`, {
          method: 'OPTIONS',
          headers: { origin: 'https://shop.test', 'access-control-request-method': method },
        })
      const isShared = handlerCors === undefined
      const headers = { origin: 'https://shop.test' }
      const answer = await on.fetch('https://api.test/a', { method: 'PUT', headers })
      expect(answer.headers.get('access-control-allow-origin')).toBe(isShared ? 'https://shop.test' : null)
      const permitted = await preflight('/a', 'PUT')
      expect(permitted.status).toBe(isShared ? 204 : 405)
      expect(permitted.headers.get('access-control-allow-methods')).toBe(isShared ? 'PUT' : null)
      expect((await preflight('/graphql', 'POST')).status).toBe(isShared ? 204 : 405)
      expect((await preflight('/a', 'DELETE')).status).toBe(405)
    }
  })

  it('answers operations of GraphQL, and leaves others to the server', async () => {
    await using origin = await httpServer((_, response) => response.end('real'))
    await using on = await stage({ hosts: { 'api.test': `http://${origin.authority}` } })
    const at = graphqlAt('https://api.test/graphql')
    on.mitm.use(
      at.query('User', ({ variables }) => HttpResponse.json({ data: { user: { id: variables['id'] } } })),
      at.mutation('Pay', () => HttpResponse.json({ errors: [{ message: 'declined' }] })),
    )
    const ask = (query: string, variables = {}): ReturnType<ProgramFetch['fetch']> =>
      on.fetch('https://api.test/graphql', {
        method: 'POST',
        body: JSON.stringify({ query, variables }),
        headers: { 'content-type': 'application/json' },
      })
    expect(await (await ask('query User($id: ID) { user(id: $id) { id } }', { id: 'x' })).json()).toEqual({
      data: { user: { id: 'x' } },
    })
    expect(await (await ask('mutation Pay { pay }')).json()).toEqual({ errors: [{ message: 'declined' }] })
    expect(await (await ask('query Other { other }')).text()).toBe('real')
    expect(on.mitm.exchanges.map(({ handler }) => handler?.header)).toEqual([
      expect.stringContaining('User'),
      expect.stringContaining('Pay'),
      undefined,
    ])
  })
})

describe('a connection of HTTP/2 that is relayed', () => {
  it('is left to handlers that are added for its host, and not to those of others', async () => {
    await using origin = await http2Server((stream) => {
      stream.respond({ ':status': 200 })
      stream.end('real')
    })
    await using mitm = await startMitm({ hosts: { 'api.test': origin.authority } })
    const [{ msw }] = MSW_MAJORS
    const answer = (): Response => msw.HttpResponse.text('mocked')
    mitm.use(msw.http.get('http://other.test/a', answer))
    const session = await http2Through(mitm, 'api.test:80')
    const ask = async (by: ClientHttp2Session): Promise<string> => (await requestByHttp2(by, { ':path': '/a' })).body
    expect(await ask(session)).toBe('real')
    const closed = once(session, 'close')
    mitm.use(msw.http.get('http://third.test/a', answer))
    expect(await ask(session)).toBe('real')
    mitm.use(msw.http.get('http://api.test/a', answer))
    await closed
    const next = await http2Through(mitm, 'api.test:80')
    expect(await ask(next)).toBe('mocked')
    next.destroy()
    expect(mitm.connections.map(({ servers }) => servers.length)).toEqual([1, 0])
  })
})
