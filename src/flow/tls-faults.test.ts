import { describe, expect, it } from 'vitest'
import type { ConnectionOptions } from 'node:tls'

import { MitmError } from '../errors.ts'
import type { Fault } from '../fault.ts'
import * as faults from '../faults/faults.ts'
import { startMitm } from '../test-mitm.ts'
import type { TestMitm } from '../test-mitm.ts'
import { connectTo, secureWire, socksTo, takeResponse, tunnelTo } from '../testing/clients.ts'
import { identityFor, originAuthority } from '../testing/identity.ts'
import { Injecting } from '../testing/injecting.ts'
import { httpServer } from '../testing/servers.ts'
import type { Wire } from '../testing/wire.ts'

const DOORS: Readonly<Record<'connect' | 'socks5' | 'direct', (mitm: TestMitm) => Promise<Wire>>> = {
  connect: (mitm) => tunnelTo(mitm, 'pay.test:443'),
  socks5: (mitm) => socksTo(mitm, 'pay.test', 443),
  direct: (mitm) => connectTo(mitm),
}
type Door = keyof typeof DOORS
const ALL_DOORS: readonly Door[] = ['connect', 'socks5', 'direct']
const TLS12: ConnectionOptions = { maxVersion: 'TLSv1.2' }

/** What a client that trusts the mitm reports, and what is recorded of it. It asks for `/` when the handshake is done. */
async function outcome(door: Door, injected: readonly (Fault | MitmError)[], options: ConnectionOptions = {}) {
  await using server = await httpServer(undefined, await identityFor('pay.test'))
  const errors: MitmError[] = []
  const injecting = new Injecting(...injected)
  await using mitm = await startMitm({
    hosts: { 'pay.test': server.authority },
    upstream: { ca: (await originAuthority()).certificate },
    middlewares: [injecting],
    onError: (error) => errors.push(error),
  })
  const { certificate } = await mitm.certificateAuthority()
  const wire = await DOORS[door](mitm)
  const result = await secureWire(wire, { servername: 'pay.test', ca: certificate, ...options }).then(
    async (client) => {
      client.write('GET / HTTP/1.1\r\nHost: pay.test\r\nConnection: close\r\n\r\n')
      const code = new Promise<string>((resolve) =>
        client.socket.once('error', (error) => resolve(Reflect.get(error, 'code') as string)),
      )
      return await Promise.race([takeResponse(client).then(({ status }) => status), code]).catch(() => code)
    },
    (error: unknown) => Reflect.get(Object(error), 'code') as string,
  )
  wire.socket.destroy()
  await mitm.waitForIdle()
  await expect.poll(() => mitm.connections[0]?.endReason).toBeDefined()
  await mitm.close()
  const [connection] = mitm.connections
  return {
    result,
    errors: errors.map(({ code }) => code),
    recordedErrors: connection?.errors.map(({ code }) => code),
    faults: connection?.faults.map(({ name }) => name),
    endReason: connection?.endReason,
    version: connection?.clientTls?.version,
    contacted: server.accepted,
    asked: injecting.asked,
    port: connection && mitm.port,
  }
}

const ON_PURPOSE = { errors: [], recordedErrors: [], endReason: 'fault', contacted: 0 }

