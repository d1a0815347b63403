/**
 * HTTP/1: as a proxy (CONNECT, absolute-form), as the server that a tunnel leads to, or by the Host field. Decides where
 * it goes; `session.ts` relays it.
 */
import { METHODS } from 'node:http'

import type { Connection } from '../../connection.ts'
import { errorText, InvalidProtocol, isMitmError, MitmError } from '../../errors.ts'
import type { Field } from '../../exchange.ts'
import { Protocol } from '../../protocol.ts'
import type { Destination } from '../../protocol.ts'
import { BY_HANDLER, TEST_FIELD } from '../../source.ts'
import { injectTunnelFaults } from '../../tunnel-faults.ts'
import type { TunnelReply } from '../../tunnel-faults.ts'
import { findHeadEnd, looksLikeRequest, parseAuthority, parseRequestHead } from './head.ts'
import { statusFor } from '../http/error-response.ts'
import { destinationOf, errorOctets } from './messages.ts'
import { Session } from './session.ts'
import { writeResponseHead } from './write.ts'

const ESTABLISHED = Buffer.from('HTTP/1.1 200 Connection Established\r\n\r\n')

/** Relays HTTP/1.0 and HTTP/1.1. */
export class Http1 extends Protocol {
  /** The first octets of each connection whose session is about to begin. */
  readonly #first = new WeakMap<Connection, Buffer>()

  override get name(): string {
    return 'http/1.1'
  }

  /** @throws {@link MitmError} `MITM_MALFORMED_HTTP`, `MITM_HEAD_TOO_LARGE`, after the client was told so. */
  resolve(connection: Connection, data: Buffer): Destination {
    const looks = data.length === 0 ? 'no' : looksLikeRequest(data)
    if (looks === 'no') throw new InvalidProtocol('The first line is not a request line')
    if (looks === 'incomplete') {
      // In a tunnel a word without a line end may as well be all that some other protocol has to say for now.
      const waitMs =
        connection.isTunnelled && !startsLikeMethod(data) ? connection.flow.settings.firstBytesWaitMs : undefined
      throw new InvalidProtocol('The request line is not complete', { incomplete: true, waitMs })
    }
    if (connection.destination) return connection.destination
    try {
      return this.#destination(connection, data)
    } catch (error) {
      if (error instanceof InvalidProtocol || !isMitmError(error)) throw error
      this.refuse(connection, data, error)
      throw error
    }
  }

  #destination(connection: Connection, data: Buffer): Destination {
    const { maxHeadBytes } = connection.flow.settings
    const end = findHeadEnd(data)
    if (end < 0 && data.length <= maxHeadBytes) {
      throw new InvalidProtocol('The request head is not complete', { incomplete: true })
    }
    if (end < 0 || end > maxHeadBytes) {
      const text = `Cannot read the request head of ${connection.client}: it is longer than maxHeadBytes (${maxHeadBytes})`
      throw new MitmError('MITM_HEAD_TOO_LARGE', text, { side: 'client' })
    }
    const { method, target, fields } = parseRequestHead(data.subarray(0, end))
    if (method === 'CONNECT') {
      const maker = fields.find(([name]) => name.toLowerCase() === TEST_FIELD)?.[1]
      connection.isFromHandler = maker === BY_HANDLER
      connection.isFromTest = maker !== undefined && maker !== BY_HANDLER
      const authority = parseAuthority(target, 443)
      if (authority) return { ...authority, tls: false }
      const text = `Cannot connect to ${JSON.stringify(target)}: expected host:port as the target of CONNECT`
      throw new MitmError('MITM_MALFORMED_HTTP', text, { side: 'client' })
    }
    const host = fields.find(([name]) => name.toLowerCase() === 'host')?.[1]
    return destinationOf({ method, target, host }, connection.clientTls !== undefined)
  }

  override layerLength(octets: Buffer): number | undefined {
    if (!isConnect(octets)) return undefined
    const end = findHeadEnd(octets)
    return end < 0 ? undefined : end
  }

  override refuse(connection: Connection, _octets: Buffer, error: MitmError): void {
    connection.client.writer?.write(errorOctets(statusFor(error), error))
  }

  override async connect(connection: Connection, destination: Destination, data: Buffer): Promise<void> {
    // Inside a tunnel a CONNECT is for the server, another proxy.
    if (
      connection.layers.includes('connect') ||
      connection.layers.some((layer) => layer.startsWith('socks')) ||
      !isConnect(data)
    ) {
      this.#first.set(connection, data)
      return
    }
    try {
      const reply = await injectTunnelFaults(connection, destination)
      if (reply) {
        if (reply !== 'over') connection.client.writer?.write(replyOctets(reply))
        return
      }
      if (!connection.mayAnswer(destination)) await connection.dial(destination)
    } catch (error) {
      // Never a bare close: some clients would try again at once, thousands of times.
      const coded = isMitmError(error) ? error : new MitmError('MITM_DIAL_FAILED', errorText(error), { cause: error })
      this.refuse(connection, data, coded)
      throw coded
    }
    connection.client.writer?.write(ESTABLISHED)
    connection.layers.push('connect')
  }

  override handle(connection: Connection): Promise<void> {
    // Over by a fault, before there was a tunnel.
    if (connection.endReason) return Promise.resolve()
    const first = this.#first.get(connection)
    this.#first.delete(connection)
    // Without octets of its own there was a CONNECT: what follows is another layer.
    if (!first) return connection.unwrap()
    connection.layers.push('http/1.1')
    return new Session(connection, this.bufferSize).run(first)
  }
}

/** What a client that asked for a tunnel is answered on purpose. */
function replyOctets(reply: TunnelReply): Buffer {
  if (reply.kind === 'octets') return reply.octets
  const [status, statusText] = reply.kind === 'status' ? [reply.status, reply.statusText] : [502, 'Bad Gateway']
  const fields: Field[] = [
    ['content-length', '0'],
    ['connection', 'close'],
  ]
  // Without a challenge it would not be a 407 (RFC 9110 section 15.5.8).
  if (status === 407) fields.push(['proxy-authenticate', 'Basic realm="playwright-mitm"'])
  return writeResponseHead({ status, statusText, fields })
}

/** Whether octets are, or begin, a method that clients are known to send. */
function startsLikeMethod(octets: Buffer): boolean {
  const word = /^\s*(\S*)/.exec(octets.toString('latin1', 0, 32))?.[1] ?? ''
  return METHODS.some((method) => method.startsWith(word))
}

function isConnect(octets: Buffer): boolean {
  return octets.toString('latin1', 0, 8) === 'CONNECT '
}
