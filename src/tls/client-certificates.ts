/** The certificates that servers are shown when they ask for one: read and checked at once, found by where a client wants to go. */
import { createHash, createPrivateKey, X509Certificate } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createSecureContext } from 'node:tls'
import type { KeyObject as TlsKey, PxfObject, SecureContextOptions } from 'node:tls'

import { errorText, systemCode } from '../errors.ts'
import { parseHostPattern } from '../internal/host-pattern.ts'
import type { Destination } from '../protocol.ts'
import { invalid } from '../upstream-options.ts'
import type { ClientCertificate } from '../upstream-options.ts'

/** What a server is shown. */
export interface ClientIdentity {
  /** Tells it from others; says nothing of what is in it. */
  readonly id: string
  /** Certificates and keys, as contexts take them. */
  material(): Pick<SecureContextOptions, 'cert' | 'key' | 'pfx'>
}

/** Certificates with their keys, one of which is shown. */
interface Material {
  readonly cert?: string | Buffer
  readonly key?: TlsKey
  readonly pfx?: PxfObject
}

interface Entry {
  readonly matches: (host: string, port: number) => boolean
  /** The one of the most exact entry that matches is shown. */
  readonly exactness: number
  readonly material: Material
}

const FIELDS = ['origin', 'host', 'cert', 'certPath', 'key', 'keyPath', 'pfx', 'pfxPath', 'passphrase']

/** Says what servers are shown. */
export interface ClientIdentities {
  /** @param destination - Where the client wants to go; undefined: nothing is shown. */
  for(destination: Destination): ClientIdentity | undefined
}

/** The certificates of one mitm, or of a door of it. What is in them is shown by nothing that prints this. */
export class ClientCertificates implements ClientIdentities {
  readonly #entries: readonly Entry[]
  readonly #found = new Map<string, ClientIdentity>()

  /**
   * @param given - What the option says. The files that it names are read now.
   * @param option - Its name, for errors.
   * @throws {@link MitmError} `MITM_INVALID_OPTION`, which shows neither keys nor passphrases.
   */
  constructor(given: readonly ClientCertificate[] = [], option = 'upstream.clientCertificates') {
    const list: unknown = given
    if (!Array.isArray(list)) throw invalid(option, 'is no array', 'an array of certificates with their keys')
    this.#entries = given.map((entry, at) => readEntry(entry, `${option}[${at}]`))
  }

