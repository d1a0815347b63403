import { describe, expect, it } from 'vitest'

import { MitmError } from './errors.ts'
import type { Fault } from './fault.ts'
import * as faults from './faults/faults.ts'
import { startMitm } from './test-mitm.ts'
import type { TestMitm } from './test-mitm.ts'
import { connectTo, socks5Request, takeResponse } from './testing/clients.ts'
import { Injecting } from './testing/injecting.ts'
import { wireServer } from './testing/servers.ts'
import { settled } from './testing/waits.ts'
import type { Wire } from './testing/wire.ts'

/** Asks for a tunnel to `pay.test:443`, and does not wait for the answer. */
const ASK = {
  async connect(mitm: TestMitm): Promise<Wire> {
    const wire = await connectTo(mitm)
    wire.write('CONNECT pay.test:443 HTTP/1.1\r\nHost: pay.test:443\r\n\r\n')
    return wire
  },
  async socks5(mitm: TestMitm): Promise<Wire> {
    const wire = await connectTo(mitm)
    wire.write(Buffer.from([5, 1, 0]))
    await wire.take(2)
    wire.write(socks5Request('pay.test', 443))
    return wire
  },
  async socks4(mitm: TestMitm): Promise<Wire> {
    const wire = await connectTo(mitm)
    wire.write(Buffer.from('\u0004\u0001\u0001\u00bb\0\0\0\u0001\0pay.test\0', 'latin1'))
    return wire
  },
} as const
type Way = keyof typeof ASK
const WAYS: readonly Way[] = ['connect', 'socks5', 'socks4']

/** What the proxy answers, to the end, and what is recorded of it. */
async function outcome(way: Way, ...injected: readonly (Fault | MitmError)[]) {
  await using server = await wireServer()
  const errors: MitmError[] = []
  const injecting = new Injecting(...injected)
  await using mitm = await startMitm({
    hosts: { 'pay.test': server.authority },
    middlewares: [injecting],
    onError: (error) => errors.push(error),
  })
  const wire = await ASK[way](mitm)
  const said = await wire.rest()
  const end = await wire.ended
  wire.socket.destroy()
  await mitm.waitForIdle()
  await mitm.close()
  const [connection] = mitm.connections
  return {
    said,
    end,
    errors: errors.map(({ code }) => code),
    recordedErrors: connection?.errors.map(({ code }) => code),
    faults: connection?.faults.map(({ name }) => name),
    endReason: connection?.endReason,
    contacted: server.accepted,
    asked: injecting.asked,
  }
}

const ON_PURPOSE = { errors: [], recordedErrors: [], endReason: 'fault', contacted: 0 }

describe('a server that cannot be reached on purpose', () => {
  it.each([
    [faults.refuseConnection(), 502, 'MITM_DIAL_FAILED', 'ECONNREFUSED at pay.test:443 (fault refuseConnection)'],
    [faults.unreachable(), 502, 'MITM_DIAL_FAILED', 'EHOSTUNREACH at pay.test:443 (fault unreachable)'],
    [faults.dnsFailure(), 502, 'MITM_DNS_FAILED', '"pay.test" for pay.test:443: ENOTFOUND (fault dnsFailure)'],
    [faults.dialTimeout(), 504, 'MITM_DIAL_TIMEOUT', 'ETIMEDOUT at pay.test:443 (fault dialTimeout)'],
    [faults.dialTimeout({ ms: 20 }), 504, 'MITM_DIAL_TIMEOUT', 'in 20 ms (fault dialTimeout)'],
  ])('is told to CONNECT with its reason: $name', async (fault, status, code, reason) => {
    const { said, ...rest } = await outcome('connect', fault)
    expect(rest).toEqual({ ...ON_PURPOSE, end: 'fin', faults: [fault.name], asked: ['tunnel pay.test:443'] })
    expect(said).toMatch(new RegExp(`^HTTP/1.1 ${status} `))
    expect(said).toContain(code)
    expect(said).toContain(reason)
  })

  it.each([
    [faults.refuseConnection(), 5],
    [faults.unreachable(), 4],
    [faults.dnsFailure(), 4],
    [faults.dialTimeout(), 6],
  ])('is told to SOCKS5 by its reply: $name', async (fault, code) => {
    const { said, ...rest } = await outcome('socks5', fault)
    expect(rest).toEqual({ ...ON_PURPOSE, end: 'fin', faults: [fault.name], asked: ['tunnel pay.test:443'] })
    expect(Buffer.from(said, 'latin1').subarray(0, 2)).toEqual(Buffer.from([5, code]))
  })

  it('is told to SOCKS4 by its only refusal', async () => {
    const { said } = await outcome('socks4', faults.refuseConnection())
    expect(said.charCodeAt(1)).toBe(0x5b)
  })

  it('takes as long as it is told to', async () => {
    const before = performance.now()
    await outcome('connect', faults.dialTimeout({ ms: 150 }))
    expect(performance.now() - before).toBeGreaterThan(148)
  })
})

