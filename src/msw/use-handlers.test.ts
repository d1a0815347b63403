/** How handlers are handed over, listed, reset and restored. */
import { http as http2, HttpResponse as HttpResponse2 } from 'msw-2'
import { setupServer } from 'msw-2/node'
import { http, HttpHandler, HttpResponse, ws } from 'msw-3'
import { describe, expect, it } from 'vitest'

import { startMitm } from '../index.ts'
import type { MswHandler } from '../index.ts'
import { connectTo } from '../testing/clients.ts'
import { httpServer } from '../testing/servers.ts'
import type { TestMitm } from '../test-mitm.ts'
import { webSocketThrough } from '../testing/web-sockets.ts'

const URL_OF_ALL = 'http://api.test/'
const saying = (text: string, options?: { once: boolean }): MswHandler =>
  http.get(URL_OF_ALL, () => HttpResponse.text(text), options)
const ask = async (mitm: TestMitm): Promise<string> => (await mitm.fetch(URL_OF_ALL)).text()

describe('use()', () => {
  it('takes handlers of both majors, and middlewares beside them, and what it returns takes all of them out', async () => {
    const seen: string[] = []
    await using mitm = await startMitm()
    mitm.get(URL_OF_ALL).respond(200, 'rule')
    const added = mitm.use(
      http2.get(URL_OF_ALL, () => HttpResponse2.text('two')),
      { requestStarted: ({ request }) => void seen.push(request.method) },
      saying('three'),
    )
    expect(await ask(mitm)).toBe('two')
    expect(mitm.listHandlers()).toHaveLength(2)
    added.dispose()
    expect(await ask(mitm)).toBe('rule')
    expect(seen).toEqual(['GET'])
    expect(mitm.listHandlers()).toEqual([])
  })

  it('asks handlers of one call in their order, and those of a later call before them', async () => {
    await using mitm = await startMitm({ handlers: [saying('initial')] })
    const [one, two, three] = [
      saying('one', { once: true }),
      saying('two', { once: true }),
      saying('three', { once: true }),
    ]
    mitm.use(one, two)
    mitm.use(three)
    expect([await ask(mitm), await ask(mitm), await ask(mitm), await ask(mitm)]).toEqual([
      'three',
      'one',
      'two',
      'initial',
    ])
    expect(mitm.listHandlers().slice(0, 3)).toEqual([three, one, two])
  })

  it.each<[string, unknown, RegExp]>([
    ['a text', 'GET /', /Cannot take "GET \/" in use\(\): expected a handler of MSW/],
    ['nothing', undefined, /Cannot take undefined in use\(\)/],
    ['a plain object', { url: '/' }, /Cannot take a plain object in use\(\)/],
    [
      'an array',
      [saying('x')],
      /Cannot take an array of 1 in use\(\): expected its elements one by one: use\(\.\.\.handlers\)/,
    ],
    ['a server of MSW', setupServer(), /expected what is in it: use\(\.\.\.server\.listHandlers\(\)\)/],
    ['a link', ws.link('ws://chat.test/'), /expected what its addEventListener\('connection', …\) returns/],
    ['a function', http.get, /Cannot take a function in use/],
    ['a handler of MSW 2.6', { kind: 'websocket', id: '1' }, /its MSW is older than 2\.10/],
  ])('refuses %s, and then adds nothing', async (_, given, text) => {
    await using mitm = await startMitm()
    // A boundary: what types refuse.
    expect(() => mitm.use(saying('x'), given as never)).toThrow(text)
    expect(mitm.listHandlers()).toEqual([])
    expect(() => mitm.resetHandlers(given as never)).toThrow(
      text.source.includes('use') ? /MITM_INVALID_HANDLER/ : text,
    )
  })

  it('refuses handlers of a mitm that was closed', async () => {
    const mitm = await startMitm()
    await mitm.close()
    expect(() => mitm.use(saying('x'))).toThrow('MITM_NOT_RUNNING')
    expect(() => mitm.resetHandlers()).toThrow('MITM_NOT_RUNNING')
  })
})

