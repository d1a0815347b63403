/** Browsers open connections that they may not need, and leave them: that is told from one that does not trust the mitm. */
import { once } from 'node:events'
import { connect as connectTcp, createServer } from 'node:net'
import type { AddressInfo, Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'

import { expect } from 'playwright-mitm'
import { test } from './support/site.ts'

/** Where the cipher suites of a hello begin: behind the record, the message, the version, the random, and a session of 32 octets. */
const SUITES_AT = 5 + 4 + 2 + 32 + 1 + 32 + 2

/** A hello as browsers send it: with a cipher suite that there is not (RFC 8701). */
async function browserHello(): Promise<Buffer> {
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const client = connectTls({ port, host: '127.0.0.1', servername: 'app.test' })
  client.on('error', () => undefined)
  const [socket] = (await once(server, 'connection')) as [Socket]
  const [hello] = (await once(socket, 'data')) as [Buffer]
  client.destroy()
  server.close()
  hello.writeUInt16BE(0x0a0a, SUITES_AT)
  return hello
}

/** Begins a handshake through the mitm, and leaves in the midst of it. */
async function leave(port: number): Promise<void> {
  const socket = connectTcp(port, '127.0.0.1')
  await once(socket, 'connect')
  socket.write('CONNECT app.test:443 HTTP/1.1\r\nHost: app.test:443\r\n\r\n')
  await once(socket, 'data')
  socket.write(await browserHello())
  await once(socket, 'data')
  socket.destroy()
}

test('one that leaves before it has shown its trust is an error', async ({ mitm }) => {
  await leave(mitm.port)
  await expect.poll(() => mitm.errors.map(({ code }) => code)).toEqual(['MITM_CLIENT_TLS_FAILED'])
})

test('one that has spoken behind a handshake may leave others', async ({ page, mitm }) => {
  await page.goto('https://app.test/')
  const before = mitm.connections.length
  await leave(mitm.port)
  await expect.poll(() => mitm.connections[before]?.endReason).toBe('client-closed')
  expect(mitm.errors).toEqual([])
})
