/** HTTP/2 passes as if the mitm were not there, is recorded in the same words, and obeys the same rules. */
import type { Browser, Page } from '@playwright/test'
import { expect, test as base } from 'playwright-mitm'
import { CertificateAuthority } from 'playwright-mitm/core'
import type { TestMitm } from 'playwright-mitm/core'
import { WebSocket } from 'ws'
import { startHttp2Origin } from './support/http2-origin.ts'
import type { Http2Origin, StreamAnswer } from './support/http2-origin.ts'

const PAGE = '<!doctype html><link rel="icon" href="data:,"><title>Two</title><h1>Hello</h1>'

const ANSWERS: Readonly<Record<string, StreamAnswer>> = {
  '/': PAGE,
  '/item': 'item',
  '/odd': (stream) => {
    stream.respond({ ':status': 203, 'x-odd': 'Case Stays', 'set-cookie': ['a=1', 'b=2; Path=/'], 'x-two': ['1', '2'] })
    stream.end('odd')
  },
  '/size': (stream, _, body) => {
    stream.respond({ ':status': 200, 'content-type': 'text/plain' })
    stream.end(String(body.length))
  },
  '/large': (stream) => {
    stream.respond({ ':status': 200 })
    stream.end(Buffer.alloc(10 * 2 ** 20, 'x'))
  },
  '/refuse': (stream) => stream.close(2),
  '/socket': (stream) => {
    stream.respond({ ':status': 200 })
    // Not in the types: what a server of this library does with the streams that it has.
    const socket = Reflect.construct(WebSocket, [null, undefined, {}])
    Reflect.apply(Reflect.get(socket, 'setSocket') as () => void, socket, [stream, Buffer.alloc(0), { maxPayload: 0 }])
    socket.on('message', (data: Buffer, isBinary: boolean) => socket.send(data, { binary: isBinary }))
  },
  '/slow': (stream) => {
    stream.respond({ ':status': 200 })
    stream.write('begun')
  },
}

const test = base.extend<{ origin: Http2Origin }, { authority: CertificateAuthority }>({
  authority: [async ({}, use) => use(await CertificateAuthority.create()), { scope: 'worker' }],
  origin: async ({ authority }, use) => {
    await using origin = await startHttp2Origin(ANSWERS, authority, { enableConnectProtocol: true })
    await use(origin)
  },
  mitmOptions: async ({ origin, authority }, use) => {
    await use({ hosts: { 'two.test': `127.0.0.1:${origin.port}` }, upstream: { ca: authority.certificate } })
  },
})

/** The two ways in which HTTP/2 passes. */
const MODES = ['relayed', 'bridged'] as const