describe('resetHandlers(), restoreHandlers() and reset()', () => {
  it('go back to the initial handlers, or to others, which are the initial ones from then on', async () => {
    const initial = saying('initial')
    await using mitm = await startMitm({ handlers: [initial] })
    mitm.use(saying('later'))
    mitm.resetHandlers()
    expect(mitm.listHandlers()).toEqual([initial])
    mitm.get(URL_OF_ALL).respond(200, 'rule')
    const next = saying('next')
    mitm.resetHandlers(next)
    expect(await ask(mitm)).toBe('next')
    mitm.use(saying('later'))
    mitm.resetHandlers()
    expect(mitm.listHandlers()).toEqual([next])
    mitm.use(saying('later'))
    mitm.reset()
    expect(mitm.listHandlers()).toEqual([next])
    expect(mitm.rules).toEqual([])
    expect(await ask(mitm)).toBe('next')
  })

  it('leave a handler used up that was for one request, until it is restored', async () => {
    await using mitm = await startMitm({ handlers: [saying('once', { once: true }), saying('ever')] })
    expect([await ask(mitm), await ask(mitm)]).toEqual(['once', 'ever'])
    mitm.resetHandlers()
    expect(await ask(mitm)).toBe('ever')
    mitm.restoreHandlers()
    expect([await ask(mitm), await ask(mitm)]).toEqual(['once', 'ever'])
    mitm.reset()
    expect(await ask(mitm)).toBe('once')
  })

  it('let a generator clean up behind itself, and begin anew', async () => {
    const cleaned: string[] = []
    const steps = http.get(URL_OF_ALL, function* steps() {
      try {
        yield HttpResponse.text('1')
        yield HttpResponse.text('2')
      } finally {
        cleaned.push('yes')
      }
    })
    {
      await using mitm = await startMitm({ handlers: [steps] })
      expect([await ask(mitm)]).toEqual(['1'])
      mitm.resetHandlers()
      expect(cleaned).toEqual(['yes'])
      expect([await ask(mitm), await ask(mitm)]).toEqual(['1', '2'])
    }
    expect(cleaned).toEqual(['yes', 'yes'])
  })
})

it('keeps the half of a request from its server, of which the client has taken back the rest', async () => {
  await using origin = await httpServer()
  await using mitm = await startMitm({ hosts: { 'api.test': origin.authority }, unmatched: 'error' })
  mitm.use(http.post('http://api.test/charge', () => HttpResponse.text('mock')))
  const wire = await connectTo(mitm)
  wire.write('POST http://api.test/charge HTTP/1.1\r\nHost: api.test\r\nContent-Length: 1000\r\n\r\nhalf')
  await mitm.waitForRequest('**/charge')
  wire.socket.destroy()
  await expect.poll(() => mitm.connections[0]?.endedAt).toBeDefined()
  expect(mitm.exchanges[0]).toMatchObject({ endReason: 'client-closed', serverAddress: undefined })
  expect(mitm.errors).toEqual([])
})

describe('what no handler is for', () => {
  it('is told with the handlers that came nearest, and one to paste', async () => {
    await using mitm = await startMitm({ unmatched: 'block' })
    const resolve = (): undefined => undefined
    mitm.use(
      http.get('http://other.test/user', resolve),
      http.get('http://api.test/orders/:id', resolve),
      http.post('http://api.test/user', resolve),
      http.get('http://api.test/user', resolve, { once: true }),
      ws.link('ws://api.test/live').addEventListener('connection', resolve),
    )
    const text = await (await mitm.fetch('http://api.test/user', { method: 'PUT' })).text()
    expect(text.replaceAll(/ \(src\S+\)/g, '').split('\n')).toEqual([
      "playwright-mitm: PUT http://api.test/user matches no rule and no handler, and unmatched is 'block'.",
      '',
      'Nearest handlers:',
      '  handler POST http://api.test/user',
      '    - method is PUT, expected POST',
      '  handler GET http://api.test/user',
      '    - method is PUT, expected GET',
      '  handler GET http://api.test/orders/:id',
      '    - method is PUT, expected GET',
      '    - url is http://api.test/user, expected that of GET http://api.test/orders/:id',
      '',
      'A rule for it:',
      "  mitm.put('http://api.test/user').json({})",
      'A handler of MSW for it:',
      "  http.put('http://api.test/user', () => HttpResponse.json({}))",
      'Or let it through:',
      "  unmatched: { mode: 'block', allow: ['http://api.test/**'] }",
      'See "Hermetic suites" in docs/rules.md [MITM_UNMATCHED_REQUEST]',
      '',
    ])
  })

  it('is told in words for WebSockets, where it is one', async () => {
    await using mitm = await startMitm({ unmatched: 'fail' })
    const resolve = (): undefined => undefined
    mitm.use(
      http.get('http://api.test/live', resolve),
      ws.link('ws://api.test/other').addEventListener('connection', resolve),
    )
    const socket = await webSocketThrough(mitm, 'ws://api.test/live?a=1')
    expect(await socket.opened().catch(String)).toMatch(/502/)
    const lines = String(mitm.errors[0]?.message)
      .replaceAll(/ \(src\S+\)/g, '')
      .split('\n')
    expect(lines).toContain('  handler ws.link(ws://api.test/other)')
    expect(lines).not.toContain('  handler GET http://api.test/live')
    expect(lines).toContain("  mitm.webSocket('ws://api.test/live').mock((socket) => socket.send('hello'))")
    expect(lines).toContain(
      "  ws.link('ws://api.test/live').addEventListener('connection', ({ client }) => client.send('hello'))",
    )
  })

  it('is also what a handler for one request has answered already', async () => {
    await using mitm = await startMitm({ unmatched: 'block', handlers: [saying('once', { once: true })] })
    expect(await ask(mitm)).toBe('once')
    expect(await ask(mitm)).toContain('    - MSW said that it is not for this one')
  })
})