  /** What a server is to be shown; undefined: nothing. Several entries for the same origin or pattern go together. */
  for({ host, port }: Destination): ClientIdentity | undefined {
    const name = host.toLowerCase().replace(/\.$/, '')
    const matching = this.#entries.filter(({ matches }) => matches(name, port))
    const most = Math.max(...matching.map(({ exactness }) => exactness))
    const chosen = matching.filter(({ exactness }) => exactness === most)
    if (chosen.length === 0) return undefined
    const key = chosen.map((entry) => this.#entries.indexOf(entry)).join()
    const found = this.#found.get(key) ?? identityOf(chosen.map(({ material }) => material))
    this.#found.set(key, found)
    return found
  }
}

function identityOf(materials: readonly Material[]): ClientIdentity {
  const hash = createHash('sha256')
  for (const { cert, key, pfx } of materials) {
    for (const part of [cert, key?.pem, key?.passphrase, pfx?.buf, pfx?.passphrase]) {
      hash.update(part === undefined ? '-' : `${part.length}:`).update(part ?? '')
    }
  }
  return {
    id: hash.digest('hex'),
    material: () => ({
      cert: materials.flatMap(({ cert }) => cert ?? []),
      key: materials.flatMap(({ key }) => key ?? []),
      pfx: materials.flatMap(({ pfx }) => pfx ?? []),
    }),
  }
}

function readEntry(entry: ClientCertificate, name: string): Entry {
  const given: unknown = entry
  if (typeof given !== 'object' || given === null) {
    throw invalid(name, 'is no object', `an object with ${FIELDS.join(', ')}`)
  }
  const unknown = Object.keys(given).find((field) => !FIELDS.includes(field))
  if (unknown !== undefined) throw invalid(`${name}.${unknown}`, 'is not an option', `one of ${FIELDS.join(', ')}`)
  const { passphrase } = entry
  if (passphrase !== undefined && typeof passphrase !== 'string') {
    throw invalid(`${name}.passphrase`, 'is no text', 'a text')
  }
  const where = whereOf(entry, name)
  const cert = contentOf(entry, 'cert', name)
  const key = contentOf(entry, 'key', name)
  const pfx = contentOf(entry, 'pfx', name)
  if (pfx && (cert || key)) throw invalid(name, 'has pfx beside cert or key', 'one of both')
  if (pfx) return { ...where, material: readPfx(pfx, passphrase) }
  if (!cert || !key) {
    const found = cert ? 'has no key' : key ? 'has no cert' : 'has no certificate'
    throw invalid(name, found, 'cert with key (or certPath with keyPath), or pfx (or pfxPath)')
  }
  return { ...where, material: readPem(cert, key, passphrase) }
}

function whereOf({ origin, host }: ClientCertificate, name: string): Omit<Entry, 'material'> {
  if ((origin === undefined) === (host === undefined)) {
    throw invalid(name, origin === undefined ? 'says for no server' : 'has both origin and host', 'an origin or a host')
  }
  if (host !== undefined) {
    const pattern = typeof host === 'string' ? parseHostPattern(host) : undefined
    if (!pattern) throw invalid(`${name}.host`, `is ${JSON.stringify(host)}`, "a name, 'name:port' or '*.suffix'")
    return { matches: pattern.matches, exactness: host.length }
  }
  const url = typeof origin === 'string' && URL.canParse(origin) ? new URL(origin) : undefined
  if (!url || (url.protocol !== 'https:' && url.protocol !== 'wss:') || url.hostname === '') {
    throw invalid(`${name}.origin`, `is ${JSON.stringify(origin)}`, "an origin, such as 'https://pay.test:8443'")
  }
  const hostname = url.hostname.replace(/^\[|\]$/g, '').replace(/\.$/, '')
  const port = Number(url.port) || 443
  return { matches: (other, otherPort) => other === hostname && otherPort === port, exactness: Infinity }
}

/** Content that was given, and where from. */
interface Content {
  readonly octets: string | Buffer
  /** The option that it comes from. */
  readonly name: string
  /** The file that it comes from; empty if none. */
  readonly path: string
}

function contentOf(entry: ClientCertificate, field: 'cert' | 'key' | 'pfx', name: string): Content | undefined {
  const octets: unknown = entry[field]
  const path: unknown = entry[`${field}Path`]
  if (octets !== undefined) {
    const isMeant = Buffer.isBuffer(octets) || (field !== 'pfx' && typeof octets === 'string')
    if (!isMeant) throw invalid(`${name}.${field}`, 'holds something else', field === 'pfx' ? 'a Buffer' : 'PEM')
    return { octets, name: `${name}.${field}`, path: '' }
  }
  if (path === undefined) return undefined
  const option = `${name}.${field}Path`
  if (typeof path !== 'string' || path === '') throw invalid(option, 'is no path', 'the path of a file')
  try {
    return { octets: readFileSync(path), name: option, path }
  } catch (error) {
    const why = systemCode(error) ?? errorText(error)
    throw invalid(option, `names ${JSON.stringify(path)}, which cannot be read (${why})`, 'the path of a file', error)
  }
}

function readPem(cert: Content, key: Content, passphrase: string | undefined): Material {
  const certificate = checked(cert, 'a certificate in PEM', () => new X509Certificate(cert.octets))
  const protection = passphrase === undefined ? {} : { passphrase }
  const privateKey: KeyObject = checked(
    key,
    passphrase === undefined
      ? 'a private key in PEM that needs no passphrase'
      : 'a private key in PEM that its passphrase opens',
    () => createPrivateKey({ key: key.octets, ...protection }),
  )
  if (!certificate.checkPrivateKey(privateKey)) {
    throw invalid(key.name, `${described(key)} does not belong to the certificate`, 'the key of the certificate')
  }
  return { cert: cert.octets, key: { pem: key.octets, ...protection } }
}

function readPfx(pfx: Content, passphrase: string | undefined): Material {
  const buf = Buffer.from(pfx.octets)
  const object: PxfObject = { buf, ...(passphrase !== undefined && { passphrase }) }
  // Nothing else reads it. Without authorities of its own the context costs nothing.
  checked(pfx, 'a certificate with its key as PKCS #12, and its passphrase', () =>
    createSecureContext({ pfx: [object], ca: [] }),
  )
  return { pfx: object }
}

function checked<T>(content: Content, expected: string, read: () => T): T {
  try {
    return read()
  } catch (error) {
    throw invalid(content.name, `${described(content)} cannot be used (${errorText(error)})`, expected, error)
  }
}

function described({ path }: Content): string {
  return path === '' ? 'holds what' : `names ${JSON.stringify(path)}, which`
}
