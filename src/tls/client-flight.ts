/**
 * What can be told of a handshake in which this side is the client, from the number of octets that it has sent: Node says
 * neither whether the server asked for a certificate nor whether it was shown the one that there is.
 *
 * | after the hello, in TLS 1.3 | octets |
 * |---|---|
 * | ChangeCipherSpec (RFC 8446 appendix D.4), unless it went with a second hello | 6 |
 * | Certificate, if the server asks for one; without any it is empty | at least 30 |
 * | CertificateVerify, if there was a certificate | the size of a signature |
 * | Finished | 26 and the size of the hash |
 *
 * In TLS 1.2 there is a key of up to a few hundred octets among them.
 */
import type { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'

const CHANGE_CIPHER_SPEC = 6
/** The header of the record, of the message in it, the type of its content, and its tag (RFC 8446 section 5.2). */
const FINISHED_OVERHEAD = 5 + 4 + 1 + 16
/** What TLS 1.2 sends beside certificates: a key, ChangeCipherSpec, Finished; a signature goes with a certificate alone. */
const TLS12_OVERHEAD = 100

/** Counts the octets of one handshake. */
export class ClientFlight {
  readonly #socket: TLSSocket
  readonly #raw: Socket
  #helloOctets: number | undefined

  /**
   * @param socket - The client, before its handshake.
   * @param raw - What lies below it.
   */
  constructor(socket: TLSSocket, raw: Socket) {
    this.#socket = socket
    this.#raw = raw
    // The first secret is there as soon as the server has answered, and before anything is answered to that.
    socket.once('keylog', () => (this.#helloOctets = raw.bytesWritten))
  }

  /**
   * Whether the server asked for a certificate. Known of TLS 1.3 alone, in which it looks at it when the handshake is over
   * for the client already.
   */
  get isAsked(): boolean {
    if (this.#socket.getProtocol() !== 'TLSv1.3') return false
    const hashOctets = this.#socket.getCipher().standardName.endsWith('SHA384') ? 48 : 32
    return this.#octets > CHANGE_CIPHER_SPEC + FINISHED_OVERHEAD + hashOctets
  }

  /** Whether the server was shown a certificate. */
  get hasPresented(): boolean {
    const certificate = this.#socket.getCertificate()
    if (!certificate || !('raw' in certificate) || !Buffer.isBuffer(certificate.raw)) return false
    const least = certificate.raw.length + (this.#socket.getProtocol() === 'TLSv1.3' ? 0 : TLS12_OVERHEAD)
    return this.#octets > least
  }

  get #octets(): number {
    return this.#helloOctets === undefined ? 0 : this.#raw.bytesWritten - this.#helloOctets
  }
}
