import { execFile } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

import { afterEach, beforeEach, expect, test, vi } from 'vitest'

import { CERTIFICATE_FILE, KEY_FILE } from './authority-folder.ts'
import { CertificateAuthority } from './certificate-authority.ts'

const run = promisify(execFile)
const DAY_MS = 24 * 60 * 60 * 1000
let parent: string
let folder: string

beforeEach(async () => {
  parent = await mkdtemp(join(tmpdir(), 'mitm-ca-'))
  folder = join(parent, 'new', 'folder')
})

afterEach(async () => {
  vi.useRealTimers()
  await rm(parent, { recursive: true, force: true })
})

async function expectOnlyThePair(authority: CertificateAuthority): Promise<void> {
  expect((await readdir(folder)).toSorted()).toEqual([KEY_FILE, CERTIFICATE_FILE].toSorted())
  expect(await readFile(join(folder, CERTIFICATE_FILE), 'utf8')).toBe(authority.certificate)
  const loaded = await CertificateAuthority.load(join(folder, CERTIFICATE_FILE), join(folder, KEY_FILE))
  expect(loaded.privateKey).toBe(authority.privateKey)
}

test('init() makes the folder and the files, and loads them the next time', async () => {
  const made = await CertificateAuthority.init(folder)
  await expectOnlyThePair(made)
  expect((await stat(join(folder, KEY_FILE))).mode & 0o777).toBe(0o600)
  expect((await stat(join(folder, CERTIFICATE_FILE))).mode & 0o777).toBe(0o644)
  expect((await CertificateAuthority.init(folder)).certificate).toBe(made.certificate)
})

test('calls of init() at once all end with the same authority', async () => {
  const authorities = await Promise.all(Array.from({ length: 12 }, () => CertificateAuthority.init(folder)))
  const [first] = authorities
  if (!first) throw new Error('There is no authority')
  expect(new Set(authorities.map(({ certificate }) => certificate)).size).toBe(1)
  expect(new Set(authorities.map(({ privateKey }) => privateKey)).size).toBe(1)
  await expectOnlyThePair(first)
})

test('processes that call init() at once all end with the same authority', async () => {
  const tsx = fileURLToPath(import.meta.resolve('tsx/cli'))
  const script = join(parent, 'init.mts')
  const module = new URL('certificate-authority.ts', import.meta.url).href
  await writeFile(
    script,
    `import { CertificateAuthority } from ${JSON.stringify(module)}
     const authority = await CertificateAuthority.init(${JSON.stringify(folder)})
     console.log(authority.spki)`,
  )
  const outputs = await Promise.all(Array.from({ length: 4 }, () => run(process.execPath, [tsx, script])))
  const authority = await CertificateAuthority.init(folder)
  expect(outputs.map(({ stdout }) => stdout.trim())).toEqual(Array.from({ length: 4 }, () => authority.spki))
  await expectOnlyThePair(authority)
})

test('an expired authority is replaced, by the same one for all who ask at once', async () => {
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() - 1000 * DAY_MS })
  const expired = await CertificateAuthority.init(folder)
  vi.useRealTimers()
  const authorities = await Promise.all(Array.from({ length: 8 }, () => CertificateAuthority.init(folder)))
  const [first] = authorities
  if (!first) throw new Error('There is no authority')
  expect(new Set(authorities.map(({ certificate }) => certificate)).size).toBe(1)
  expect(first.certificate).not.toBe(expired.certificate)
  expect(Date.parse(new X509Certificate(first.certificate).validTo)).toBeGreaterThan(Date.now())
  await expectOnlyThePair(first)
  expect((await stat(join(folder, KEY_FILE))).mode & 0o777).toBe(0o600)
})

test('init() completes what a process left that died between the two files', async () => {
  const made = await CertificateAuthority.init(folder)
  await rm(join(folder, CERTIFICATE_FILE))
  const completed = await CertificateAuthority.init(folder)
  expect(completed.certificate).toBe(made.certificate)
  await expectOnlyThePair(made)
})

test('init() corrects a certificate file that is of an earlier key', async () => {
  const made = await CertificateAuthority.init(folder)
  await writeFile(join(folder, CERTIFICATE_FILE), (await CertificateAuthority.create()).certificate)
  expect((await CertificateAuthority.init(folder)).certificate).toBe(made.certificate)
  await expectOnlyThePair(made)
})

test("init() takes somebody's own pair, and leaves the files as they are", async () => {
  const own = await CertificateAuthority.create({ commonName: 'Company CA' })
  folder = parent
  await own.save(join(folder, CERTIFICATE_FILE), join(folder, KEY_FILE))
  expect((await CertificateAuthority.init(folder)).certificate).toBe(own.certificate)
  expect(await readFile(join(folder, KEY_FILE), 'utf8')).toBe(own.privateKey)
})

test('init() refuses a folder with files that are no pair, and changes nothing', async () => {
  folder = parent
  await writeFile(join(folder, KEY_FILE), 'not a key')
  await expect(CertificateAuthority.init(folder)).rejects.toThrow(
    expect.objectContaining({ code: 'MITM_CA_FAILED', message: expect.stringContaining(folder) }),
  )
  expect(await readFile(join(folder, KEY_FILE), 'utf8')).toBe('not a key')
})

test('init() fails with MITM_CA_FAILED when the folder is a file', async () => {
  await writeFile(join(parent, 'file'), '')
  await expect(CertificateAuthority.init(join(parent, 'file'))).rejects.toMatchObject({ code: 'MITM_CA_FAILED' })
})

test('save() makes the key private also where a readable file was, and load() reads both back', async () => {
  const authority = await CertificateAuthority.create()
  const [certPath, keyPath] = [join(parent, 'cert.pem'), join(parent, 'key.pem')]
  await writeFile(keyPath, 'an older key')
  await chmod(keyPath, 0o666)
  await authority.save(certPath, keyPath)
  expect((await stat(keyPath)).mode & 0o777).toBe(0o600)
  expect((await stat(certPath)).mode & 0o777).toBe(0o644)
  expect((await readdir(parent)).toSorted()).toEqual(['cert.pem', 'key.pem'])
  const loaded = await CertificateAuthority.load(certPath, keyPath)
  expect([loaded.certificate, loaded.privateKey]).toEqual([authority.certificate, authority.privateKey])
})

test('save() fails with MITM_CA_FAILED in a folder that does not exist', async () => {
  const authority = await CertificateAuthority.create()
  const path = join(parent, 'none', 'key.pem')
  await expect(authority.save(path, path)).rejects.toMatchObject({ code: 'MITM_CA_FAILED' })
})
