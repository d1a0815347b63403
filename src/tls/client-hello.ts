/**
 * Reads what a TLS client says first. Pure: octets in, values out.
 *
 * ```
 * record       type (22) | version (2) | length (2) | part of the handshake message        RFC 8446 section 5.1
 * handshake    type (1)  | length (3)  | body                                              section 4
 * ClientHello  version (2) | random (32) | session id <1> | cipher suites <2> | compression <1> | extensions <2>
 * extension    type (2) | length (2) | body                                                sections 4.1.2 and 4.2
 * ```
 * `<n>` is a vector that begins with its own length in n octets.
 */
import { MitmError } from '../errors.ts'
import { OctetCursor } from './octet-cursor.ts'
import { versionName } from './suites.ts'

/** What is read from a client's first message. */
export interface ClientHello {
  /** The name that the client wants to reach, as it wrote it; undefined when it gave none (RFC 6066 section 3). */
  readonly serverName: string | undefined
  /** The protocols offered, most wanted first: `['h2', 'http/1.1']` (RFC 7301 section 3.1). */
  readonly alpnProtocols: readonly string[]
  /**
   * The versions offered, in the client's order, named as Node does: `['TLSv1.3', 'TLSv1.2']`. Unknown ones are left
   * out. A client that sends no `supported_versions` names only its highest, and means all below it too.
   */
  readonly versions: readonly string[]
  /** Whether it offers a cipher suite that means nothing (GREASE, RFC 8701): Chromium does, Node does not. */
  readonly isGreased: boolean
}

/** Octets, record headers included, within which a hello must end. */
const MAX_HELLO_OCTETS = 64 * 1024
/** RFC 8446 section 5.1. */
const MAX_RECORD_OCTETS = 2 ** 14
const RECORD_HEADER_OCTETS = 5
const HANDSHAKE_RECORD = 22
const CLIENT_HELLO = 1
const SERVER_NAME = 0
const ALPN = 16
const SUPPORTED_VERSIONS = 43

/** Whether a client's first octets could be TLS: a handshake record. False for no octets at all. */
export function looksLikeTls(octets: Buffer): boolean {
  return octets[0] === HANDSHAKE_RECORD && (octets.length === 1 || octets[1] === 3)
}

/**
 * Reads a ClientHello, which may be cut over several records. What follows it is ignored.
 *
 * @param octets - Everything that the client has sent so far.
 * @returns The hello, or `'incomplete'` when more octets are needed.
 * @throws {@link MitmError} `MITM_MALFORMED_TLS` when no further octets could make it a hello, or it is not complete
 * within 64 KiB.
 * @see RFC 8446 section 4.1.2, https://www.rfc-editor.org/rfc/rfc8446#section-4.1.2
 */
export function readClientHello(octets: Buffer): ClientHello | 'incomplete' {
  const message = joinRecords(octets.subarray(0, MAX_HELLO_OCTETS))
  if (message !== 'incomplete') return readBody(new OctetCursor(message, malformed))
  if (octets.length >= MAX_HELLO_OCTETS) throw malformed(`it is longer than ${MAX_HELLO_OCTETS} octets`)
  return 'incomplete'
}

/** The body of the handshake message, without the records around it. */
function joinRecords(octets: Buffer): Buffer | 'incomplete' {
  const fragments: Buffer[] = []
  let held = 0
  let needed = Infinity
  for (let at = 0; at < octets.length;) {
    const type = octets[at]
    if (type !== HANDSHAKE_RECORD) throw malformed(`the record type is ${type}, expected ${HANDSHAKE_RECORD}`)
    const major = octets[at + 1]
    if (major !== undefined && major !== 3) throw malformed(`the record's major version is ${major}, expected 3`)
    if (octets.length < at + RECORD_HEADER_OCTETS) return 'incomplete'
    const length = octets.readUInt16BE(at + 3)
    if (length === 0 || length > MAX_RECORD_OCTETS)
      throw malformed(`a record has ${length} octets, expected 1 to ${MAX_RECORD_OCTETS}`)
    const fragment = octets.subarray(at + RECORD_HEADER_OCTETS, at + RECORD_HEADER_OCTETS + length)
    fragments.push(fragment)
    held += fragment.length
    // The header of the message may itself be cut, so it is looked for until it is whole.
    if (needed === Infinity) needed = messageLength(Buffer.concat(fragments))
    if (held >= needed) return Buffer.concat(fragments).subarray(4, needed)
    at += RECORD_HEADER_OCTETS + length
  }
  return 'incomplete'
}

/** Octets of the handshake message with its header; Infinity while the header is not there. */
function messageLength(message: Buffer): number {
  const type = message[0]
  if (type !== undefined && type !== CLIENT_HELLO)
    throw malformed(`the handshake message has type ${type}, expected ${CLIENT_HELLO}`)
  if (message.length < 4) return Infinity
  const length = message.readUIntBE(1, 3)
  if (length > MAX_HELLO_OCTETS) throw malformed(`it is longer than ${MAX_HELLO_OCTETS} octets`)
  return 4 + length
}

function readBody(body: OctetCursor): ClientHello {
  const highest = body.number(2)
  body.take(32)
  body.vector(1)
  const isGreased = hasGrease(body.vector(2))
  body.vector(1)
  let serverName: string | undefined
  let alpnProtocols: string[] = []
  let versions = [highest]
  const seen = new Set<number>()
  // A hello before TLS 1.3 may end here.
  const extensions = body.isAtEnd ? new OctetCursor(Buffer.alloc(0), malformed) : body.vector(2)
  if (!body.isAtEnd) throw malformed('octets follow its extensions')
  while (!extensions.isAtEnd) {
    const type = extensions.number(2)
    const extension = extensions.vector(2)
    if (seen.has(type)) throw malformed(`extension ${type} comes twice`)
    seen.add(type)
    if (type === SERVER_NAME) serverName = readServerName(extension)
    else if (type === ALPN) alpnProtocols = readAlpn(extension)
    else if (type === SUPPORTED_VERSIONS) versions = readVersions(extension)
  }
  return {
    serverName,
    alpnProtocols,
    versions: versions.map(versionName).filter((name) => name !== undefined),
    isGreased,
  }
}

/** RFC 8701 section 2: 0x0A0A, 0x1A1A, … 0xFAFA. */
function hasGrease(cipherSuites: OctetCursor): boolean {
  let isGreased = false
  while (!cipherSuites.isAtEnd) {
    const suite = cipherSuites.number(2)
    isGreased ||= (suite & 0x0f0f) === 0x0a0a && suite >> 8 === (suite & 0xff)
  }
  return isGreased
}

function readServerName(extension: OctetCursor): string | undefined {
  const names = extension.vector(2)
  while (!names.isAtEnd) {
    const type = names.number(1)
    const name = names.vector(2).rest
    if (name.length === 0) throw malformed('its server name is empty')
    if (type === 0) return name.toString('latin1')
  }
  return undefined
}

function readAlpn(extension: OctetCursor): string[] {
  const names = extension.vector(2)
  const protocols: string[] = []
  while (!names.isAtEnd) {
    const name = names.vector(1).rest
    if (name.length === 0) throw malformed('it offers an empty ALPN protocol')
    protocols.push(name.toString('latin1'))
  }
  return protocols
}

function readVersions(extension: OctetCursor): number[] {
  const list = extension.vector(1)
  const versions: number[] = []
  while (!list.isAtEnd) versions.push(list.number(2))
  return versions
}

function malformed(found: string): MitmError {
  return new MitmError('MITM_MALFORMED_TLS', `Cannot read the TLS hello of the client: ${found}`, { side: 'client' })
}
