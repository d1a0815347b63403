import { describe, expect, it } from 'vitest'

import type { MitmError } from '../errors.ts'
import * as faults from '../faults/faults.ts'
import { startMitm } from '../test-mitm.ts'
import { connectTo, secureWire, socksTo, takeResponse, tunnelTo } from '../testing/clients.ts'
import { identityFor, originAuthority } from '../testing/identity.ts'
import { Injecting } from '../testing/injecting.ts'
import { httpServer, wireServer } from '../testing/servers.ts'

describe('drain(), of connections without a request', () => {
  it.each([
    ['CONNECT', tunnelTo],
    ['SOCKS', (mitm: { port: number }) => socksTo(mitm, 'pay.test', 443)],
  ])('closes an idle tunnel: %s', async (_, enter) => {
    await using server = await wireServer()
    const errors: MitmError[] = []
    await using mitm = await startMitm({
      hosts: { 'pay.test': server.authority },
      onError: (error) => errors.push(error),
    })
    const wire = await enter(mitm, 'pay.test:443')
    mitm.drain()
    expect(await wire.rest()).toBe('')
    expect(await wire.ended).toBe('fin')
    wire.end()
    await expect.poll(() => mitm.connections[0]?.endedAt).toBeDefined()
    expect(mitm.connections[0]?.endReason).toBe('mitm-closed')
    expect(errors).toEqual([])
  })

  it('closes one in TLS, and does not take the client for one that refuses its certificate', async () => {
    await using server = await httpServer(undefined, await identityFor('pay.test'))
    const errors: MitmError[] = []
    await using mitm = await startMitm({
      hosts: { 'pay.test': server.authority },
      upstream: { ca: (await originAuthority()).certificate },
      onError: (error) => errors.push(error),
    })
    const { certificate } = await mitm.certificateAuthority()
    const options = { servername: 'pay.test', ca: certificate }
    const client = await secureWire(await tunnelTo(mitm, 'pay.test:443'), options)
    // In TLS 1.3 the client is done with the handshake before the mitm is.
    await expect.poll(() => mitm.connections[0]?.clientTls).toBeDefined()
    mitm.drain()
    expect(await client.rest()).toBe('')
    expect(await client.ended).toBe('fin')
    await expect.poll(() => mitm.connections[0]?.endedAt).toBeDefined()
    expect(mitm.connections[0]?.endReason).toBe('mitm-closed')
    expect(errors).toEqual([])
  })

  it('leaves those alone that have not said where they want to go', async () => {
    await using server = await httpServer()
    await using mitm = await startMitm()
    const wire = await connectTo(mitm)
    await expect.poll(() => mitm.connections.length).toBe(1)
    mitm.drain()
    wire.write(`GET ${server.origin}/ HTTP/1.1\r\nHost: ${server.authority}\r\n\r\n`)
    expect((await takeResponse(wire)).status).toBe(200)
  })

  it('lets the next connection meet a fault that has come meanwhile', async () => {
    await using server = await httpServer(undefined, await identityFor('pay.test'))
    await using mitm = await startMitm({
      hosts: { 'pay.test': server.authority },
      upstream: { ca: (await originAuthority()).certificate },
    })
    const { certificate } = await mitm.certificateAuthority()
    const options = { servername: 'pay.test', ca: certificate }
    const client = await secureWire(await tunnelTo(mitm, 'pay.test:443'), options)
    client.write('GET / HTTP/1.1\r\nHost: pay.test\r\n\r\n')
    expect((await takeResponse(client)).status).toBe(200)
    mitm.use(new Injecting(faults.certExpired()))
    mitm.drain()
    expect(await client.ended).toBe('fin')
    const again = secureWire(await tunnelTo(mitm, 'pay.test:443'), options)
    await expect(again).rejects.toMatchObject({ code: 'CERT_HAS_EXPIRED' })
  })
})
