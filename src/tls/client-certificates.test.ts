import { execFileSync, spawnSync } from 'node:child_process'
import { createPrivateKey } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inspect } from 'node:util'

import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import { identityFor } from '../testing/identity.ts'
import type { Identity } from '../testing/identity.ts'
import type { ClientCertificate } from '../upstream-options.ts'
import { ClientCertificates } from './client-certificates.ts'

const hasOpenssl = spawnSync('openssl', ['version']).status === 0

let me: Identity
let other: Identity
let locked: string
let folder: string
const at = (name: string): string => join(folder, name)

beforeAll(async () => {
  me = await identityFor('me.test')
  other = await identityFor('other.test')
  locked = createPrivateKey(me.key).export({
    type: 'pkcs8',
    format: 'pem',
    cipher: 'aes-256-cbc',
    passphrase: 'hunter2',
  }) as string
  folder = mkdtempSync(join(tmpdir(), 'playwright-mitm-test-'))
  writeFileSync(at('me.pem'), me.cert)
  writeFileSync(at('me-key.pem'), me.key)
  writeFileSync(at('locked.pem'), locked)
  writeFileSync(at('junk'), 'junk')
})

afterAll(() => {
  rmSync(folder, { recursive: true, force: true })
})

const origin = 'https://pay.test'
const destination = (host: string, port = 443): { host: string; port: number; tls: true } => ({ host, port, tls: true })

