/**
 * Reads what a TLS server says in the clear: its hello, and before TLS 1.3 its certificates. Pure: octets in, values out.
 *
 * ```
 * record       type (1) | version (2) | length (2) | part of a handshake message             RFC 8446 section 5.1
 * handshake    type (1) | length (3)  | body                                                section 4
 * ServerHello  version (2) | random (32) | session id <1> | cipher suite (2) | compression (1) | extensions <2>
 * Certificate  certificates <3>, each <3>                                                   RFC 5246 section 7.4.2
 * ```
 * `<n>` is a vector that begins with its own length in n octets.
 */
import { OctetCursor } from './octet-cursor.ts'
import { cipherSuiteName, versionName } from './suites.ts'

/** What a server chose. */
export interface ServerChoice {
  /** As Node has it: `TLSv1.3`. */
  readonly version: string
  /** The name of the cipher suite, as in IANA's registry. */
  readonly cipher: string
  /** The protocol chosen by ALPN; in TLS 1.3 it is encrypted, and always undefined here. */
  readonly alpn: string | undefined
  /** In DER, the server's own first. None in TLS 1.3, where they are encrypted, nor in a session that is resumed. */
  readonly certificates: readonly Buffer[]
}

/** Most octets in which the choice must be found: certificates may be many. */
const MAX_OCTETS = 256 * 1024
const RECORD_HEADER_OCTETS = 5
const HANDSHAKE_RECORD = 22
const SERVER_HELLO = 2
const CERTIFICATE = 11
const ALPN = 16
const SUPPORTED_VERSIONS = 43

/** Finds the choice in what a server sends, which may be cut anywhere. */
export class ServerHelloReader {
  #octets: Buffer = Buffer.alloc(0)
  #isOver = false

  /** Whether there is nothing more to find: the choice was found, or what came is no hello. */
  get isOver(): boolean {
    return this.#isOver
  }

  /** Takes what came next. @returns The choice, once it is there. */
  add(octets: Buffer): ServerChoice | undefined {
    if (this.#isOver) return undefined
    this.#octets = this.#octets.length > 0 ? Buffer.concat([this.#octets, octets]) : octets
    const choice = read(this.#octets)
    this.#isOver = choice !== 'incomplete' || this.#octets.length > MAX_OCTETS
    if (this.#isOver) this.#octets = Buffer.alloc(0)
    return typeof choice === 'object' ? choice : undefined
  }
}

function read(octets: Buffer): ServerChoice | 'incomplete' | 'none' {
  try {
    const { messages, hasMore } = clearMessages(octets)
    const choice = choiceIn(messages, hasMore)
    return choice === 'incomplete' && !hasMore ? 'none' : choice
  } catch {
    // Whatever it is, it is between the two ends, and they will say so.
    return 'none'
  }
}

/** @returns The handshake messages that begin the octets, as far as they have come, and whether there may be more. */
function clearMessages(octets: Buffer): { messages: Buffer; hasMore: boolean } {
  const fragments: Buffer[] = []
  for (let at = 0; at < octets.length;) {
    // Anything else (an alert, ChangeCipherSpec) ends what is said in the clear.
    if (octets[at] !== HANDSHAKE_RECORD) return { messages: Buffer.concat(fragments), hasMore: false }
    if (octets.length < at + RECORD_HEADER_OCTETS) break
    const begin = at + RECORD_HEADER_OCTETS
    const end = begin + octets.readUInt16BE(at + 3)
    fragments.push(octets.subarray(begin, end))
    at = end
  }
  return { messages: Buffer.concat(fragments), hasMore: true }
}

/**
 * @param messages - The last one may be cut.
 * @param hasMore - Whether more of them may come.
 */
function choiceIn(messages: Buffer, hasMore: boolean): ServerChoice | 'incomplete' | 'none' {
  const hello = messageAt(messages, 0)
  if (hello === 'incomplete') return hello
  if (hello.type !== SERVER_HELLO) return 'none'
  const choice = readHello(new OctetCursor(hello.body, malformed))
  if (choice.version === 'TLSv1.3') return choice
  const next = messageAt(messages, hello.end)
  // A server that resumes a session goes on in cipher, without a certificate.
  if (next === 'incomplete') return hasMore ? next : choice
  return next.type === CERTIFICATE ? { ...choice, certificates: readCertificates(next.body) } : choice
}

function messageAt(
  messages: Buffer,
  at: number,
): { readonly type: number; readonly body: Buffer; readonly end: number } | 'incomplete' {
  if (messages.length < at + 4) return 'incomplete'
  const end = at + 4 + messages.readUIntBE(at + 1, 3)
  if (messages.length < end) return 'incomplete'
  return { type: messages.readUInt8(at), body: messages.subarray(at + 4, end), end }
}

function readHello(body: OctetCursor): ServerChoice {
  let version = body.number(2)
  // A request to try again (RFC 8446 section 4.1.4) is a hello too, and names the same version and suite.
  body.take(32)
  body.vector(1)
  const suite = body.number(2)
  body.take(1)
  let alpn: string | undefined
  // A hello before TLS 1.3 may end here.
  const extensions = body.isAtEnd ? new OctetCursor(Buffer.alloc(0), malformed) : body.vector(2)
  while (!extensions.isAtEnd) {
    const type = extensions.number(2)
    const extension = extensions.vector(2)
    if (type === SUPPORTED_VERSIONS) version = extension.number(2)
    else if (type === ALPN) alpn = extension.vector(2).vector(1).rest.toString('latin1')
  }
  const name = versionName(version)
  if (name === undefined) throw malformed(`its version is ${version}`)
  return { version: name, cipher: cipherSuiteName(suite), alpn, certificates: [] }
}

function readCertificates(body: Buffer): Buffer[] {
  const list = new OctetCursor(body, malformed).vector(3)
  const certificates: Buffer[] = []
  while (!list.isAtEnd) certificates.push(list.vector(3).rest)
  return certificates
}

function malformed(found: string): Error {
  return new Error(`The server's hello cannot be read: ${found}`)
}
