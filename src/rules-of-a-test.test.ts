import { describe, expect, it } from 'vitest'

import { faults, startMitm } from './index.ts'
import { identityFor, originAuthority } from './testing/identity.ts'
import { secureWire, takeResponse, tunnelTo } from './testing/clients.ts'
import { httpServer } from './testing/servers.ts'

const ask = (path: string): string => `GET ${path} HTTP/1.1\r\nHost: a.test\r\n\r\n`

describe('offline()', () => {
  it('resets the connections there are, reaches no server, and ends with its rule', async () => {
    await using origin = await httpServer()
    await using mitm = await startMitm({ hosts: { 'a.test': origin.authority } })
    const idle = await tunnelTo(mitm, 'a.test:80')
    idle.write(ask('/before'))
    await takeResponse(idle)
    {
      using rule = mitm.offline()
      expect(await idle.ended).toBe('reset')
      await expect(tunnelTo(mitm, 'a.test:80')).rejects.toThrow('CONNECT a.test:80: HTTP/1.1 50')
      await expect(mitm.fetch('http://a.test/')).rejects.toThrow()
      expect(rule.explain()).toMatch(/^when any request: offline; applied 2 times; acted: offline 2 times$/)
    }
    const client = await tunnelTo(mitm, 'a.test:80')
    client.write(ask('/after'))
    expect(String((await takeResponse(client)).body)).toBe('GET /after')
    expect(origin.requests).toHaveLength(2)
    expect(mitm.errors).toEqual([])
  })
})

describe('slow()', () => {
  it('puts a link before everything, until its rule is removed', async () => {
    await using origin = await httpServer()
    await using mitm = await startMitm({ hosts: { 'a.test': origin.authority } })
    const rule = mitm.slow({ downKbps: 10_000, upKbps: 10_000, rttMs: 60 })
    const startedAt = performance.now()
    await (await mitm.fetch('http://a.test/')).text()
    expect(performance.now() - startedAt).toBeGreaterThan(100)
    expect(mitm.exchanges[0]?.faults).toMatchObject([{ name: 'network' }])
    expect(rule.calls).toBe(1)
    rule.remove()
    await (await mitm.fetch('http://a.test/')).text()
    expect(mitm.exchanges[1]?.faults).toEqual([])
  })

  it('refuses links that there are not', async () => {
    await using mitm = await startMitm()
    expect(() => mitm.slow('Slow 5G' as 'Slow 4G')).toThrow(
      expect.objectContaining({ code: 'MITM_INVALID_FAULT' }) as Error,
    )
    expect(mitm.rules).toEqual([])
  })
})

describe('a rule by which connections fail', () => {
  it('lets clients make the connections anew that they have kept', async () => {
    await using origin = await httpServer(undefined, await identityFor('a.test'))
    await using mitm = await startMitm({
      hosts: { 'a.test': origin.authority },
      upstream: { ca: (await originAuthority()).certificate },
    })
    const { certificate: ca } = await mitm.certificateAuthority()
    const kept = await secureWire(await tunnelTo(mitm, 'a.test:443'), { servername: 'a.test', ca })
    kept.write(ask('/'))
    await takeResponse(kept)
    const rule = mitm.when({ host: 'a.test' }).fault(faults.certExpired()).once()
    expect(await kept.ended).toBe('fin')
    const again = secureWire(await tunnelTo(mitm, 'a.test:443'), { servername: 'a.test', ca })
    await expect(again).rejects.toMatchObject({ code: 'CERT_HAS_EXPIRED' })
    await secureWire(await tunnelTo(mitm, 'a.test:443'), { servername: 'a.test', ca })
    expect([rule.calls, origin.accepted]).toEqual([1, 2])
  })
})