describe('an entry', () => {
  it('is content, files, or both', () => {
    const made = new ClientCertificates([
      { origin: 'https://a.test', ...me },
      { origin: 'https://b.test', cert: Buffer.from(me.cert), key: Buffer.from(me.key) },
      { origin: 'https://c.test', certPath: at('me.pem'), keyPath: at('me-key.pem') },
      { origin: 'https://d.test', cert: me.cert, keyPath: at('locked.pem'), passphrase: 'hunter2' },
    ])
    for (const name of ['a.test', 'b.test', 'c.test', 'd.test']) {
      expect(made.for(destination(name))?.material()).toMatchObject({
        cert: [expect.anything()],
        key: [expect.anything()],
      })
    }
  })

  it.skipIf(!hasOpenssl)('is PKCS #12', () => {
    const pack = (...args: string[]): Buffer =>
      execFileSync('openssl', ['pkcs12', '-export', '-in', at('me.pem'), '-inkey', at('me-key.pem'), ...args])
    const pfx = pack('-passout', 'pass:hunter2')
    writeFileSync(at('me.p12'), pfx)
    const made = new ClientCertificates([
      { origin: 'https://a.test', pfx, passphrase: 'hunter2' },
      { origin: 'https://b.test', pfxPath: at('me.p12'), passphrase: 'hunter2' },
    ])
    expect(made.for(destination('a.test'))?.material()).toMatchObject({ pfx: [{ passphrase: 'hunter2' }] })
    expect(made.for(destination('a.test'))?.id).toBe(made.for(destination('b.test'))?.id)
    const refused = (): unknown => new ClientCertificates([{ origin, pfxPath: at('me.p12'), passphrase: 'wrong-one' }])
    expect(refused).toThrow(
      /"upstream\.clientCertificates\[0\]\.pfxPath": it names ".*me\.p12", which cannot be used \(mac verify failure\)/,
    )
    expect(refused).toThrow(expect.not.stringContaining('wrong-one'))
  })

  // What Playwright refuses is refused here.
  it.each<[string, () => unknown, RegExp]>([
    ['no object', () => 'a', /clientCertificates\[0\]": it is no object/],
    ['an unknown field', () => ({ origin, ca: '' }), /clientCertificates\[0\]\.ca": it is not an option/],
    ['no server', () => ({ ...me }), /it says for no server/],
    ['two servers', () => ({ origin, host: 'a', ...me }), /it has both origin and host/],
    ['no origin', () => ({ origin: 'pay.test', ...me }), /\.origin": it is "pay\.test", expected an origin/],
    ['an origin without TLS', () => ({ origin: 'http://pay.test', ...me }), /\.origin": it is "http:/],
    ['an origin of another type', () => ({ origin: 5, ...me }), /\.origin": it is 5/],
    ['a pattern that is none', () => ({ host: 'https://pay.test', ...me }), /\.host": it is "https:/],
    ['no certificate', () => ({ origin }), /\[0\]": it has no certificate/],
    ['no key', () => ({ origin, cert: me.cert }), /it has no key/],
    ['no cert', () => ({ origin, key: me.key }), /it has no cert,/],
    ['pfx beside cert', () => ({ origin, ...me, pfx: Buffer.from('x') }), /it has pfx beside cert or key/],
    ['content of another type', () => ({ origin, ...me, cert: 5 }), /\.cert": it holds something else, expected PEM/],
    ['pfx as text', () => ({ origin, pfx: 'x' }), /\.pfx": it holds something else, expected a Buffer/],
    ['a passphrase of another type', () => ({ origin, ...me, passphrase: 5 }), /\.passphrase": it is no text/],
    ['a path of another type', () => ({ origin, certPath: 5, key: me.key }), /\.certPath": it is no path/],
    [
      'a file that is not there',
      () => ({ origin, certPath: at('gone.pem'), key: me.key }),
      /\.certPath": it names ".*gone\.pem", which cannot be read \(ENOENT\)/,
    ],
    [
      'a folder',
      () => ({ origin, cert: me.cert, keyPath: folder }),
      /\.keyPath": it names .* cannot be read \(EISDIR\)/,
    ],
    [
      'a file that holds none',
      () => ({ origin, certPath: at('junk'), key: me.key }),
      /\.certPath": it names ".*junk", which cannot be used/,
    ],
    [
      'a key that is none',
      () => ({ origin, cert: me.cert, keyPath: at('junk') }),
      /\.keyPath": it names ".*junk", which cannot be used/,
    ],
    [
      'pfx that is none',
      () => ({ origin, pfxPath: at('junk') }),
      /\.pfxPath": it names ".*junk", which cannot be used/,
    ],
    [
      'the key of another',
      () => ({ origin, cert: me.cert, key: other.key }),
      /\.key": it holds what does not belong to the certificate/,
    ],
    [
      'no passphrase',
      () => ({ origin, cert: me.cert, keyPath: at('locked.pem') }),
      /\.keyPath": it names .*locked\.pem", which cannot be used .* that needs no passphrase/,
    ],
    [
      'a wrong passphrase',
      () => ({ origin, cert: me.cert, keyPath: at('locked.pem'), passphrase: 'wrong-one' }),
      /\.keyPath": it names .* that its passphrase opens/,
    ],
  ])('with %s is refused', (_, entry, message) => {
    // Boundary: what a caller without types may do.
    const make = (): unknown => new ClientCertificates([entry() as ClientCertificate])
    expect(make).toThrow(expect.objectContaining({ code: 'MITM_INVALID_OPTION' }))
    expect(make).toThrow(message)
    expect(make).toThrow(expect.not.stringMatching(/PRIVATE KEY|wrong-one|hunter2/))
  })

  it('is shown by nothing that prints its mitm', () => {
    const made = new ClientCertificates([{ origin, cert: me.cert, key: locked, passphrase: 'hunter2' }])
    expect(inspect(made, { depth: null, showHidden: true })).not.toMatch(/hunter2|PRIVATE/)
    expect(JSON.stringify(made)).toBe('{}')
  })
})

describe('what is shown', () => {
  it.each<[string, { host: string; port: number; tls: true }, boolean]>([
    ['https://pay.test', destination('pay.test'), true],
    ['https://PAY.test:443/path', destination('Pay.Test.'), true],
    ['https://pay.test', destination('pay.test', 8443), false],
    ['https://pay.test:8443', destination('pay.test', 8443), true],
    ['https://pay.test', destination('eu.pay.test'), false],
    ['https://[::1]:8443', destination('::1', 8443), true],
    ['wss://pay.test', destination('pay.test'), true],
    ['pay.test', destination('pay.test', 8443), true],
    ['pay.test:8443', destination('pay.test', 8443), true],
    ['pay.test:8443', destination('pay.test'), false],
    ['*.pay.test', destination('eu.pay.test'), true],
    ['*.pay.test', destination('pay.test'), false],
    ['*', destination('any.test', 1), true],
  ])('of %s to %j: %j', (where, to, expected) => {
    const key = where.includes('://') ? 'origin' : 'host'
    const made = new ClientCertificates([{ [key]: where, ...me }])
    expect(made.for(to) !== undefined).toBe(expected)
  })

  it('is that of the most exact entry; those of one origin go together', () => {
    const made = new ClientCertificates([
      { host: '*', ...other },
      { host: '*.test', ...other },
      { origin, ...me },
      { host: 'pay.test', ...other },
      { origin: `${origin}:443`, ...other },
    ])
    expect(made.for(destination('pay.test'))?.material()).toEqual({
      cert: [me.cert, other.cert],
      key: [{ pem: me.key }, { pem: other.key }],
      pfx: [],
    })
    expect(made.for(destination('pay.test'))).toBe(made.for(destination('pay.test')))
    expect(made.for(destination('a.test'))?.material().cert).toEqual([other.cert])
  })
})