describe('a reply that goes wrong on purpose', () => {
  it.each(WAYS)('is none, but the end of the connection: %s', async (way) => {
    const { said, ...rest } = await outcome(way, faults.connectClose())
    expect(rest).toEqual({ ...ON_PURPOSE, end: 'fin', faults: ['connectClose'], asked: ['tunnel pay.test:443'] })
    expect(said).toBe('')
  })

  it.each(WAYS)('is none, but a reset: %s', async (way) => {
    const { said, ...rest } = await outcome(way, faults.connectReset())
    expect(rest).toEqual({ ...ON_PURPOSE, end: 'reset', faults: ['connectReset'], asked: ['tunnel pay.test:443'] })
    expect(said).toBe('')
  })

  it.each(WAYS)('is garbage, always the same: %s', async (way) => {
    const first = await outcome(way, faults.connectGarbage())
    const second = await outcome(way, faults.connectGarbage())
    expect(first).toMatchObject({ ...ON_PURPOSE, end: 'fin', faults: ['connectGarbage'] })
    expect(first.said).toHaveLength(64)
    expect(second.said).toBe(first.said)
  })

  it.each([
    ['connect', 'HTTP/1.1 503 Service Unavailable\r\n'],
    ['socks5', '\u0005\u0001'],
    ['socks4', '\0\u005b'],
  ] as const)('is a status, which is a general failure to SOCKS: %s', async (way, reply) => {
    const { said, ...rest } = await outcome(way, faults.connectStatus(503))
    expect(rest).toMatchObject({ ...ON_PURPOSE, end: 'fin', faults: ['connectStatus'] })
    expect(said.slice(0, reply.length)).toBe(reply)
  })

  it('is a 407 with its challenge', async () => {
    const { said } = await outcome('connect', faults.connectStatus(407))
    expect(said).toContain('\r\nproxy-authenticate: Basic ')
  })

  it.each([
    ['connect', 'HTTP/1.1 502 Bad Gateway\r\n'],
    ['socks5', '\u0005\u0002'],
    ['socks4', '\0\u005b'],
  ] as const)('is a reply of SOCKS, which is 502 to CONNECT: %s', async (way, reply) => {
    const { said, ...rest } = await outcome(way, faults.socksReply(2))
    expect(rest).toMatchObject({ ...ON_PURPOSE, end: 'fin', faults: ['socksReply'] })
    expect(said.slice(0, reply.length)).toBe(reply)
  })

  it('is the first of several', async () => {
    const { said, faults: acted } = await outcome('connect', faults.connectStatus(403), faults.refuseConnection())
    expect(said).toMatch(/^HTTP\/1\.1 403 /)
    expect(acted).toEqual(['connectStatus'])
  })
})

describe('a tunnel that a middleware refuses', () => {
  it.each([
    ['connect', 'HTTP/1.1 502 '],
    ['socks5', '\u0005\u0002'],
  ] as const)('is refused like a server that cannot be reached, and reported: %s', async (way, reply) => {
    const refusal = new MitmError('MITM_UNMATCHED_REQUEST', 'Cannot let CONNECT pay.test:443 through')
    const { said, ...rest } = await outcome(way, refusal)
    expect(said.slice(0, reply.length)).toBe(reply)
    expect(rest).toMatchObject({
      errors: ['MITM_UNMATCHED_REQUEST'],
      recordedErrors: ['MITM_UNMATCHED_REQUEST'],
      endReason: 'failed',
      contacted: 0,
      faults: [],
    })
  })
})

