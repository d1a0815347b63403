/** What undici's WebSocket and `ws` report of each fault. What Chromium does is in `websocket-faults.spec.ts`. */
import { once } from 'node:events'
import { request } from 'node:http'
import type { Duplex } from 'node:stream'
import { connect } from 'node:tls'
import { ProxyAgent, WebSocket as UndiciSocket } from 'undici'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { WebSocket } from 'ws'
import { CertificateAuthority, faults, startMitm } from '../src/index.ts'
import type { TestMitm } from '../src/index.ts'
import { expectedOfSocket, QUIET_MS, SOCKET_CASES } from './support/fault-cases-websocket.ts'
import { startOrigin } from './support/origin.ts'
import type { Origin } from './support/origin.ts'
import { serveSockets } from './support/serve-sockets.ts'

const URL_OF_SOCKET = 'wss://app.test/socket'

let authority: CertificateAuthority
let siteAuthority: CertificateAuthority
let origin: Origin

beforeAll(async () => {
  authority = await CertificateAuthority.create()
  siteAuthority = await CertificateAuthority.create()
  origin = await startOrigin({ answers: {}, authority: siteAuthority })
  serveSockets(origin)
})
afterAll(() => origin.close())

describe.concurrent.each(SOCKET_CASES)('$code', (row) => {
  test(`undici: ${expectedOfSocket(row, 'undici')}`, async () => {
    await using mitm = await startSocketMitm()
    const rule = mitm.when('wss://app.test/**').fault(row.fault(faults))
    const agent = new ProxyAgent({ uri: mitm.url, requestTls: { ca: authority.certificate } })
    const socket = new UndiciSocket(URL_OF_SOCKET, { dispatcher: agent })
    expect(
      await heard(row.quietMs, (note) => {
        socket.addEventListener('open', () => {
          note('open')
          for (const text of ['one', 'two', 'three']) socket.send(text)
        })
        socket.addEventListener('message', ({ data }) => note(String(data)))
        socket.addEventListener('error', () => note('error'))
        socket.addEventListener('close', ({ code, wasClean }) => note(`close ${code}${wasClean ? ' clean' : ''}`))
      }),
    ).toBe(expectedOfSocket(row, 'undici'))
    await agent.destroy()
    await expectActed(mitm, rule)
  })

  test(`ws: ${expectedOfSocket(row, 'ws')}`, async () => {
    await using mitm = await startSocketMitm()
    const rule = mitm.webSocket({ host: 'app.test' }).fault(row.fault(faults))
    const tunnel = await openTunnel(mitm.port)
    const socket = new WebSocket(URL_OF_SOCKET, {
      createConnection: () => connect({ socket: tunnel, servername: 'app.test', ca: authority.certificate }),
    })
    expect(
      await heard(row.quietMs, (note) => {
        socket.on('open', () => {
          note('open')
          for (const text of ['one', 'two', 'three']) socket.send(text)
        })
        // A boundary: with the binary type that is the default it is a Buffer.
        socket.on('message', (data) => note((data as Buffer).toString()))
        socket.on('error', (error) => note(`error ${'code' in error ? String(error.code) : error.message}`))
        // `ws` says nothing of whether it was clean, but by the code.
        socket.on('close', (code) => note(`close ${code}${code === 1006 ? '' : ' clean'}`))
      }),
    ).toBe(expectedOfSocket(row, 'ws'))
    socket.terminate()
    await expectActed(mitm, rule)
  })
})

function startSocketMitm(): Promise<TestMitm> {
  return startMitm({
    certificateAuthority: authority,
    hosts: { 'app.test': `127.0.0.1:${origin.port}` },
    upstream: { ca: siteAuthority.certificate },
    seed: 1,
  })
}

/** What a client hears, up to its close, or until it has heard nothing for a while. */
function heard(quietMs: number = QUIET_MS, listen: (note: (event: string) => void) => void): Promise<string> {
  return new Promise((resolve) => {
    const events: string[] = []
    const finish = (): void => resolve(events.join(', ') || 'nothing')
    let timer = setTimeout(finish, quietMs)
    listen((event) => {
      events.push(event)
      clearTimeout(timer)
      if (event.startsWith('close')) finish()
      else timer = setTimeout(finish, quietMs)
    })
  })
}

/** Sees to it that the fault has acted, that nothing else is told, and that all is well behind it. */
async function expectActed(mitm: TestMitm, rule: ReturnType<TestMitm['when']>): Promise<void> {
  const [exchange] = mitm.exchanges
  expect(exchange?.faults).toHaveLength(1)
  expect(exchange?.connection.faults.map(({ name }) => name)).toEqual(exchange?.faults.map(({ name }) => name))
  expect(rule.calls).toBe(1)
  expect(mitm.errors).toEqual([])
}

async function openTunnel(port: number): Promise<Duplex> {
  const asked = request({ port, method: 'CONNECT', path: 'app.test:443', agent: false })
  asked.end()
  // A boundary: that is what the event has.
  const [, socket] = (await once(asked, 'connect')) as [unknown, Duplex]
  return socket
}
