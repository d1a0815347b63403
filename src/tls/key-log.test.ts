import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import type { MitmError } from '../errors.ts'
import { startMitm } from '../test-mitm.ts'
import { secureWire, socksTo, takeResponse, tunnelTo } from '../testing/clients.ts'
import { identityFor, originAuthority } from '../testing/identity.ts'
import { httpServer } from '../testing/servers.ts'
import { KeyLog } from './key-log.ts'

let folder: string

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'key-log-'))
})

afterAll(() => {
  rmSync(folder, { recursive: true })
})

/** The lines of a key log, by the client random of their handshake: the labels. */
function labelsByRandom(path: string): Map<string, string[]> {
  const found = new Map<string, string[]>()
  for (const line of readFileSync(path, 'latin1').trimEnd().split('\n')) {
    const [, label = '', random = ''] = /^([A-Z\d_]+) ([\da-f]{64}) [\da-f]+$/.exec(line) ?? []
    expect(label, line).not.toBe('')
    found.set(random, [...(found.get(random) ?? []), label])
  }
  return found
}

const TLS13 = [
  'CLIENT_HANDSHAKE_TRAFFIC_SECRET',
  'CLIENT_TRAFFIC_SECRET_0',
  'EXPORTER_SECRET',
  'SERVER_HANDSHAKE_TRAFFIC_SECRET',
  'SERVER_TRAFFIC_SECRET_0',
]

describe('the option keyLogFile', () => {
  it.each<['TLSv1.3' | 'TLSv1.2', readonly string[]]>([
    ['TLSv1.3', TLS13],
    ['TLSv1.2', ['CLIENT_RANDOM']],
  ])('has the secrets of both handshakes, by their client randoms: %s', async (version, labels) => {
    const path = join(folder, `${version}.log`)
    // What each end itself knows of its handshake: the client of its own, and the server of the other one.
    const known: { client: Buffer[]; server: Buffer[] } = { client: [], server: [] }
    await using origin = await httpServer(undefined, { ...(await identityFor('pay.test')), maxVersion: version })
    origin.onKeyLog((line) => known.server.push(line))
    await using mitm = await startMitm({
      hosts: { 'pay.test': origin.authority },
      upstream: { ca: (await originAuthority()).certificate },
      keyLogFile: path,
    })
    const { certificate: ca } = await mitm.certificateAuthority()
    const client = await secureWire(await tunnelTo(mitm, 'pay.test:443'), {
      ca,
      servername: 'pay.test',
      maxVersion: version,
      onKeyLog: (line) => known.client.push(line),
    })
    client.write('GET / HTTP/1.1\r\nHost: pay.test\r\n\r\n')
    expect((await takeResponse(client)).status).toBe(200)
    // Written at once, so that Wireshark can read along.
    const found = labelsByRandom(path)
    for (const lines of [known.client, known.server]) {
      const randoms = new Set(lines.map((line) => line.toString('latin1').split(' ')[1] ?? ''))
      expect(randoms.size).toBe(1)
      const [random = ''] = randoms
      expect(found.get(random)?.toSorted()).toEqual(labels)
      const written = readFileSync(path, 'latin1')
      for (const line of lines) expect(written).toContain(line.toString('latin1'))
    }
    expect(found.size).toBe(2)
  })

  it('is appended to, by one mitm after the other, and readable by its user alone', async () => {
    const path = join(folder, 'appended.log')
    for (const runs of [1, 2]) {
      await using origin = await httpServer(undefined, await identityFor('pay.test'))
      await using mitm = await startMitm({
        hosts: { 'pay.test': origin.authority },
        upstream: { ca: (await originAuthority()).certificate },
        keyLogFile: path,
      })
      await mitm.fetch('https://pay.test/')
      expect(labelsByRandom(path).size).toBe(2 * runs)
    }
    if (process.platform !== 'win32') expect(statSync(path).mode & 0o777).toBe(0o600)
  })

  it('has nothing of TLS that is passed through, of which the mitm knows no secret', async () => {
    const path = join(folder, 'passthrough.log')
    await using origin = await httpServer(undefined, await identityFor('pay.test'))
    const { certificate: ca } = await originAuthority()
    await using mitm = await startMitm({
      hosts: { 'pay.test': origin.authority },
      passthrough: ['pay.test'],
      keyLogFile: path,
    })
    await secureWire(await socksTo(mitm, 'pay.test', 443), { ca, servername: 'pay.test' })
    expect(readFileSync(path, 'latin1')).toBe('')
  })

  it.each<[string, () => string]>([
    ['in a folder that is not there', () => join(folder, 'no', 'such', 'file')],
    ['that is a folder', () => folder],
    ['below a file', () => join(writeFile(), 'x')],
  ])('is refused at the start, %s', async (_, path) => {
    const starting = startMitm({ keyLogFile: path() })
    await expect(starting).rejects.toMatchObject({ code: 'MITM_INVALID_OPTION' })
    await expect(starting).rejects.toThrow(/"keyLogFile": E[A-Z]+ for ".*", expected a file/)
  })

  it.skipIf(process.platform === 'win32')('does not wait for a reader of a pipe', async () => {
    const pipe = join(folder, 'pipe')
    execFileSync('mkfifo', [pipe])
    await expect(startMitm({ keyLogFile: pipe })).rejects.toMatchObject({ code: 'MITM_INVALID_OPTION' })
  })

  it.each([[''], [1], [true], [{}]])('must be a path, not %j', (value) => {
    // A boundary: what a caller without types may hand over.
    const starting = startMitm({ keyLogFile: value as string })
    return expect(starting).rejects.toMatchObject({ code: 'MITM_INVALID_OPTION' })
  })
})

describe('KeyLog', () => {
  it.skipIf(process.platform !== 'linux')('tells once that it cannot be written to, and lets traffic go on', () => {
    const errors: MitmError[] = []
    const log = new KeyLog('/dev/full', (error) => errors.push(error))
    log.write(Buffer.from('a\n'))
    log.write(Buffer.from('b\n'))
    log.close()
    log.close()
    expect(errors).toEqual([expect.objectContaining({ message: expect.stringContaining('ENOSPC') })])
  })
})

function writeFile(): string {
  const path = join(folder, 'file')
  writeFileSync(path, '')
  return path
}
