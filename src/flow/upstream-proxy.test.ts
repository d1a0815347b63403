import { once } from 'node:events'
import net from 'node:net'

import { afterEach, expect, test } from 'vitest'

import { isMitmError } from '../errors.ts'
import { readChunk } from '../internal/read-chunk.ts'
import { UpstreamProxy } from '../upstream-options.ts'
import { connectThroughProxy } from './upstream-proxy.ts'

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(' ', ''), 'hex')

const opened: (net.Socket | net.Server)[] = []

afterEach(() => {
  for (const one of opened.splice(0)) {
    if (one instanceof net.Server) one.close()
    else one.destroy()
  }
})

/** A socket to a proxy, and the proxy's end of it. */
async function connected(): Promise<{ socket: net.Socket; proxy: net.Socket }> {
  const listener = net.createServer().listen(0, '127.0.0.1')
  await once(listener, 'listening')
  const { port } = listener.address() as net.AddressInfo
  const socket = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true })
  const [[proxy]] = (await Promise.all([once(listener, 'connection'), once(socket, 'connect')])) as [
    [net.Socket],
    unknown,
  ]
  opened.push(socket, proxy, listener)
  return { socket, proxy }
}

interface Attempt {
  /** @defaultValue a proxy without credentials that speaks HTTP */
  url?: string
  /** @defaultValue pay.test:443 */
  destination?: { host: string; port: number }
  /** What the proxy answers, each to one message of ours. A string is latin1, 'end' and 'reset' are what they say. */
  answers: readonly (Buffer | string)[]
  timeoutMs?: number
  signal?: AbortSignal
}

const proxyAt = (url: string): UpstreamProxy => new UpstreamProxy(new URL(url))

async function attempt(options: Attempt): Promise<{ socket: net.Socket; asked: Buffer[]; error: unknown }> {
  const { socket, proxy } = await connected()
  const before = listenersOf(socket)
  const asked: Buffer[] = []
  const work = connectThroughProxy(
    socket,
    proxyAt(options.url ?? 'http://proxy.test:3128'),
    options.destination ?? { host: 'pay.test', port: 443 },
    { timeoutMs: options.timeoutMs ?? 10_000, signal: options.signal },
  ).then(
    () => undefined,
    (error: unknown) => error,
  )
  for (const answer of options.answers) {
    const message = await readChunk(proxy)
    if (typeof message === 'string') break
    asked.push(message)
    if (answer === 'end') proxy.end()
    else if (answer === 'reset') proxy.resetAndDestroy()
    else proxy.write(typeof answer === 'string' ? Buffer.from(answer, 'latin1') : answer)
  }
  const error = await work
  expect(listenersOf(socket)).toEqual(before)
  return { socket, asked, error }
}

function listenersOf(socket: net.Socket): number[] {
  return ['readable', 'data', 'end', 'error', 'close'].map((name) => socket.listenerCount(name))
}

const OK = 'HTTP/1.1 200 Connection established\r\n\r\n'

test('an HTTP proxy is asked with CONNECT, in the authority form', async () => {
  const { asked, error } = await attempt({ answers: [OK] })
  expect(error).toBeUndefined()
  expect(String(asked[0])).toBe('CONNECT pay.test:443 HTTP/1.1\r\nHost: pay.test:443\r\n\r\n')
})

test('an IPv6 destination stands in brackets in CONNECT', async () => {
  const { asked } = await attempt({ destination: { host: '2001:db8::1', port: 8443 }, answers: [OK] })
  expect(String(asked[0])).toBe('CONNECT [2001:db8::1]:8443 HTTP/1.1\r\nHost: [2001:db8::1]:8443\r\n\r\n')
})

test('credentials of the URL are percent-decoded and sent as Basic', async () => {
  const { asked } = await attempt({ url: 'http://m%40x:p%3Aw%C3%A4@proxy.test:3128', answers: [OK] })
  const encoded = Buffer.from('m@x:p:wä').toString('base64')
  expect(String(asked[0])).toContain(`\r\nProxy-Authorization: Basic ${encoded}\r\n\r\n`)
})