describe('a certificate that is bad on purpose', () => {
  const REFUSED: readonly (readonly [Fault, string])[] = [
    [faults.certExpired(), 'CERT_HAS_EXPIRED'],
    [faults.certNotYetValid(), 'CERT_NOT_YET_VALID'],
    [faults.certWrongHost(), 'ERR_TLS_CERT_ALTNAME_INVALID'],
    [faults.certUntrusted(), 'UNABLE_TO_VERIFY_LEAF_SIGNATURE'],
    [faults.certSelfSigned(), 'DEPTH_ZERO_SELF_SIGNED_CERT'],
    [faults.certSha1(), 'UNSPECIFIED'],
  ]
  const cases = REFUSED.flatMap(([fault, code]) => ALL_DOORS.map((door) => [fault.name, door, fault, code] as const))

  it.each(cases)('is refused by Node: %s, %s', async (name, door, fault, code) => {
    expect(await outcome(door, [fault])).toMatchObject({ ...ON_PURPOSE, result: code, faults: [name] })
  })

  it.each(REFUSED.map(([fault, code]) => [fault.name, fault, code] as const))(
    'is refused in TLS 1.2 too: %s',
    async (name, fault, code) => {
      expect(await outcome('connect', [fault], TLS12)).toMatchObject({ ...ON_PURPOSE, result: code, faults: [name] })
    },
  )

  it.each([
    ['by those that do not check', faults.certExpired(), { rejectUnauthorized: false }],
    ['by Node, without alternative name', faults.certNoSan(), {}],
    ['by those to whom 1024 bits are enough', faults.certWeakKey(), { ciphers: 'DEFAULT:@SECLEVEL=1' }],
  ])('is accepted %s, and traffic goes on', async (_, fault, options) => {
    expect(await outcome('connect', [fault], options)).toMatchObject({
      result: 200,
      errors: [],
      faults: [fault.name],
      contacted: 1,
    })
  })

  it('has 1024 bits, to which clients of today say that it is too weak', async () => {
    const { result } = await outcome('connect', [faults.certWeakKey()], { ciphers: 'DEFAULT:@SECLEVEL=2' })
    expect(result).toBe('UNSPECIFIED')
  })

  it('comes alone, without the authority, and is as asked for', async () => {
    await using mitm = await startMitm({ middlewares: [new Injecting(faults.certNoSan())] })
    const client = await secureWire(await DOORS.connect(mitm), { servername: 'pay.test', rejectUnauthorized: false })
    const certificate = client.socket.getPeerCertificate(true)
    expect(certificate).toMatchObject({ subject: { CN: 'pay.test' } })
    expect(certificate.subjectaltname).toBeUndefined()
    expect(certificate.issuerCertificate).toBeUndefined()
    client.socket.destroy()
  })

  it('is seen by clients that would resume a session', async () => {
    await using server = await httpServer(undefined, await identityFor('pay.test'))
    await using mitm = await startMitm({
      hosts: { 'pay.test': server.authority },
      upstream: { ca: (await originAuthority()).certificate },
    })
    const { certificate } = await mitm.certificateAuthority()
    const options = { servername: 'pay.test', ca: certificate, ...TLS12 }
    const client = await secureWire(await DOORS.connect(mitm), options)
    const session = client.socket.getSession()
    client.socket.destroy()
    mitm.use(new Injecting(faults.certExpired()))
    const again = secureWire(await DOORS.connect(mitm), { ...options, session })
    await expect(again).rejects.toMatchObject({ code: 'CERT_HAS_EXPIRED' })
  })

  it('cannot be made by an authority of the user that knows nothing of it', async () => {
    const authority = await originAuthority()
    const errors: MitmError[] = []
    await using mitm = await startMitm({
      certificateAuthority: {
        certificate: authority.certificate,
        contextFor: (name) => authority.contextFor(name),
        untrustedContextFor: (name, reason) => authority.untrustedContextFor(name, reason),
      },
      middlewares: [new Injecting(faults.certExpired())],
      onError: (error) => errors.push(error),
    })
    const failed = secureWire(await DOORS.connect(mitm), { servername: 'pay.test' })
    await expect(failed).rejects.toThrow()
    expect(errors.map(({ message }) => message)).toEqual([
      'Cannot inject the fault certExpired: the option certificateAuthority is an object without faultyContextFor(), expected a CertificateAuthority [MITM_INVALID_FAULT]',
    ])
  })
})

