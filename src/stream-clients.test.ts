/** Streams reach programs as the server sends them: each piece is read before the next one is sent. */
import { spawn, spawnSync } from 'node:child_process'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createSecureServer } from 'node:http2'

import { EventSource, ProxyAgent } from 'undici'
import { afterEach, describe, expect, it } from 'vitest'

import { startMitm } from './test-mitm.ts'
import type { TestMitm } from './test-mitm.ts'
import { identityFor, originAuthority } from './testing/identity.ts'
import { httpServer, TestServer } from './testing/servers.ts'

const HOST = 'stream.test'
const URLS = [`https://${HOST}/events`, 'http://plain.test/events'] as const
const TYPE = { 'content-type': 'text/event-stream' }

const has = (program: string): boolean => spawnSync(program, ['--version']).status === 0

/** A program that reads a stream. */
interface Client {
  readonly name: string
  readonly isHere: boolean
  /** Begins to read; tells what it has read so far. */
  start(mitm: TestMitm, url: string): () => string
}

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanUp of cleanups.splice(0)) await cleanUp()
})

/** Runs a program, and tells what it has written so far. */
function run(mitm: TestMitm, program: string, ...words: readonly string[]): () => string {
  const child = spawn(program, words, { env: { ...process.env, ...mitm.env() }, stdio: ['ignore', 'pipe', 'inherit'] })
  cleanups.push(() => child.kill())
  let text = ''
  child.stdout.on('data', (chunk: Buffer) => {
    text += chunk.toString()
  })
  return () => text
}

const PYTHON = `
import http.client, os, sys, urllib.parse
url = urllib.parse.urlsplit(sys.argv[1])
proxy = urllib.parse.urlsplit(os.environ['HTTPS_PROXY'])
if url.scheme == 'https':
    connection = http.client.HTTPSConnection(proxy.hostname, proxy.port)
    connection.set_tunnel(url.hostname, 443)
    connection.request('GET', url.path)
else:
    connection = http.client.HTTPConnection(proxy.hostname, proxy.port)
    connection.request('GET', sys.argv[1])
response = connection.getresponse()
while piece := response.read1():
    sys.stdout.write(piece.decode())
    sys.stdout.flush()
`

const CLIENTS: readonly Client[] = [
  {
    name: 'curl, by CONNECT or absolute-form',
    isHere: has('curl'),
    start: (mitm, url) => run(mitm, 'curl', '-sSN', '--http1.1', url),
  },
  {
    name: 'curl, by HTTP/2 in TLS',
    isHere: has('curl'),
    start: (mitm, url) => run(mitm, 'curl', '-sSN', '--http2', url),
  },
  {
    name: 'curl, by SOCKS5',
    isHere: has('curl'),
    start: (mitm, url) => run(mitm, 'curl', '-sSN', '--http1.1', '--proxy', mitm.url.replace('http:', 'socks5h:'), url),
  },
  {
    name: "Python's http.client",
    isHere: has('python3'),
    start: (mitm, url) => run(mitm, 'python3', '-c', PYTHON, url),
  },
  {
    name: "undici's fetch",
    isHere: true,
    start(mitm, url) {
      const controller = new AbortController()
      cleanups.push(() => controller.abort())
      let text = ''
      const read = async (): Promise<void> => {
        const { body } = await mitm.fetch(url, { signal: controller.signal })
        for await (const piece of body ?? []) text += Buffer.from(piece as Uint8Array).toString()
      }
      read().catch((error: unknown) => {
        if (!controller.signal.aborted) text = String(error)
      })
      return () => text
    },
  },
  {
    name: "undici's EventSource",
    isHere: true,
    start(mitm, url) {
      let text = ''
      cleanups.push(
        listen(mitm, url, (data) => {
          text += `data: ${data}\n\n`
        }),
      )
      return () => text
    },
  },
]

/** Opens an EventSource of undici; returns what closes it. */
function listen(mitm: TestMitm, url: string, heard: (data: string) => void): () => Promise<void> {
  const open = async (): Promise<() => Promise<void>> => {
    const { certificate } = await mitm.certificateAuthority()
    const dispatcher = new ProxyAgent({ uri: mitm.url, proxyTunnel: true, requestTls: { ca: certificate } })
    const source = new EventSource(url, { node: { dispatcher } })
    source.addEventListener('message', ({ data }) => heard(String(data)))
    return () => {
      source.close()
      return dispatcher.destroy()
    }
  }
  const opened = open()
  return async () => (await opened)()
}

