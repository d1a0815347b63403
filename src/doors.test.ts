import type { TLSSocket } from 'node:tls'

import { expect, it } from 'vitest'

import { Mitm } from './mitm.ts'
import { startMitm } from './test-mitm.ts'
import { connectTo, secureWire, socksTo, takeResponse, tunnelTo } from './testing/clients.ts'
import { identityFor, originAuthority } from './testing/identity.ts'
import { httpServer } from './testing/servers.ts'

it('a door is a port with the same rules and records', async () => {
  await using mitm = await startMitm()
  mitm.get('http://a.test/').respond(200, 'mocked')
  using door = await mitm.openDoor()
  expect(door.port).not.toBe(mitm.port)
  expect(door.url).toBe(`http://127.0.0.1:${door.port}`)
  const client = await socksTo(door, 'a.test', 80)
  client.write('GET / HTTP/1.1\r\nHost: a.test\r\n\r\n')
  expect(String((await takeResponse(client)).body)).toBe('mocked')
  expect(mitm.exchanges).toHaveLength(1)
  client.end()
})

it('clients show the certificates of the door that they come by, and else those of all', async () => {
  const { certificate: ca } = await originAuthority()
  const [admin, user, all] = [await identityFor('admin'), await identityFor('user'), await identityFor('all')]
  await using origin = await httpServer(
    // Boundary: this server speaks TLS alone.
    ({ socket }, response) => response.end((socket as TLSSocket).getPeerCertificate().subject.CN),
    { ...(await identityFor('pay.test')), ca, requestCert: true },
  )
  await using mitm = await startMitm({
    hosts: { 'pay.test': origin.authority },
    upstream: { ca, clientCertificates: [{ host: 'pay.test', ...all }] },
  })
  using adminDoor = await mitm.openDoor({ clientCertificates: [{ host: '*.test', ...admin }] })
  using userDoor = await mitm.openDoor({ clientCertificates: [{ origin: 'https://pay.test', ...user }] })
  using otherDoor = await mitm.openDoor({ clientCertificates: [{ origin: 'https://other.test', ...user }] })
  const trust = { servername: 'pay.test', ca: (await mitm.certificateAuthority()).certificate }
  const shown = await Promise.all(
    [mitm, adminDoor, userDoor, otherDoor].map(async (door) => {
      const client = await secureWire(await tunnelTo(door, 'pay.test:443'), trust)
      client.write('GET / HTTP/1.1\r\nHost: pay.test\r\nConnection: close\r\n\r\n')
      return String((await takeResponse(client)).body)
    }),
  )
  expect(shown).toEqual(['all', 'admin', 'user', 'all'])
})

it('a door is closed by itself, or with its mitm', async () => {
  const mitm = await startMitm()
  const [one, two] = [await mitm.openDoor(), await mitm.openDoor()]
  const kept = await connectTo(one)
  mitm.get('**').respond(204)
  one.close()
  one.close()
  await expect(connectTo(one)).rejects.toThrow('ECONNREFUSED')
  kept.write('GET http://a.test/ HTTP/1.1\r\nHost: a.test\r\n\r\n')
  expect((await takeResponse(kept)).status).toBe(204)
  await mitm.close()
  await kept.ended
  await expect(connectTo(two)).rejects.toThrow('ECONNREFUSED')
  await expect(mitm.openDoor()).rejects.toMatchObject({ code: 'MITM_NOT_RUNNING' })
})

it('a mitm is not led to its own doors', async () => {
  await using mitm = await startMitm()
  using door = await mitm.openDoor()
  for (const [by, to] of [
    [mitm, door],
    [door, mitm],
    [door, door],
  ] as const) {
    const client = await connectTo(by)
    client.write(`CONNECT localhost:${to.port} HTTP/1.1\r\n\r\n`)
    expect((await takeResponse(client)).status).toBe(508)
  }
})

it('what a door cannot be is refused', async () => {
  await expect(new Mitm().openDoor()).rejects.toMatchObject({ code: 'MITM_NOT_RUNNING' })
  await using mitm = await startMitm()
  // Boundary: what a caller without types may do.
  await expect(mitm.openDoor({ certs: [] } as never)).rejects.toThrow('"certs": it is not an option')
  const entry = { origin: 'https://a.test', certPath: '/gone', keyPath: '/gone' }
  await expect(mitm.openDoor({ clientCertificates: [entry] })).rejects.toThrow(
    /"clientCertificates\[0\]\.certPath": it names "\/gone", which cannot be read/,
  )
})
