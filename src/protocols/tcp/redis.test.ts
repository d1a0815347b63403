/** Redis through a mitm: octets that are not HTTP, in the clear and in TLS that is opened. */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import { startMitm } from '../../test-mitm.ts'
import { secureWire, socksTo, tunnelTo } from '../../testing/clients.ts'
import { HookLog } from '../../testing/hooks.ts'
import { identityFor, originAuthority } from '../../testing/identity.ts'
import { forwarder, hasProgram, startRedis } from '../../testing/programs.ts'

const run = promisify(execFile)
const isHere = hasProgram('redis-server')
const hasClient = hasProgram('redis-cli')

let redis: Awaited<ReturnType<typeof startRedis>>

beforeAll(async () => {
  if (isHere) redis = await startRedis(await identityFor('cache.test'))
}, 60_000)

afterAll(async () => {
  if (isHere) await redis[Symbol.asyncDispose]()
})

/** A command, as RESP has it. */
function command(...words: readonly string[]): string {
  return `*${words.length}\r\n${words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`).join('')}`
}

describe.skipIf(!isHere).each(['CONNECT', 'SOCKS5'] as const)('Redis through %s', (door) => {
  const port = (isSecure: boolean): number => (isSecure ? redis.tlsPort : redis.port)

  it.each([
    ['in the clear', false],
    ['in TLS that is opened', true],
  ])('answers, has large values both ways, and says what nobody asked for: %s', async (_, isSecure) => {
    const log = new HookLog()
    await using mitm = await startMitm({
      hosts: { 'cache.test': `127.0.0.1:${port(isSecure)}` },
      upstream: { ca: (await originAuthority()).certificate },
      middlewares: [log],
    })
    const { certificate } = await mitm.certificateAuthority()
    const enter = async (): Promise<Awaited<ReturnType<typeof tunnelTo>>> => {
      const wire =
        door === 'CONNECT' ? await tunnelTo(mitm, 'cache.test:6379') : await socksTo(mitm, 'cache.test', 6379)
      return isSecure ? secureWire(wire, { ca: certificate, servername: 'cache.test' }) : wire
    }
    const client = await enter()
    client.write('PING\r\n')
    expect(await client.until('\r\n')).toBe('+PONG\r\n')

    const value = Buffer.alloc(5_000_000, 'value ').toString('latin1')
    client.write(command('SET', 'large', value) + command('GET', 'large'))
    expect(await client.until('\r\n')).toBe('+OK\r\n')
    expect(await client.until('\r\n')).toBe('$5000000\r\n')
    expect((await client.take(5_000_000)).toString('latin1')).toBe(value)
    await client.until('\r\n')

    client.write(command('INCR', `counter ${door} ${isSecure}`).repeat(5000))
    await client.until(':5000\r\n')

    const other = await enter()
    other.write(command('SUBSCRIBE', 'news'))
    await other.until(':1\r\n')
    client.write(command('PUBLISH', 'news', 'hot'))
    expect(await other.until('hot\r\n')).toContain('message')

    // QUIT is answered, then the server closes.
    client.write(command('QUIT'))
    expect(await client.rest()).toMatch(/\+OK\r\n$/)
    client.end()
    await expect.poll(() => mitm.connections[0]?.endedAt).toBeDefined()
    expect(mitm.connections[0]).toMatchObject({
      layers: [door === 'CONNECT' ? 'connect' : 'socks5', ...(isSecure ? ['tls'] : []), 'tcp'],
      endReason: 'server-closed',
      errors: [],
    })
    expect(mitm.connections[0]?.bytesFromClient).toBeGreaterThan(5_000_000)
    // In TLS as well, hooks see what is said.
    expect(log.calls).toContain('clientData:PING\r\n')
    expect(log.calls).toContain('serverData:+PONG\r\n')
  })

  it.skipIf(!hasClient)('serves its own client', async () => {
    await using mitm = await startMitm({ hosts: { 'cache.test': `127.0.0.1:${redis.port}` } })
    await using entrance = await forwarder(() =>
      door === 'CONNECT' ? tunnelTo(mitm, 'cache.test:6379') : socksTo(mitm, 'cache.test', 6379),
    )
    const { stdout } = await run('redis-cli', ['-p', String(entrance.port), 'ECHO', 'hello'])
    expect(stdout).toBe('hello\n')
    expect(mitm.connections[0]?.layers.at(-1)).toBe('tcp')
  })
})