describe('a sequence', () => {
  it('does one thing after the other to the requests of a client', async () => {
    await using origin = await httpServer()
    await using mitm = await startMitm({ hosts: { 'a.test': origin.authority } })
    mitm.get('**/x').sequence(503, faults.resetPeer(), 'pass', (rule) => rule.json({ id: 1 }))
    const seen: unknown[] = []
    for (let call = 0; call < 5; call++) {
      const response = await mitm.fetch('http://a.test/x').catch(() => undefined)
      seen.push(response ? `${response.status} ${await response.text()}` : 'reset')
    }
    expect(seen).toEqual(['503 ', 'reset', '200 GET /x', '200 {"id":1}', '200 GET /x'])
  })
})

describe('a preflight', () => {
  const preflight = (mitm: Awaited<ReturnType<typeof startMitm>>, method: string): ReturnType<typeof mitm.fetch> =>
    mitm.fetch('http://a.test/x', {
      method: 'OPTIONS',
      headers: { origin: 'http://shop.test', 'access-control-request-method': method },
    })

  it('is answered for a rule that answers what it asks for, and does not count', async () => {
    await using origin = await httpServer()
    await using mitm = await startMitm({ hosts: { 'a.test': origin.authority } })
    const rule = mitm
      .when({ method: 'PUT', url: '**/x', headers: { 'x-a': '1' } })
      .json({})
      .once()
    const response = await preflight(mitm, 'PUT')
    expect([response.status, response.headers.get('access-control-allow-origin')]).toEqual([204, 'http://shop.test'])
    expect(rule.calls).toBe(0)
    expect(mitm.exchanges[0]?.rules).toEqual([`CORS preflight of ${rule.describe()}`])
    expect(await (await preflight(mitm, 'DELETE')).text()).toBe('OPTIONS /x')
    rule.cors(false)
    expect(await (await preflight(mitm, 'PUT')).text()).toBe('OPTIONS /x')
  })

  it('is the business of a rule that names OPTIONS', async () => {
    await using mitm = await startMitm()
    mitm.when({ method: 'PUT', url: '**' }).respond(200)
    mitm.when({ method: 'OPTIONS', url: '**' }).respond(418)
    expect((await preflight(mitm, 'PUT')).status).toBe(418)
  })
})

describe('a mitm in words', () => {
  it('tells its rules, newest first, and how much it has seen', async () => {
    const mitm = await startMitm({ seed: 7 })
    expect([mitm.explain(), mitm.seed, mitm.drawnSeed]).toEqual(['no rules', 7, undefined])
    mitm.when('**').respond(200)
    mitm.get('**/x').respond(404).probability(0)
    await (await mitm.fetch('http://a.test/x')).text()
    expect(mitm.drawnSeed).toBe(7)
    expect(mitm.explain()).toBe(
      'when GET **/x: answer 404, with probability 0; applied 0 times, skipped once\n' +
        'when **: answer 200; applied once',
    )
    expect(String(mitm)).toBe(`mitm ${mitm.url} (rules: 2, connections: 1, exchanges: 1)`)
    await mitm.close()
    expect(String(mitm)).toContain('mitm (not listening) (')
    for (const make of [() => mitm.when('**'), () => mitm.get('**'), () => mitm.offline()]) {
      expect(make).toThrow(expect.objectContaining({ code: 'MITM_NOT_RUNNING' }) as Error)
    }
  })

  it('refuses a seed that is none', async () => {
    await expect(startMitm({ seed: Number.NaN })).rejects.toMatchObject({ code: 'MITM_INVALID_OPTION' })
    await expect(startMitm({ seed: {} as string })).rejects.toThrow('"seed"')
  })

  it('explains why a body was passed over', async () => {
    await using mitm = await startMitm()
    mitm.when('**').respond(200)
    const rule = mitm.when({ url: '**', json: { a: 1 } }).respond(201)
    await (await mitm.fetch('http://a.test/', { method: 'POST', body: '{' })).text()
    expect(rule.explain()).toMatch(
      /; applied 0 times; last passed over POST http:\/\/a\.test\/ because json cannot be read: /,
    )
  })
})