for (const mode of MODES) {
  test.describe(mode, () => {
    test.beforeEach(({ mitm }) => {
      if (mode === 'bridged') mitm.get('https://two.test/elsewhere').rewriteResponse({ status: 418 })
    })

    test('the page sees what it sees without the mitm', async ({ page, browser, origin }) => {
      const url = `https://two.localhost:${origin.port}/odd`
      const direct = await withoutMitm(browser, (plain) => seenBy(plain, url))
      expect(direct).toMatchObject({ status: 203, httpVersion: 'HTTP/2.0' })
      const seen = await seenBy(page, 'https://two.test/odd')
      const date = (headers: typeof seen.headers): typeof headers => headers.filter(({ name }) => name !== 'date')
      expect({ ...seen, headers: date(seen.headers) }).toEqual({ ...direct, headers: date(direct.headers) })
    })

    test('what passes is recorded', async ({ page, mitm }) => {
      await page.goto('https://two.test/')
      await page.evaluate(() => fetch('/size', { method: 'POST', body: 'four' }).then((response) => response.text()))
      await expect(mitm).toHaveRequestedTimes({ method: 'POST', url: 'https://two.test/size', body: 'four' }, 1)
      const [exchange] = mitm.requests({ method: 'POST', protocol: 'http/2' })
      expect(exchange).toMatchObject({ endReason: 'complete', answeredBy: 'server', source: 'page' })
      expect(exchange?.response?.text()).toBe('4')
      expect(exchange?.connection.layers).toEqual(['socks5', 'tls', 'http/2'])
      expect(new Set(mitm.requests().map(({ connection }) => connection.id)).size).toBe(1)
    })

    test('many at once, and large bodies both ways', async ({ page, origin }) => {
      await page.goto('https://two.test/')
      const answers = await page.evaluate(() =>
        Promise.all(
          Array.from({ length: 60 }, (_, index) => fetch(`/item?${index}`).then((response) => response.text())),
        ),
      )
      expect(new Set(answers)).toEqual(new Set(['item']))
      const sizes = await page.evaluate(async () => {
        const down = await fetch('/large').then((response) => response.arrayBuffer())
        const up = await fetch('/size', { method: 'POST', body: 'y'.repeat(10 * 2 ** 20) })
        return [down.byteLength, Number(await up.text())]
      })
      expect(sizes).toEqual([10 * 2 ** 20, 10 * 2 ** 20])
      expect(origin.connectionCount).toBe(1)
    })

    test('a WebSocket has a stream, and its messages are recorded', async ({ page, mitm, origin }) => {
      await page.goto('https://two.test/')
      const heard = await page.evaluate(
        () =>
          new Promise<unknown[]>((resolve) => {
            const messages: unknown[] = []
            const socket = new WebSocket('wss://two.test/socket')
            socket.addEventListener('open', () => socket.send('one'))
            socket.addEventListener('message', ({ data }) => {
              messages.push(data)
              if (messages.length === 1) socket.send('two')
              else socket.close(1000, 'done')
            })
            socket.addEventListener('close', ({ code, wasClean }) => resolve([...messages, code, wasClean]))
          }),
      )
      expect(heard).toEqual(['one', 'two', 1000, true])
      const [exchange] = mitm.requests('https://two.test/socket')
      expect(exchange?.request.method).toBe('CONNECT')
      expect(exchange?.messages.map((message) => message.text())).toEqual(['one', 'one', 'two', 'two'])
      await expect.poll(() => exchange?.endReason).toBe('upgraded')
      expect(origin.connectionCount).toBe(1)
    })

    test('a stream that the server resets, and one that the page leaves, end alone', async ({ page, mitm }) => {
      await page.goto('https://two.test/')
      const outcome = await page.evaluate(async () => {
        const controller = new AbortController()
        const slow = await fetch('/slow', { signal: controller.signal })
        await slow.body?.getReader().read()
        controller.abort()
        const refused = await fetch('/refuse').catch((error: Error) => error.name)
        return [refused, await (await fetch('/item')).text()]
      })
      expect(outcome).toEqual(['TypeError', 'item'])
      await expect.poll(() => mitm.requests('https://two.test/slow')[0]?.endReason).toBe('client-reset')
      expect(mitm.requests('https://two.test/slow')[0]?.http2?.resetName).toBe('CANCEL')
      expect(mitm.requests('https://two.test/refuse')[0]).toMatchObject({ endReason: 'server-reset' })
      expect(new Set(mitm.requests().map(({ connection }) => connection.id)).size).toBe(1)
    })
  })
}

test('a rule that is added between two clicks takes effect on a page that was relayed', async ({
  page,
  mitm,
  origin,
}) => {
  await page.goto('https://two.test/')
  const load = (): Promise<string> => page.evaluate(async () => (await fetch('/item')).text())
  expect(await load()).toBe('item')
  mitm.get('https://two.test/item').rewriteResponse({ body: 'changed' })
  expect(await load()).toBe('changed')
  mitm.get('https://two.test/item').json({ mocked: true })
  expect(await load()).toBe('{"mocked":true}')
  // Nothing was lost, nor asked for twice.
  expect(origin.arrivals).toEqual(['GET /', 'GET /item', 'GET /item'])
})