test('afterwards the socket is paused, and what the server sent at once is read first', async () => {
  const { socket, error } = await attempt({ answers: [`${OK}220 hello`] })
  expect(error).toBeUndefined()
  expect(socket.isPaused()).toBe(true)
  expect(String(await readChunk(socket))).toBe('220 hello')
})

test('a server that says a word and ends at once is heard', async () => {
  const { socket, proxy } = await connected()
  const work = connectThroughProxy(
    socket,
    proxyAt('http://proxy.test'),
    { host: 'day.test', port: 13 },
    { timeoutMs: 10_000 },
  )
  await readChunk(proxy)
  proxy.end(`${OK}noon`)
  await work
  expect(String(await readChunk(socket))).toBe('noon')
  expect(await readChunk(socket)).toBe('end')
})

test('a head that comes octet by octet, and interim responses before it, are understood', async () => {
  const { socket, proxy } = await connected()
  const work = connectThroughProxy(
    socket,
    proxyAt('http://proxy.test'),
    { host: 'a.test', port: 1 },
    { timeoutMs: 10_000 },
  )
  await readChunk(proxy)
  proxy.setNoDelay(true)
  for (const octet of Buffer.from(`HTTP/1.1 100 Continue\r\n\r\nHTTP/1.0 200 OK\r\nVia: x\r\n\r\n!`)) {
    proxy.write(Buffer.from([octet]))
    await new Promise((resolve) => setImmediate(resolve))
  }
  await work
  expect(String(await readChunk(socket))).toBe('!')
})

test.each([
  [
    'HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 2\r\n\r\nno',
    'it answered 407 Proxy Authentication Required: it did not accept user name and password',
  ],
  ['HTTP/1.1 502\r\n\r\n', 'it answered 502, expected 2xx'],
  ['HTTP/1.1 101 Switching Protocols\r\n\r\n', 'it answered 101 Switching Protocols, expected 2xx'],
  ['HTTP/1.1 403 \x1b[31mNo\x07\r\n\r\n', 'it answered 403 ?[31mNo?, expected 2xx'],
  ['SSH-2.0-x\r\n\r\n', 'it answered "SSH-2.0-x", expected an HTTP/1.1 status line'],
  ['x'.repeat(65_536), 'the head of its answer has more than 65536 octets'],
  ['end', 'it closed the connection without an answer'],
  ['reset', 'ECONNRESET from the proxy'],
])('an HTTP proxy that answers %j fails the connection with its words', async (answer, why) => {
  const { error } = await attempt({ url: 'http://me:s3cret@proxy.test:3128', answers: [answer] })
  expect(error).toMatchObject({
    code: 'MITM_UPSTREAM_PROXY_FAILED',
    authority: 'pay.test:443',
    side: 'server',
    message: `Cannot connect to pay.test:443 through the proxy proxy.test:3128: ${why} [MITM_UPSTREAM_PROXY_FAILED]`,
  })
})

test('a name that holds the end of a line does not get into the request', async () => {
  const destination = { host: 'a.test HTTP/1.1\r\nX: y', port: 80 }
  const { asked, error } = await attempt({ destination, answers: [] })
  expect(error).toMatchObject({ code: 'MITM_UPSTREAM_PROXY_FAILED' })
  expect(asked).toEqual([])
})

test('a proxy that finds a loop is believed', async () => {
  const { error } = await attempt({ answers: ['HTTP/1.1 508 Loop Detected\r\n\r\n'] })
  expect(error).toMatchObject({ code: 'MITM_LOOP', authority: 'pay.test:443' })
})

const SOCKS_OK = hex('05 00 00 01 00000000 0000')