describe('a handshake that goes wrong on purpose', () => {
  // The names that OpenSSL gives them differ from version to version in how they begin.
  const FAILURES: readonly (readonly [Fault, RegExp])[] = [
    [faults.tlsAlert(40), /HANDSHAKE_FAILURE$/],
    [faults.tlsAlert('internal_error'), /INTERNAL_ERROR$/],
    [faults.tlsAlert('unrecognized_name'), /UNRECOGNIZED_NAME$/],
    [faults.tlsVersion('TLSv1'), /PROTOCOL_VERSION$/],
    [faults.tlsVersion('TLSv1.1'), /PROTOCOL_VERSION$/],
    [faults.tlsPlaintext(), /WRONG_VERSION_NUMBER$/],
    [faults.tlsGarbage(), /WRONG_VERSION_NUMBER$/],
    [faults.tlsClose(), /^ECONNRESET$/],
    [faults.tlsReset(), /^ECONNRESET$/],
  ]
  const cases = FAILURES.flatMap(([fault, code]) => ALL_DOORS.map((door) => [fault.text, door, fault, code] as const))

  it.each(cases)('fails in the client: %s, %s', async (_, door, fault, code) => {
    const { asked, port, ...rest } = await outcome(door, [fault])
    expect(rest).toMatchObject({ ...ON_PURPOSE, result: expect.stringMatching(code), faults: [fault.name] })
    const moments = door === 'direct' ? [`tls pay.test:${port}`] : ['tunnel pay.test:443', 'tls pay.test:443']
    expect(asked).toEqual(moments)
  })

  it('is a FIN that comes after the hello, and a reset that is one', async () => {
    for (const [fault, end] of [
      [faults.tlsClose(), 'fin'],
      [faults.tlsReset(), 'reset'],
    ] as const) {
      await using mitm = await startMitm({ middlewares: [new Injecting(fault)] })
      const wire = await connectTo(mitm)
      wire.write(HELLO)
      expect(await wire.ended).toBe(end)
      expect(wire.buffered).toHaveLength(0)
      wire.socket.destroy()
    }
  })

  it('is the alert alone, and then the end', async () => {
    await using mitm = await startMitm({ middlewares: [new Injecting(faults.tlsAlert(80))] })
    const wire = await connectTo(mitm)
    wire.write(HELLO)
    expect(await wire.rest()).toBe('\x15\x03\x03\0\x02\x02\x50')
    expect(await wire.ended).toBe('fin')
  })

  it.each(ALL_DOORS)('goes on without an answer until the client leaves: tlsStall, %s', async (door) => {
    const injecting = new Injecting(faults.tlsStall())
    await using mitm = await startMitm({ middlewares: [injecting] })
    const wire = await DOORS[door](mitm)
    wire.write(HELLO)
    await injecting.acts('tlsStall')
    wire.end()
    expect(await wire.rest()).toBe('')
    await expect.poll(() => mitm.connections[0]?.endReason).toBe('client-closed')
    expect(mitm.connections[0]?.errors).toEqual([])
  })

  it('does not keep the mitm from closing: tlsStall', async () => {
    const injecting = new Injecting(faults.tlsStall())
    const mitm = await startMitm({ middlewares: [injecting] })
    const wire = await connectTo(mitm)
    wire.write(HELLO)
    await injecting.acts('tlsStall')
    const before = performance.now()
    await mitm.close()
    expect(performance.now() - before).toBeLessThan(500)
    await wire.ended
  })

  it.each([faults.tlsStall(), faults.tlsDelay({ ms: 60_000 })])(
    'is done after all when the fault is removed: $name',
    async (fault) => {
      await using server = await httpServer(undefined, await identityFor('pay.test'))
      const injecting = new Injecting(fault)
      await using mitm = await startMitm({
        hosts: { 'pay.test': server.authority },
        upstream: { ca: (await originAuthority()).certificate },
        middlewares: [injecting],
      })
      const { certificate } = await mitm.certificateAuthority()
      const securing = secureWire(await DOORS.connect(mitm), { servername: 'pay.test', ca: certificate })
      await injecting.acts(fault.name)
      injecting.remove()
      const client = await securing
      client.write('GET / HTTP/1.1\r\nHost: pay.test\r\n\r\n')
      expect((await takeResponse(client)).status).toBe(200)
      expect(mitm.connections[0]?.clientTls?.certificate?.issuer).toContain('playwright-mitm CA')
    },
  )

  it('is late, and good: tlsDelay', async () => {
    const before = performance.now()
    expect(await outcome('connect', [faults.tlsDelay({ ms: 120 })])).toMatchObject({
      result: 200,
      errors: [],
      faults: ['tlsDelay'],
      contacted: 1,
    })
    expect(performance.now() - before).toBeGreaterThan(118)
  })

  it('is refused by a middleware, with an alert and a report', async () => {
    const refusal = new MitmError('MITM_UNMATCHED_REQUEST', 'Cannot let pay.test through')
    expect(await outcome('direct', [refusal])).toMatchObject({
      result: expect.stringMatching(/ACCESS_DENIED$/),
      errors: ['MITM_UNMATCHED_REQUEST'],
      endReason: 'failed',
      contacted: 0,
    })
  })
})