for (const [what, add, answer] of [
  [
    'changes its messages',
    (mitm) => void mitm.webSocket('wss://two.test/socket').onMessage(() => 'changed'),
    'changed',
  ],
  [
    'looks on at another path',
    (mitm) => void mitm.get('https://two.test/other').rewriteResponse({ headers: { a: 'b' } }),
    'hello',
  ],
  ['answers at another path', (mitm) => void mitm.get('https://two.test/other').json({}), 'hello'],
  ['slows everything down', (mitm) => void mitm.slow('Fast 4G'), 'hello'],
] satisfies [string, (mitm: TestMitm) => void, string][]) {
  test(`a WebSocket reaches its server of HTTP/2 alone when a rule has come that ${what}`, async ({ page, mitm }) => {
    await page.goto('https://two.test/')
    add(mitm)
    const heard = await page.evaluate(
      () =>
        new Promise((resolve) => {
          const socket = new WebSocket('wss://two.test/socket')
          socket.addEventListener('open', () => socket.send('hello'))
          socket.addEventListener('message', ({ data }) => resolve(data))
          socket.addEventListener('close', ({ code }) => resolve(code))
        }),
    )
    expect(heard).toBe(answer)
    await expect(mitm).toHaveRequested({ url: 'wss://two.test/socket', webSocket: true })
    expect(mitm.errors).toEqual([])
  })
}

test('a host that only rules answer speaks HTTP/2', async ({ page, mitm, origin }) => {
  mitm.get('https://nowhere.test/').respond(200, PAGE)
  mitm.post('https://nowhere.test/item').json({ id: 1 }, { status: 201 })
  const response = await page.goto('https://nowhere.test/')
  expect(
    await response
      ?.request()
      .response()
      .then((got) => got?.status()),
  ).toBe(200)
  expect(await page.evaluate(() => fetch('/item', { method: 'POST', body: 'x' }).then((got) => got.status))).toBe(201)
  expect(mitm.requests('https://nowhere.test/**').map(({ request }) => request.httpVersion)).toEqual([
    'HTTP/2',
    'HTTP/2',
  ])
  expect(origin.connectionCount).toBe(0)
})

test('an answer that streams, hints and trailers arrive over HTTP/2', async ({ page, mitm }) => {
  mitm.get('https://nowhere.test/').respond(200, PAGE)
  mitm.get('https://nowhere.test/events').sse([{ data: 'one' }, { data: 'two' }], { keepOpen: true })
  await page.goto('https://nowhere.test/')
  const heard = await page.evaluate(
    () =>
      new Promise<string[]>((resolve) => {
        const events: string[] = []
        const source = new EventSource('/events')
        source.addEventListener('message', ({ data }: { data: string }) => {
          events.push(data)
          if (events.length === 2) resolve(events)
        })
      }),
  )
  expect(heard).toEqual(['one', 'two'])
})

test('the network goes away and comes back', async ({ page, mitm }) => {
  await page.goto('https://two.test/')
  const load = (): Promise<string> =>
    page.evaluate(() =>
      fetch('/item')
        .then((got) => got.text())
        .catch((error: Error) => error.name),
    )
  expect(await load()).toBe('item')
  const away = mitm.offline()
  expect(await load()).toBe('TypeError')
  away.remove()
  expect(await load()).toBe('item')
})

async function withoutMitm<T>(browser: Browser, action: (page: Page) => Promise<T>): Promise<T> {
  // A name that browsers look up themselves, and may reach past this proxy, which does not exist.
  const context = await browser.newContext({
    ignoreHTTPSErrors: true,
    proxy: { server: 'http://127.0.0.1:9', bypass: 'two.localhost' },
  })
  try {
    return await action(await context.newPage())
  } finally {
    await context.close()
  }
}

async function seenBy(
  page: Page,
  url: string,
): Promise<{ headers: { name: string; value: string }[] } & Record<string, unknown>> {
  const response = await page.goto(url)
  if (!response) throw new Error('The page was not loaded')
  return {
    status: response.status(),
    headers: await response.headersArray(),
    text: await response.text(),
    httpVersion: await response.httpVersion(),
  }
}
