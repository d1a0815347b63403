/** PostgreSQL through a mitm: octets that are not HTTP, with TLS that begins in the midst of them. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import { startMitm } from '../../test-mitm.ts'
import type { TestMitm } from '../../test-mitm.ts'
import { socksTo, tunnelTo } from '../../testing/clients.ts'
import { identityFor, originAuthority } from '../../testing/identity.ts'
import { forwarder, hasProgram, postgresFolder, startPostgres } from '../../testing/programs.ts'
import type { ProgramServer } from '../../testing/programs.ts'

const folder = postgresFolder()
const isHere = folder !== undefined && hasProgram('psql')

interface Ran {
  readonly code: number | null
  readonly out: string
  readonly err: string
}

let postgres: ProgramServer | undefined
let home: string
let authority: string

beforeAll(async () => {
  home = mkdtempSync(join(tmpdir(), 'psql-'))
  authority = join(home, 'ca.pem')
  writeFileSync(authority, (await originAuthority()).certificate)
  if (folder && isHere) postgres = await startPostgres(folder, await identityFor('db.test'))
}, 60_000)

afterAll(async () => {
  await postgres?.[Symbol.asyncDispose]()
  rmSync(home, { recursive: true })
})

/** Runs psql against a port. @param security - As in its `sslmode`. */
async function psql(port: number, security: 'disable' | 'verify-full', input: string): Promise<Ran> {
  const where = `host=db.test hostaddr=127.0.0.1 port=${port} user=postgres dbname=postgres`
  const args = [
    '-X',
    '-q',
    '-A',
    '-t',
    '-v',
    'ON_ERROR_STOP=1',
    `${where} sslmode=${security} sslrootcert=${authority}`,
  ]
  const child = spawn('psql', args, { env: { PATH: process.env['PATH'], LC_ALL: 'C' } })
  const out: Buffer[] = []
  const err: Buffer[] = []
  child.stdout.on('data', (chunk: Buffer) => out.push(chunk))
  child.stderr.on('data', (chunk: Buffer) => err.push(chunk))
  child.stdin.on('error', () => undefined)
  child.stdin.end(input)
  await once(child, 'close')
  return { code: child.exitCode, out: Buffer.concat(out).toString(), err: Buffer.concat(err).toString() }
}

async function through(
  door: 'CONNECT' | 'SOCKS5',
  use: (port: number, mitm: TestMitm) => Promise<void>,
): Promise<void> {
  if (!postgres) throw new Error('PostgreSQL does not run')
  const { port } = postgres
  await using mitm = await startMitm({ hosts: { 'db.test': `127.0.0.1:${port}` } })
  await using entrance = await forwarder(() =>
    door === 'CONNECT' ? tunnelTo(mitm, 'db.test:5432') : socksTo(mitm, 'db.test', 5432),
  )
  await use(entrance.port, mitm)
}

const ROWS = 20_000
const MANY = Array.from({ length: ROWS }, (_, at) => `${at}\t${'é'.repeat(200)}`).join('\n')

describe.skipIf(!isHere).each(['CONNECT', 'SOCKS5'] as const)('PostgreSQL through %s', (door) => {
  describe.each(['disable', 'verify-full'] as const)('with sslmode %s', (security) => {
    it('answers queries, and the record tells of octets', async () => {
      await through(door, async (port, mitm) => {
        const sql = 'select ssl from pg_stat_ssl where pid = pg_backend_pid(); select 6 * 7;'
        const { code, out, err } = await psql(port, security, sql)
        expect({ code, out, err }).toEqual({ code: 0, out: `${security === 'disable' ? 'f' : 't'}\n42\n`, err: '' })
        await expect.poll(() => mitm.connections[0]?.endedAt).toBeDefined()
        expect(mitm.connections).toHaveLength(1)
        // Its TLS begins behind an SSLRequest: it is between the two ends, which verify-full demands.
        expect(mitm.connections[0]).toMatchObject({
          layers: [door === 'CONNECT' ? 'connect' : 'socks5', 'tcp'],
          protocol: 'tcp',
          clientTls: undefined,
          server: { port: postgres?.port, host: 'db.test' },
          // A server that is told to end, and has octets left unread, resets; which of both comes first is theirs.
          endReason: expect.stringMatching(/^(?:client-closed|server-reset)$/),
          errors: [],
        })
        expect(mitm.connections[0]?.bytesFromServer).toBeGreaterThan(300)
        expect(mitm.exchanges).toEqual([])
      })
    })

    it('has large results both ways', async () => {
      await through(door, async (port, mitm) => {
        const sql = `create temporary table many (id int, words text);\n\\copy many from pstdin\n${MANY}\n\\.\n
          select count(*), sum(id), sum(length(words)) from many; select repeat('x', 1000) from generate_series(1, 8000);`
        const { code, out, err } = await psql(port, security, sql)
        expect({ code, err }).toEqual({ code: 0, err: '' })
        const [counts = '', ...lines] = out.trimEnd().split('\n')
        expect(counts).toBe(`${ROWS}|${(ROWS * (ROWS - 1)) / 2}|${ROWS * 200}`)
        expect(lines).toHaveLength(8000)
        expect(lines.every((line) => line === 'x'.repeat(1000))).toBe(true)
        const [record] = mitm.connections
        expect(record?.bytesFromClient).toBeGreaterThan(Buffer.byteLength(MANY))
        expect(record?.bytesFromServer).toBeGreaterThan(8_000_000)
      })
    })

    it('has its notices, notifications and errors', async () => {
      await through(door, async (port) => {
        const sql = "listen news; do $$ begin raise notice 'by the way'; end $$; notify news, 'hot'; select 1/0;"
        const { code, out, err } = await psql(port, security, sql)
        expect(code).toBe(3)
        expect(err).toContain('NOTICE:  by the way')
        expect(err).toContain('ERROR:  division by zero')
        expect(out).toContain('Asynchronous notification "news" with payload "hot"')
      })
    })

    it('hears why the server ends it', async () => {
      await through(door, async (port, mitm) => {
        const { code, err } = await psql(port, security, 'select pg_terminate_backend(pg_backend_pid());')
        expect(code).not.toBe(0)
        expect(err).toContain('terminating connection due to administrator command')
        // psql may be as quick to close.
        await expect.poll(() => mitm.connections[0]?.endReason).toMatch(/^(?:server|client)-closed$/)
      })
    })
  })
})