describe('what a handler remembers', () => {
  it('is kept apart for mitms that run at the same time, and leaves no trace in the handler', async () => {
    for (const handler of [
      saying('once', { once: true }),
      http2.get(URL_OF_ALL, () => HttpResponse2.text('once'), { once: true }),
    ]) {
      await using one = await startMitm({ handlers: [handler, saying('ever')] })
      await using other = await startMitm({ handlers: [handler, saying('ever')] })
      for (const mitm of [one, other]) expect([await ask(mitm), await ask(mitm)]).toEqual(['once', 'ever'])
      expect(handler).toMatchObject({ isUsed: false })
    }
  })

  it('is kept apart also where its class has private fields', async () => {
    class Private extends HttpHandler {
      readonly #wanted = 'yes'

      override predicate({ request }: { request: Request }): Promise<boolean> {
        return Promise.resolve(request.headers.get('x-wanted') === this.#wanted)
      }
    }
    const handler = new Private('GET', URL_OF_ALL, () => HttpResponse.text('private'))
    await using mitm = await startMitm({ handlers: [handler, saying('other')] })
    expect(await ask(mitm)).toBe('other')
    expect(await (await mitm.fetch(URL_OF_ALL, { headers: { 'x-wanted': 'yes' } })).text()).toBe('private')
  })
})

describe('the options', () => {
  it.each<[string, object, string]>([
    [
      'handlers',
      { handlers: 'GET /' },
      'Cannot use option "handlers": it is "GET /", expected an array of handlers of MSW',
    ],
    [
      'handlers',
      { handlers: [[]] },
      'Cannot take an array of 0 in handlers: expected its elements one by one: [...handlers]',
    ],
    ['baseURL', { baseURL: '/users' }, 'Cannot use option "baseURL": it is "/users", expected an absolute URL'],
    ['handlerCors', { handlerCors: { origins: [] } }, 'Cannot use option "handlerCors": it "origins" is not known'],
  ])('%s is refused as %j', async (_, options, text) => {
    await expect(startMitm(options)).rejects.toThrow(text)
  })
})

describe('fetch()', () => {
  it('of this process is what it was when the last mitm with handlers has closed', async () => {
    const before = globalThis.fetch
    {
      await using one = await startMitm({ handlers: [saying('x')] })
      expect(globalThis.fetch).not.toBe(before)
      {
        await using other = await startMitm()
        other.use(saying('x'))
      }
      expect(globalThis.fetch).not.toBe(before)
      expect(await ask(one)).toBe('x')
    }
    expect(globalThis.fetch).toBe(before)
  })

  it('stays what somebody else has made of it meanwhile, and goes round in no circle', async () => {
    await using origin = await httpServer()
    const before = globalThis.fetch
    try {
      {
        await using _ = await startMitm({ handlers: [saying('x')] })
        const between = globalThis.fetch
        globalThis.fetch = (input, init) => between(input, init)
      }
      const others = globalThis.fetch
      await using mitm = await startMitm({ handlers: [saying('x')] })
      expect(await (await fetch(`http://${origin.authority}/a`)).text()).toBe('GET /a')
      await mitm.close()
      expect(globalThis.fetch).toBe(others)
    } finally {
      globalThis.fetch = before
    }
  })
})