describe('tlsVersion()', () => {
  it('goes down to TLS 1.2 with clients that can', async () => {
    expect(await outcome('connect', [faults.tlsVersion('TLSv1.2')])).toMatchObject({
      result: 200,
      version: 'TLSv1.2',
      faults: ['tlsVersion'],
      contacted: 1,
    })
  })

  it('does nothing to clients that want nothing newer', async () => {
    expect(await outcome('connect', [faults.tlsVersion('TLSv1.2')], TLS12)).toMatchObject({ result: 200, faults: [] })
  })

  it('speaks old versions with clients that do', async () => {
    const old = { minVersion: 'TLSv1', maxVersion: 'TLSv1.2', ciphers: 'DEFAULT:@SECLEVEL=0' } as const
    expect(await outcome('connect', [faults.tlsVersion('TLSv1.1')], old)).toMatchObject({
      result: 200,
      version: 'TLSv1.1',
    })
  })

  it('fails with clients that offer TLS 1.2 alone and mean it', async () => {
    expect(
      await outcome('connect', [faults.tlsVersion('TLSv1.1')], { minVersion: 'TLSv1.2', maxVersion: 'TLSv1.2' }),
    ).toMatchObject({ ...ON_PURPOSE, result: expect.stringMatching(/UNSUPPORTED_PROTOCOL$/), faults: ['tlsVersion'] })
  })
})

describe('tlsRequireClientCertificate()', () => {
  it.each([
    ['TLS 1.3', {}, /CERTIFICATE_REQUIRED$/],
    ['TLS 1.2', TLS12, /HANDSHAKE_FAILURE$/],
  ])('fails without one: %s', async (_, options, code) => {
    expect(await outcome('connect', [faults.tlsRequireClientCertificate()], options)).toMatchObject({
      ...ON_PURPOSE,
      result: expect.stringMatching(code),
      faults: ['tlsRequireClientCertificate'],
    })
  })

  it.each([
    ['TLS 1.3', {}],
    ['TLS 1.2', TLS12],
  ])('passes with any: %s', async (_, options) => {
    const identity = await identityFor('me.test', { isSelfSigned: true })
    expect(await outcome('connect', [faults.tlsRequireClientCertificate()], { ...identity, ...options })).toMatchObject(
      { result: 200, errors: [], contacted: 1 },
    )
  })

  it('passes again with a session of the first time', async () => {
    await using server = await httpServer(undefined, await identityFor('pay.test'))
    await using mitm = await startMitm({
      hosts: { 'pay.test': server.authority },
      upstream: { ca: (await originAuthority()).certificate },
      middlewares: [new Injecting(faults.tlsRequireClientCertificate())],
    })
    const { certificate } = await mitm.certificateAuthority()
    const options = { servername: 'pay.test', ca: certificate, ...TLS12, ...(await identityFor('me.test')) }
    const client = await secureWire(await DOORS.connect(mitm), options)
    const session = client.socket.getSession()
    client.socket.destroy()
    const again = await secureWire(await DOORS.connect(mitm), { ...options, session })
    expect(again.socket.isSessionReused()).toBe(true)
    again.socket.destroy()
  })

  it('may come with a bad certificate', async () => {
    const injected = [faults.tlsRequireClientCertificate(), faults.certExpired()]
    expect(await outcome('connect', injected)).toMatchObject({
      ...ON_PURPOSE,
      result: 'CERT_HAS_EXPIRED',
      faults: ['certExpired', 'tlsRequireClientCertificate'],
    })
  })
})

describe('the faults of handshakes', () => {
  it.each([
    ['an alert that does not fit in an octet', () => faults.tlsAlert(300)],
    // Boundaries: what somebody without types writes.
    ['an alert that nobody knows', () => faults.tlsAlert('no_such_alert' as 'internal_error')],
    ['an alert by an inherited name', () => faults.tlsAlert('toString' as 'internal_error')],
    ['a version that is the newest', () => faults.tlsVersion('TLSv1.3' as 'TLSv1.2')],
    ['a time that is none', () => faults.tlsDelay({ ms: Number.NaN })],
  ])('refuse %s', (_, make) => {
    expect(make).toThrow(expect.objectContaining({ code: 'MITM_INVALID_FAULT' }))
  })

  it('say which alert a number is', () => {
    expect(faults.tlsAlert(112).text).toBe('tlsAlert 112 (unrecognized_name)')
    expect(faults.tlsAlert(99).text).toBe('tlsAlert 99')
  })
})

/** The smallest hello of TLS 1.2, without extensions. */
const HELLO = Buffer.from(`160301002d0100002903030${'0'.repeat(63)}000002c02b0100`, 'hex')
