/** Handlers of MSW, by both of its majors, answer the page and the application's server. */
import type { Page } from '@playwright/test'
import { defineMitm, expect } from 'playwright-mitm'
import { startAppServer } from './support/app-server.ts'
import { MSW_MAJORS } from './support/msw-majors.ts'
import type { Answer } from './support/origin.ts'
import { serveSockets } from './support/serve-sockets.ts'
import { fetchIn as fetchAndTell } from './support/fetch-in.ts'
import type { PageRequest } from './support/fetch-in.ts'
import { test } from './support/site.ts'

/** Fetches in the page; a failure comes as the message of its error. */
const fetchIn = (page: Page, url: string, init: PageRequest = {}): Promise<string> =>
  fetchAndTell(page, url, init, 'message')

const ANSWERS: Readonly<Record<string, Answer>> = {
  '/user': (request, response) => response.end(`real ${request.headers.accept}`),
  '/worker.js': `
    const socket = new WebSocket('wss://chat.test/live')
    socket.onmessage = ({ data }) => postMessage(data)
    socket.onopen = () => socket.send('from a worker')`,
}
test.use({ answers: ANSWERS })

for (const { name, msw, graphqlAt, whyNoSse } of MSW_MAJORS) {
  const { http, HttpResponse, bypass, passthrough, delay, ws, sse } = msw

  test.describe(name, () => {
    for (const version of ['http1', 'http2'] as const) {
      test(`one handler answers the page and the server, by ${version}`, async ({ page, mitm }) => {
        mitm.use(http.get('https://api.test/user', () => HttpResponse.json({ name: 'Ada' })))
        await using server = await startAppServer(mitm, version)
        await page.goto(server.url)
        await expect(page.getByRole('heading')).toHaveText('200 {"name":"Ada"}')
        expect(await fetchIn(page, 'https://api.test/user')).toBe('200 {"name":"Ada"}')
        await expect(mitm).toHaveRequested({ url: 'https://api.test/user', source: 'server' })
        await expect(mitm).toHaveRequested({ url: 'https://api.test/user', source: 'page' })
        const [byServer, byPage] = mitm.requests('https://api.test/user')
        expect(byServer?.http2 !== undefined).toBe(version === 'http2')
        // Chromium speaks HTTP/2 with whoever offers it, as a mocked host does.
        expect(byPage?.http2).toBeDefined()
        for (const exchange of [byServer, byPage]) {
          expect(exchange).toMatchObject({ answeredBy: 'handler', handler: { header: 'GET https://api.test/user' } })
        }
        expect(mitm.connections.flatMap(({ servers }) => servers.map(({ host }) => host))).not.toContain('api.test')
      })
    }

    test('requests of another origin are answered as page.route() did it: preflights, fields, cookies', async ({
      page,
      mitm,
    }) => {
      await page.goto('https://app.test/')
      mitm.use(
        http.put('https://pay.test/cart/:id', async ({ request, params }) =>
          HttpResponse.json({ id: params['id'], got: await request.json() }, { headers: { 'x-own': 'yes' } }),
        ),
        http.get('/login', () => {
          const response = HttpResponse.text('in')
          response.headers.append('set-cookie', 'a=1; Path=/')
          response.headers.append('set-cookie', 'b=2; Path=/')
          return response
        }),
        http.get('/me', ({ cookies }) => HttpResponse.json(cookies)),
        graphqlAt('https://graph.test/').query('User', ({ variables }) => HttpResponse.json({ data: variables })),
      )
      const json = { 'content-type': 'application/json', 'x-token': 't' }
      const init = { method: 'PUT', headers: json, body: '{"a":1}', credentials: 'include' } as const
      expect(await fetchIn(page, 'https://pay.test/cart/7', init)).toBe('200 {"id":"7","got":{"a":1}}')
      const query = JSON.stringify({ query: 'query User { user }', variables: { id: '1' } })
      expect(await fetchIn(page, 'https://graph.test/', { method: 'POST', headers: json, body: query })).toBe(
        '200 {"data":{"id":"1"}}',
      )
      // Relative paths mean the page's own origin, and no other.
      expect(await fetchIn(page, '/login')).toBe('200 in')
      expect(await page.evaluate('document.cookie')).toBe('a=1; b=2')
      expect(await fetchIn(page, '/me')).toBe('200 {"a":"1","b":"2"}')
      expect(await fetchIn(page, 'https://other.test/me')).toBe('Failed to fetch')
    })

    test('the real server is asked once by bypass() and passthrough(), and nothing of it is seen there', async ({
      page,
      mitm,
      site,
    }) => {
      await page.goto('https://app.test/')
      mitm.use(
        http.get('/user', async ({ request }) =>
          HttpResponse.text(`changed ${await (await fetch(bypass(request))).text()}`),
        ),
        http.get('/', () => passthrough()),
      )
      expect(await fetchIn(page, '/user')).toBe('200 changed real */*')
      expect(await fetchIn(page, '/')).toMatch(/^200 <!doctype html>/)
      const arrived = site.arrivals.filter(({ url }) => url === '/user')
      expect(arrived).toHaveLength(1)
      expect(arrived[0]?.rawHeaders.join(' ')).not.toMatch(/msw|x-playwright-mitm/)
      await expect(mitm).toHaveRequestedTimes('https://app.test/user', 1)
      expect(mitm.requests({ url: '**/user', source: 'handler' })).toHaveLength(1)
    })

    test('HttpResponse.error() fails the request once, also on a connection that is kept', async ({ page, mitm }) => {
      await page.goto('https://app.test/')
      mitm.use(
        http.get('/broken', () => HttpResponse.error(), { once: true }),
        http.get('/broken', () => HttpResponse.text('whole')),
      )
      expect(await fetchIn(page, '/broken')).toBe('Failed to fetch')
      expect(await fetchIn(page, '/broken')).toBe('200 whole')
    })

    test('a stream comes piece by piece, and an answer that never comes ends with the page', async ({ page, mitm }) => {
      await page.goto('https://app.test/')
      let wasAborted = false
      let send: (text: string) => void = () => undefined
      mitm.use(
        http.get('/stream', () => {
          const stream = new ReadableStream<Uint8Array>({
            start: (controller) => void (send = (text) => controller.enqueue(Buffer.from(text))),
          })
          return new HttpResponse(stream)
        }),
        http.get('/never', async ({ request }) => {
          request.signal.addEventListener('abort', () => (wasAborted = true))
          await delay('infinite')
        }),
      )
      await page.evaluate(async () => {
        const { body } = await fetch('/stream')
        Reflect.set(globalThis, 'reader', body?.pipeThrough(new TextDecoderStream()).getReader())
      })
      for (const piece of ['one', 'two']) {
        send(piece)
        expect(await page.evaluate('reader.read().then(({ value }) => value)')).toBe(piece)
      }
      await page.evaluate("void fetch('/never').catch(() => undefined)")
      await mitm.waitForRequest('**/never')
      await page.goto('about:blank')
      await expect.poll(() => wasAborted).toBe(true)
    })

    test('ws.link() answers a page and a worker, broadcasts, and connects to the real server', async ({
      page,
      mitm,
      site,
    }) => {
      serveSockets(site)
      const chat = ws.link('wss://chat.test/*')
      mitm.use(
        chat.addEventListener('connection', ({ client }) => {
          client.addEventListener('message', ({ data }) => chat.broadcast(`all: ${String(data)}`))
        }),
        ws.link('wss://app.test/echo').addEventListener('connection', ({ client, server }) => {
          server.connect()
          server.addEventListener('message', (event) => {
            event.preventDefault()
            client.send(`server: ${String(event.data)}`)
          })
        }),
      )
      await page.goto('https://app.test/')
      // As text, because it is a program for browsers.
      await page.evaluate(`
        var heard = []
        const socket = new WebSocket('wss://chat.test/live')
        socket.onmessage = ({ data }) => heard.push(data)
        socket.onopen = () => {
          new Worker('/worker.js').onmessage = ({ data }) => heard.push('worker ' + data)
        }
        const echo = new WebSocket('wss://app.test/echo')
        echo.onmessage = ({ data }) => heard.push(data)
        echo.onopen = () => echo.send('hello')`)
      const heard = (): Promise<unknown> => page.evaluate('heard.toSorted()')
      await expect.poll(heard).toEqual(['all: from a worker', 'server: hello', 'worker all: from a worker'])
    })

    test('sse() sends events, and EventSource hears the end of them', async ({ page, mitm }) => {
      test.skip(whyNoSse !== undefined, whyNoSse)
      mitm.use(
        sse('https://live.test/prices', ({ client }) => {
          client.send({ data: '42' })
          client.send({ data: '43' })
        }),
      )
      await page.goto('https://app.test/')
      const heard = await page.evaluate(
        () =>
          new Promise((resolve) => {
            const seen: unknown[] = []
            const source = new EventSource('https://live.test/prices')
            source.addEventListener('message', ({ data }) => {
              if (seen.push(data) < 2) return
              source.close()
              resolve(seen)
            })
          }),
      )
      expect(heard).toEqual(['42', '43'])
    })

    test.describe('handlers of a module, for several tests', () => {
      test.describe.configure({ mode: 'serial' })
      const handlers = [
        http.get('https://api.test/once', () => HttpResponse.text('once'), { once: true }),
        http.get('https://api.test/steps', function* steps() {
          yield HttpResponse.text('first')
          return HttpResponse.text('last')
        }),
      ]
      test.use({ mitm: defineMitm(handlers) })

      for (const turn of ['first', 'second']) {
        test(`begin anew in the ${turn} one`, async ({ page, mitm }) => {
          await page.goto('https://app.test/')
          mitm.use(http.get('https://api.test/mine', () => HttpResponse.text('mine')))
          expect(mitm.listHandlers()).toHaveLength(3)
          mitm.resetHandlers()
          expect(mitm.listHandlers()).toEqual(handlers)
          expect(await fetchIn(page, 'https://api.test/once')).toBe('200 once')
          expect(await fetchIn(page, 'https://api.test/once')).toBe('Failed to fetch')
          expect(await fetchIn(page, 'https://api.test/steps')).toBe('200 first')
          expect(await fetchIn(page, 'https://api.test/steps')).toBe('200 last')
        })
      }
    })
  })
}
