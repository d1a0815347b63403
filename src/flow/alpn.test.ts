import { once } from 'node:events'
import { createSecureServer } from 'node:http2'
import { createServer as createHttpsServer } from 'node:https'
import { connect } from 'node:tls'
import type { TlsOptions } from 'node:tls'

import { describe, expect, it } from 'vitest'

import * as faults from '../faults/faults.ts'
import { startMitm } from '../test-mitm.ts'
import type { TestMitm } from '../test-mitm.ts'
import { CertificateAuthority } from '../tls/certificate-authority.ts'
import { tunnelTo } from '../testing/clients.ts'

const BOTH = ['h2', 'http/1.1']

/** What a client that offers `offered` gets by ALPN. */
async function chosen(mitm: TestMitm, host: string, offered = BOTH): Promise<string | false | null> {
  const wire = await tunnelTo(mitm, `${host}:443`)
  wire.socket.removeAllListeners('data')
  const socket = connect({
    socket: wire.socket,
    servername: host,
    ALPNProtocols: offered,
    ca: (await mitm.certificateAuthority()).certificate,
  })
  await once(socket, 'secureConnect')
  const { alpnProtocol } = socket
  socket.destroy()
  return alpnProtocol
}

/** A mitm before a server of HTTP/2 (`two.test`) and one of HTTP/1.1 (`one.test`), and who closes them. */
async function setUp(): Promise<TestMitm & AsyncDisposable> {
  const authority = await CertificateAuthority.create()
  const SNICallback: TlsOptions['SNICallback'] = (name, done) => {
    const answer = async (): Promise<void> => done(null, await authority.contextFor(name))
    void answer()
  }
  const two = createSecureServer({ allowHTTP1: true, SNICallback }, (_, response) => void response.end())
  const one = createHttpsServer({ SNICallback }, (_, response) => void response.end())
  const ports: number[] = []
  for (const server of [two, one]) {
    server.on('tlsClientError', () => undefined)
    server.on('sessionError', () => undefined)
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const address = server.address()
    ports.push(typeof address === 'object' && address ? address.port : 0)
  }
  const mitm = await startMitm({
    hosts: {
      'two.test': `127.0.0.1:${ports[0]}`,
      'one.test': `127.0.0.1:${ports[1]}`,
      'clear.test': `http://127.0.0.1:${ports[1]}`,
    },
    upstream: { ca: authority.certificate },
  })
  const close = mitm.close.bind(mitm)
  return Object.assign(mitm, {
    async close() {
      await close()
      two.close()
      one.close()
    },
  })
}

describe('ALPN', () => {
  it('is what the server chooses of what the client offers', async () => {
    await using mitm = await setUp()
    expect(await chosen(mitm, 'two.test')).toBe('h2')
    expect(await chosen(mitm, 'one.test')).toBe('http/1.1')
    expect(await chosen(mitm, 'two.test', ['http/1.1'])).toBe('http/1.1')
    // Who was offered one of them alone has not told which it likes best.
    expect(await chosen(mitm, 'two.test')).toBe('h2')
  })

  it('is HTTP/2 where only rules answer, and what the server chose the last time where that is known', async () => {
    await using mitm = await setUp()
    mitm.get('https://nowhere.test/').json(1)
    expect(await chosen(mitm, 'nowhere.test')).toBe('h2')
    expect(await chosen(mitm, 'nowhere.test', ['http/1.1'])).toBe('http/1.1')
    await chosen(mitm, 'one.test')
    mitm.get('https://one.test/').json(1)
    expect(await chosen(mitm, 'one.test')).toBe('http/1.1')
  })

  it('is HTTP/1.1 for faults that break messages off, unless the server is known to choose HTTP/2', async () => {
    await using mitm = await setUp()
    mitm.get('https://nowhere.test/').fault(faults.resetPeer())
    expect(await chosen(mitm, 'nowhere.test')).toBe('http/1.1')
    await chosen(mitm, 'two.test')
    mitm.get('https://two.test/').fault(faults.resetPeer())
    expect(await chosen(mitm, 'two.test')).toBe('h2')
  })

  it('is HTTP/1.1 for faults that there are in HTTP/1 only, whatever the server chooses', async () => {
    await using mitm = await setUp()
    expect(await chosen(mitm, 'two.test')).toBe('h2')
    using malformed = mitm.get('https://two.test/').fault(faults.malformedChunk())
    expect(await chosen(mitm, 'two.test')).toBe('http/1.1')
    malformed.remove()
    mitm.get('https://two.test/').fault(faults.malformedHead('nul'))
    expect(await chosen(mitm, 'two.test')).toBe('http/1.1')
  })

  it('is HTTP/1.1 where the server is spoken to in clear', async () => {
    await using mitm = await setUp()
    expect(await chosen(mitm, 'clear.test')).toBe('http/1.1')
  })
})