describe('connectDelay()', () => {
  it('opens the tunnel, but late', async () => {
    await using server = await wireServer()
    await using mitm = await startMitm({
      hosts: { 'pay.test': server.authority },
      middlewares: [new Injecting(faults.connectDelay({ ms: 120 }))],
    })
    const before = performance.now()
    const wire = await ASK.connect(mitm)
    expect((await takeResponse(wire, 'HEAD')).status).toBe(200)
    expect(performance.now() - before).toBeGreaterThan(118)
    wire.write('hello\n')
    expect((await (await server.next()).take(6)).toString()).toBe('hello\n')
    expect(mitm.connections[0]?.faults.map(({ text }) => text)).toEqual(['connectDelay of 120 ms'])
  })

  it('is over for everybody when it is removed', async () => {
    await using server = await wireServer()
    const injecting = new Injecting(faults.connectDelay({ ms: 60_000 }))
    await using mitm = await startMitm({ hosts: { 'pay.test': server.authority }, middlewares: [injecting] })
    const [wire, other] = [await ASK.connect(mitm), await ASK.connect(mitm)]
    await injecting.acts('connectDelay')
    injecting.remove()
    expect((await takeResponse(wire, 'HEAD')).status).toBe(200)
    expect((await takeResponse(other, 'HEAD')).status).toBe(200)
  })
})

describe('connectStall()', () => {
  it.each(WAYS)('answers nothing until the client leaves: %s', async (way) => {
    await using server = await wireServer()
    const injecting = new Injecting(faults.connectStall())
    await using mitm = await startMitm({ hosts: { 'pay.test': server.authority }, middlewares: [injecting] })
    const wire = await ASK[way](mitm)
    await injecting.acts('connectStall')
    wire.end()
    expect(await wire.rest()).toBe('')
    expect(await wire.ended).toBe('fin')
    await mitm.waitForIdle()
    expect(mitm.connections[0]).toMatchObject({ endReason: 'client-closed', errors: [] })
    expect(server.accepted).toBe(0)
  })

  it('notes a client that leaves by a reset', async () => {
    const injecting = new Injecting(faults.connectStall())
    await using mitm = await startMitm({ middlewares: [injecting] })
    const wire = await ASK.connect(mitm)
    await injecting.acts('connectStall')
    wire.reset()
    await expect.poll(() => mitm.connections[0]?.endReason).toBe('client-reset')
    expect(mitm.connections[0]?.errors).toEqual([])
  })

  it('ends when nothing has come for idleTimeoutMs', async () => {
    await using mitm = await startMitm({ idleTimeoutMs: 50, middlewares: [new Injecting(faults.connectStall())] })
    const wire = await ASK.connect(mitm)
    expect(await wire.rest()).toBe('')
    expect(await wire.ended).toBe('fin')
    await expect.poll(() => mitm.connections[0]?.endReason).toBe('idle-timeout')
  })

  it('does not keep the mitm from closing', async () => {
    const injecting = new Injecting(faults.connectStall())
    const mitm = await startMitm({ middlewares: [injecting] })
    const wire = await ASK.connect(mitm)
    await injecting.acts('connectStall')
    const before = performance.now()
    await mitm.close()
    expect(performance.now() - before).toBeLessThan(500)
    expect(mitm.connections[0]?.endReason).toBe('mitm-closed')
    await wire.ended
  })

  it('opens the tunnel after all when it is removed, with all that the client has said meanwhile', async () => {
    await using server = await wireServer()
    const injecting = new Injecting(faults.connectStall())
    await using mitm = await startMitm({ hosts: { 'pay.test': server.authority }, middlewares: [injecting] })
    const wire = await ASK.connect(mitm)
    await injecting.acts('connectStall')
    const octets = Buffer.alloc(3_000_000, 'abcdefg\n')
    wire.write(octets)
    // More than is held: the rest waits in the sockets.
    await settled(() => wire.socket.writableLength)
    injecting.remove()
    expect((await takeResponse(wire, 'HEAD')).status).toBe(200)
    const arrived = await (await server.next()).take(octets.length)
    expect(arrived.equals(octets)).toBe(true)
  })
})

describe('the faults before there is a tunnel', () => {
  it.each([
    ['a status that is a success', () => faults.connectStatus(200)],
    ['a status that is none', () => faults.connectStatus(600)],
    ['the reply of success', () => faults.socksReply(0)],
    ['a reply that does not fit in an octet', () => faults.socksReply(256)],
    ['a negative time', () => faults.dialTimeout({ ms: -1 })],
    // A boundary: what somebody without types writes.
    ['an option that is none', () => faults.dialTimeout({ seconds: 1 } as object)],
    ['no time', () => faults.connectDelay({} as { ms: number })],
  ])('refuse %s', (_, make) => {
    expect(make).toThrow(expect.objectContaining({ code: 'MITM_INVALID_FAULT' }))
  })
})