test('a SOCKS proxy is asked for a name, which it resolves', async () => {
  const { socket, asked, error } = await attempt({
    url: 'socks5://proxy.test:1080',
    answers: [hex('05 00'), Buffer.concat([SOCKS_OK, Buffer.from('hi')])],
  })
  expect(error).toBeUndefined()
  expect(asked).toEqual([hex('05 01 00'), hex('05 01 00 03 08 7061792e74657374 01bb')])
  expect(socket.isPaused()).toBe(true)
  expect(String(await readChunk(socket))).toBe('hi')
})

test('a SOCKS proxy is given user name and password when it asks for them', async () => {
  const { asked, error } = await attempt({
    url: 'socks5://m%40x:key@proxy.test:1080',
    destination: { host: '::1', port: 80 },
    answers: [hex('05 02'), hex('01 00'), SOCKS_OK],
  })
  expect(error).toBeUndefined()
  expect(asked).toEqual([
    hex('05 02 00 02'),
    hex('01 03 6d4078 03 6b6579'),
    hex('05 01 00 04 00000000000000000000000000000001 0050'),
  ])
})

test.each([
  [[hex('05 00'), hex('05 05')], 'it answered 5, connection refused'],
  [[hex('05 00'), hex('05 63 00 01 00000000 0000')], 'it answered 99, an unknown reply code'],
  [[hex('05 02'), hex('01 01')], 'it did not accept user name and password'],
  [[hex('05 ff')], 'it demands another authentication than was offered (none, or user name and password)'],
  [[Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n')], 'it does not speak the protocol of its URL'],
  [[hex('05 00'), 'end'], 'it closed the connection without an answer'],
])('a SOCKS proxy that answers %j fails the connection: %s', async (answers, why) => {
  const { error } = await attempt({ url: 'socks5://me:s3cret@proxy.test:1080', answers })
  expect(error).toMatchObject({
    code: 'MITM_UPSTREAM_PROXY_FAILED',
    authority: 'pay.test:443',
    message: `Cannot connect to pay.test:443 through the proxy proxy.test:1080: ${why} [MITM_UPSTREAM_PROXY_FAILED]`,
  })
})

test('a SOCKS proxy that demands a password which the URL lacks fails the connection', async () => {
  const { error } = await attempt({ url: 'socks5://proxy.test:1080', answers: [hex('05 02')] })
  expect(String(error)).toContain('(none, as its URL has no user name)')
})

test('a password that no SOCKS message can hold is refused without being shown', async () => {
  const url = `socks5://me:${'s3cret'.repeat(50)}@proxy.test:1080`
  const { error } = await attempt({ url, answers: [hex('05 02')] })
  expect(error).toMatchObject({ code: 'MITM_UPSTREAM_PROXY_FAILED', authority: 'pay.test:443' })
  expect(String(error)).not.toContain('s3cret')
})

test('running out of time is a timeout of its own', async () => {
  const { error } = await attempt({ url: 'socks5://proxy.test:1080', answers: [hex('05 00')], timeoutMs: 30 })
  expect(error).toMatchObject({
    code: 'MITM_UPSTREAM_PROXY_TIMEOUT',
    authority: 'pay.test:443',
    message:
      'Cannot connect to pay.test:443 through the proxy proxy.test:1080: no answer in 30 ms [MITM_UPSTREAM_PROXY_TIMEOUT]',
  })
})

test('the time is for the whole handshake: a proxy that dribbles does not prolong it', async () => {
  const { socket, proxy } = await connected()
  const dribble = setInterval(() => proxy.write('H'), 2)
  try {
    const work = connectThroughProxy(
      socket,
      proxyAt('http://proxy.test'),
      { host: 'a.test', port: 1 },
      { timeoutMs: 40 },
    )
    await expect(work).rejects.toMatchObject({ code: 'MITM_UPSTREAM_PROXY_TIMEOUT' })
  } finally {
    clearInterval(dribble)
  }
})

test('an abort ends the handshake', async () => {
  const abort = new AbortController()
  const working = attempt({ answers: [], signal: abort.signal })
  abort.abort()
  const { error } = await working
  expect(isMitmError(error) && error.code).toBe('MITM_UPSTREAM_PROXY_FAILED')
  expect(String(error)).toContain('cancelled')
})