/** A server in TLS and one without, the responses of which a test writes. */
async function startServers(): Promise<{ readonly servers: readonly TestServer[]; next(): Promise<Opened> }> {
  const arrived: Opened[] = []
  const waiting: ((opened: Opened) => void)[] = []
  const handler = (request: IncomingMessage, response: ServerResponse): void => {
    response.writeHead(200, TYPE).flushHeaders()
    const opened = { response, lastEventId: request.headers['last-event-id'] }
    const take = waiting.shift()
    if (take) take(opened)
    else arrived.push(opened)
  }
  // Boundary: Node's requests and responses of HTTP/2 are made to be used like those of HTTP/1.
  const secure = createSecureServer({ ...(await identityFor(HOST)), allowHTTP1: true }, handler as never)
  const servers = await Promise.all([new TestServer(secure).listen(), httpServer(handler)])
  cleanups.push(...servers.map((server) => () => server[Symbol.asyncDispose]()))
  const next = (): Promise<Opened> => {
    const opened = arrived.shift()
    return opened ? Promise.resolve(opened) : new Promise((resolve) => waiting.push(resolve))
  }
  return { servers, next }
}

interface Opened {
  readonly response: ServerResponse
  readonly lastEventId: unknown
}

async function startFor(servers: readonly TestServer[]): Promise<TestMitm> {
  const [secure, plain] = servers
  const mitm = await startMitm({
    hosts: { [HOST]: secure?.authority ?? '', 'plain.test': plain?.authority ?? '' },
    upstream: { ca: (await originAuthority()).certificate },
  })
  cleanups.unshift(() => mitm.close())
  return mitm
}

describe.each(CLIENTS)('$name', ({ name, isHere, start }) => {
  it.skipIf(!isHere).each(URLS)('reads %s piece by piece, and what a rule makes of it', async (url) => {
    const { servers, next } = await startServers()
    const mitm = await startFor(servers)
    mitm.get(url).rewriteEvents(({ data }) => (data === 'drop' ? null : undefined))
    for (const isEdited of [true, false]) {
      if (!isEdited) for (const rule of mitm.rules) rule.remove()
      const seen = start(mitm, url)
      const { response } = await next()
      for (const [at, word] of ['one', 'two', 'three'].entries()) {
        response.write(`data: ${isEdited ? 'drop\n\ndata: ' : ''}${word}\n\n`)
        const expected = ['one', 'two', 'three'].slice(0, at + 1).map((data) => `data: ${data}\n\n`)
        await expect.poll(seen, { interval: 5 }).toBe(expected.join(''))
      }
      expect(mitm.exchanges.at(-1)?.endReason).toBeUndefined()
      const isHttp2 = name.includes('HTTP/2') && url.startsWith('https:')
      expect(mitm.exchanges.at(-1)?.request.httpVersion).toBe(isHttp2 ? 'HTTP/2' : 'HTTP/1.1')
      expect(mitm.exchanges.at(-1)?.response?.events()).toHaveLength(3)
      response.end()
      await expect.poll(() => mitm.exchanges[isEdited ? 0 : 1]?.endReason).toBe('complete')
    }
    expect(mitm.errors).toEqual([])
  })
})

it("undici's EventSource connects anew where a stream ends, and says which event was its last", async () => {
  const { servers, next } = await startServers()
  const mitm = await startFor(servers)
  const seen: string[] = []
  cleanups.push(listen(mitm, URLS[0], (data) => seen.push(data)))
  const first = await next()
  first.response.end('retry: 10\nid: 7\ndata: one\n\ndata: cut')
  const second = await next()
  expect([first.lastEventId, second.lastEventId]).toEqual([undefined, '7'])
  second.response.write('data: two\n\n')
  await expect.poll(() => seen).toEqual(['one', 'two'])
  expect(mitm.exchanges.map(({ endReason }) => endReason)).toEqual(['complete', undefined])
})
