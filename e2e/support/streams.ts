/** `test` with a site whose streams a test writes, piece by piece, and with a page that reaches it past the mitm. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { constants, Http2ServerResponse } from 'node:http2'
import type { Server, Socket } from 'node:net'
import type { Page } from '@playwright/test'
import type { Answer } from './origin.ts'
import { test as siteTest } from './site.ts'

/** A response that a test writes. */
export class ServerStream {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  /** Resolves when the client has left, or the response has gone. */
  readonly closed: Promise<void>

  readonly #raw: Socket | undefined

  /** @param raw - The socket below TLS, which alone can send a reset. */
  constructor(request: IncomingMessage, response: ServerResponse, raw: Socket | undefined) {
    this.#raw = raw
    this.request = request
    this.response = response
    this.closed = new Promise((resolve) => {
      response.once('close', resolve)
    })
  }

  /** What the browser says was the last event. */
  get lastEventId(): string | undefined {
    return this.request.headers['last-event-id']?.toString()
  }

  /** Sends the head, of an event stream unless told otherwise. */
  begin(status = 200, headers: Readonly<Record<string, string>> = { 'content-type': 'text/event-stream' }): this {
    this.response.writeHead(status, headers).flushHeaders()
    return this
  }

  write(text: string | Uint8Array): void {
    this.response.write(text)
  }

  end(text?: string): void {
    this.response.end(text)
  }

  get isHttp2(): boolean {
    return this.request.httpVersion === '2.0'
  }

  /** Breaks off: ends the connection with a FIN; in HTTP/2, resets the stream with INTERNAL_ERROR. */
  breakOff(): void {
    // Boundary: see startOrigin().
    const response: unknown = this.response
    if (response instanceof Http2ServerResponse) response.stream.close(constants.NGHTTP2_INTERNAL_ERROR)
    else this.response.socket?.end()
  }

  /** Resets the connection; in HTTP/2 with all that runs on it. */
  reset(): void {
    this.#raw?.resetAndDestroy()
  }
}

/** The streams that clients of the site open, in their order. */
export class Stage {
  /** How many were opened so far. */
  count = 0
  readonly #arrived: ServerStream[] = []
  readonly #waiting: ((stream: ServerStream) => void)[] = []
  readonly #sockets = new Map<number | undefined, Socket>()

  /** What the site answers with, for paths of which the test writes the response. */
  readonly answer: Answer = (request, response) => {
    this.count++
    const stream = new ServerStream(request, response, this.#sockets.get(request.socket.remotePort))
    const take = this.#waiting.shift()
    if (take) take(stream)
    else this.#arrived.push(stream)
  }

  /** Keeps the raw sockets of a server. */
  watch(server: Server): void {
    server.on('connection', (socket: Socket) => this.#sockets.set(socket.remotePort, socket))
  }

  /** The next stream that a client opens, or has opened. */
  next(): Promise<ServerStream> {
    const stream = this.#arrived.shift()
    if (stream) return Promise.resolve(stream)
    return new Promise((resolve) => {
      this.#waiting.push(resolve)
    })
  }
}

/** The fixtures of {@link test}. */
export interface StreamFixtures {
  stage: Stage
  /** A page with the site loaded past the mitm: as it is without one. */
  direct: Page
  /** A page with the site loaded through the mitm. */
  proxied: Page
}

/** `test` with the site of `site.ts`, at which `/stream` and `/events` are written by the test. */
export const test: ReturnType<typeof siteTest.extend<StreamFixtures>> = siteTest.extend<StreamFixtures>({
  // So that the browser trusts the site itself, too.
  siteAuthority: [async ({ mitmCertificateAuthority }, use) => use(mitmCertificateAuthority), { scope: 'worker' }],
  stage: async ({}, use) => use(new Stage()),
  answers: async ({ stage, answers }, use) => {
    await use({ '/stream': stage.answer, '/events': stage.answer, '/after': 'all is well', ...answers })
  },
  site: async ({ site, stage }, use) => {
    stage.watch(site.server)
    await use(site)
  },
  direct: async ({ browser, site }, use) => {
    // An address that the browser may reach past this proxy, which does not exist.
    const context = await browser.newContext({ proxy: { server: 'http://127.0.0.1:9', bypass: 'localhost' } })
    const page = await context.newPage()
    await page.goto(`https://localhost:${site.port}/`)
    await use(page)
    await context.close()
  },
  proxied: async ({ page }, use) => {
    await page.goto('https://app.test/')
    await use(page)
  },
})

/** What the page has seen so far, told by {@link listen} or {@link readPieces}. */
export function seenBy(page: Page): () => Promise<string[]> {
  return () => page.evaluate(() => (Reflect.get(globalThis, 'seen') as string[] | undefined) ?? [])
}

/** Opens an EventSource in the page, which notes its events, and in which state it is after errors. */
export async function listen(page: Page, url = '/events', types: readonly string[] = ['message']): Promise<void> {
  await page.evaluate(
    ([address, names]) => {
      const seen: string[] = []
      const source = new EventSource(address)
      Reflect.set(globalThis, 'seen', seen)
      Reflect.set(globalThis, 'source', source)
      const states = ['connecting', 'open', 'closed']
      source.addEventListener('open', () => seen.push('open'))
      source.addEventListener('error', () => seen.push(`error: ${states[source.readyState]}`))
      for (const name of names) {
        source.addEventListener(name, (event) => {
          if (!(event instanceof MessageEvent)) return
          seen.push(`${event.type}${event.lastEventId === '' ? '' : ` ${event.lastEventId}`}: ${String(event.data)}`)
        })
      }
    },
    [url, types] as const,
  )
}

/** Closes the EventSource of {@link listen}. */
export async function hangUp(page: Page): Promise<void> {
  await page.evaluate(() => (Reflect.get(globalThis, 'source') as EventSource).close())
}

/** Fetches in the page, and notes the status, each piece of the body, and how it ended. */
export async function readPieces(page: Page, url = '/stream'): Promise<void> {
  await page.evaluate((address) => {
    const seen: string[] = []
    Reflect.set(globalThis, 'seen', seen)
    const read = async (): Promise<void> => {
      const response = await fetch(address)
      seen.push(`status ${response.status}`)
      const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader()
      for (;;) {
        const piece = await reader?.read()
        if (!piece || piece.done) break
        seen.push(piece.value)
      }
      seen.push('end')
    }
    read().catch((error: unknown) => seen.push(String(error)))
  }, url)
}
