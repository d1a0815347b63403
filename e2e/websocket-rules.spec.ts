/** Messages of WebSockets are recorded as pages send and get them, and rules do with them what they say. */
import type { Page } from '@playwright/test'
import { expect } from 'playwright-mitm'
import { serveSockets } from './support/serve-sockets.ts'
import { test } from './support/site.ts'

const SOCKET = 'wss://app.test/live'

/** Opens a socket in the page, and sends these when it is open; what it hears is kept. */
async function open(
  page: Page,
  url: string,
  texts: readonly string[] = [],
  protocols: readonly string[] = [],
): Promise<void> {
  await page.evaluate(
    ({ socketUrl, first, wanted }) =>
      new Promise<void>((resolve, reject) => {
        const events: string[] = []
        const socket = new WebSocket(socketUrl, wanted)
        Reflect.set(globalThis, 'heard', events)
        Reflect.set(globalThis, 'socket', socket)
        socket.binaryType = 'arraybuffer'
        socket.addEventListener('open', () => {
          for (const text of first) socket.send(text)
          resolve()
        })
        socket.addEventListener('message', ({ data }) =>
          events.push(typeof data === 'string' ? data : `${data.byteLength} octets`),
        )
        socket.addEventListener('error', () => reject(new Error('The socket failed')))
        socket.addEventListener('close', ({ code, reason, wasClean }) =>
          events.push(`close ${code} ${reason} ${wasClean}`),
        )
      }),
    { socketUrl: url, first: [...texts], wanted: [...protocols] },
  )
}

function heard(page: Page): Promise<unknown> {
  return page.evaluate(() => Reflect.get(globalThis, 'heard'))
}

test('text, octets and large messages pass, and are recorded with their content', async ({ page, mitm, site }) => {
  serveSockets(site)
  await page.goto('https://app.test/')
  await open(page, SOCKET, ['hello', 'x'.repeat(2_000_000)])
  await page.evaluate('socket.send(new Uint8Array([1, 2, 3]))')
  await expect.poll(() => heard(page)).toEqual(['hello', 'x'.repeat(2_000_000), '3 octets'])
  await page.evaluate("socket.close(3000, 'enough')")
  await expect.poll(() => heard(page)).toContain('close 3000 enough true')

  const [exchange] = mitm.requests({ webSocket: true })
  expect(exchange?.webSocket?.fromClient.map(({ kind, size }) => [kind, size])).toEqual([
    ['text', 5],
    ['text', 2_000_000],
    ['binary', 3],
  ])
  expect(exchange?.webSocket?.fromServer[2]?.octets).toEqual(Buffer.from([1, 2, 3]))
  await expect
    .poll(() => exchange?.webSocket)
    .toMatchObject({ closeCode: 3000, closeReason: 'enough', closedBy: 'client' })
})

for (const isTouched of [false, true]) {
  test(`compression that the browser agrees on works${isTouched ? ', also where a rule looks' : ''}`, async ({
    page,
    mitm,
    site,
  }) => {
    serveSockets(site, { perMessageDeflate: { threshold: 0 } })
    if (isTouched) mitm.webSocket(SOCKET).onMessage(() => undefined)
    await page.goto('https://app.test/')
    const texts = Array.from({ length: 30 }, (_, at) => `message ${at} of many that are alike`)
    await open(page, SOCKET, texts)
    await expect.poll(() => heard(page)).toEqual(texts)
    const [exchange] = mitm.requests(SOCKET)
    expect(exchange?.webSocket?.extensions).toContain('permessage-deflate')
    expect(exchange?.webSocket?.fromServer.map((message) => message.text())).toEqual(texts)
    expect(exchange?.webSocket?.fromClient.every(({ isCompressed }) => isCompressed)).toBe(true)
  })
}

test('a rule reads, changes, drops, doubles and delays messages of either end', async ({ page, mitm, site }) => {
  serveSockets(site)
  mitm.webSocket(SOCKET).onMessage((message) => {
    if (message.from === 'client') return message.text() === 'secret' ? null : `${message.text()} sent`
    return message.text().startsWith('twice') ? [message, message] : undefined
  })
  await page.goto('https://app.test/')
  await open(page, SOCKET, ['one', 'secret', 'twice'])
  await expect.poll(() => heard(page)).toEqual(['one sent', 'twice sent', 'twice sent'])
  const [exchange] = mitm.requests(SOCKET)
  expect(exchange?.webSocket?.fromClient.map(({ outcome }) => outcome)).toEqual(['changed', 'dropped', 'changed'])
})

test('the test speaks to a page whose socket is open, and closes it', async ({ page, mitm, site }) => {
  serveSockets(site, {}, () => undefined)
  await page.goto('https://app.test/')
  await open(page, SOCKET)
  const rule = mitm.webSocket(SOCKET)
  const socket = await rule.waitForSocket()
  socket.send('from the test')
  await expect.poll(() => heard(page)).toEqual(['from the test'])
  rule.close(1012, 'restarting', 'client')
  await expect.poll(() => heard(page)).toEqual(['from the test', 'close 1012 restarting true'])
  await socket.whenClosed()
})

test('a mock needs no server, also in a worker', async ({ page, mitm, site }) => {
  mitm.webSocket('wss://nowhere.test/live').mock((socket) => {
    socket.send(`welcome to ${socket.subprotocol}`)
    socket.onMessage((message) => message.text().toUpperCase())
  })
  await page.goto('https://app.test/')
  await open(page, 'wss://nowhere.test/live', ['hello'], ['chat.v2', 'chat.v1'])
  await expect.poll(() => heard(page)).toEqual(['welcome to chat.v2', 'HELLO'])
  expect(
    await page.evaluate(`new Promise((resolve) => {
      const script = "const s = new WebSocket('wss://nowhere.test/live'); s.onmessage = ({ data }) => postMessage(data)"
      const worker = new Worker(URL.createObjectURL(new Blob([script])))
      worker.onmessage = ({ data }) => resolve(data)
    })`),
  ).toBe('welcome to ')
  expect(site.arrivals.some(({ url }) => url === '/live')).toBe(false)
})

test('a handshake can be refused', async ({ page, mitm, site }) => {
  serveSockets(site)
  mitm.webSocket(SOCKET).respond(401).once()
  await page.goto('https://app.test/')
  await expect(open(page, SOCKET)).rejects.toThrow('The socket failed')
  await open(page, SOCKET, ['again'])
  await expect.poll(() => heard(page)).toEqual(['again'])
  await expect(mitm).toHaveRequestedTimes({ webSocket: true, url: SOCKET }, 2)
})
