/** SOCKS5 (RFC 1928), SOCKS4 and 4a: takes the SOCKS layer off, and lets what follows be sniffed anew. */
import type { Connection } from '../../connection.ts'
import { InvalidProtocol, isMitmError } from '../../errors.ts'
import type { MitmError } from '../../errors.ts'
import { Protocol } from '../../protocol.ts'
import type { Destination } from '../../protocol.ts'
import { injectTunnelFaults } from '../../tunnel-faults.ts'
import type { TunnelReply } from '../../tunnel-faults.ts'
import {
  AUTH_METHODS,
  parseGreeting,
  parseRequest,
  parseSocks4Request,
  parseUserPassword,
  SocksError,
} from './parse.ts'
import type { ParseResult, SocksRequest } from './parse.ts'
import { greetingReply, reply, replyCodeFor, socks4Reply, userPasswordReply } from './write.ts'

const SUCCEEDED = 0
const GENERAL_FAILURE = 1

/** What the client has said so far. */
interface Conversation {
  /** What is to be answered to it, in order. */
  readonly answers: readonly Buffer[]
  readonly request: ParseResult<SocksRequest>
}

/** Lets clients name their destination by SOCKS. Any user name and password will do. */
export class Socks extends Protocol {
  // How many answers each connection was given: `resolve` is asked again with each message that comes.
  readonly #answered = new WeakMap<Connection, number>()

  override get name(): string {
    return 'socks'
  }

  /** @throws {@link SocksError} `MITM_MALFORMED_SOCKS`, after the client was told so. */
  resolve(connection: Connection, data: Buffer): Destination {
    // Inside a tunnel these octets are for somebody else.
    if (connection.destination || !isSocks(data)) throw new InvalidProtocol('The first octet is not a SOCKS version')
    try {
      const { answers, request } = data[0] === 5 ? converse(data) : { answers: [], request: parseSocks4Request(data) }
      const given = this.#answered.get(connection) ?? 0
      for (const octets of answers.slice(given)) connection.client.writer?.write(octets)
      this.#answered.set(connection, answers.length)
      if (answers[0]?.[1] === AUTH_METHODS.noneAcceptable) {
        throw new SocksError(
          'Cannot agree on a SOCKS method: the client offers neither none nor user name and password',
        )
      }
      if (request === 'incomplete')
        throw new InvalidProtocol('The SOCKS handshake is not finished', { incomplete: true })
      return { host: request.value.host, port: request.value.port, tls: false }
    } catch (error) {
      if (error instanceof SocksError && error.replyCode !== undefined) {
        connection.client.writer?.write(data[0] === 5 ? reply(error.replyCode) : socks4Reply(false))
      }
      throw error
    }
  }

  override layerLength(octets: Buffer): number | undefined {
    if (!isSocks(octets)) return undefined
    try {
      const request = octets[0] === 5 ? converse(octets).request : parseSocks4Request(octets)
      return request === 'incomplete' ? undefined : request.length
    } catch {
      return undefined // `resolve` will say what is wrong with it
    }
  }

  override refuse(connection: Connection, octets: Buffer, error: MitmError): void {
    connection.client.writer?.write(octets[0] === 5 ? reply(replyCodeFor(error)) : socks4Reply(false))
  }

  override async connect(connection: Connection, destination: Destination, data: Buffer): Promise<void> {
    const isVersion5 = data[0] === 5
    try {
      const answer = await injectTunnelFaults(connection, destination)
      if (answer) {
        if (answer !== 'over') connection.client.writer?.write(replyOctets(answer, isVersion5))
        return
      }
      if (!connection.mayAnswer(destination)) await connection.dial(destination)
    } catch (error) {
      if (isMitmError(error)) this.refuse(connection, data, error)
      throw error
    }
    connection.client.writer?.write(isVersion5 ? reply(SUCCEEDED) : socks4Reply(true))
    connection.layers.push(isVersion5 ? 'socks5' : 'socks4')
  }

  override handle(connection: Connection): Promise<void> {
    // Over by a fault, before there was a tunnel.
    if (connection.endReason) return Promise.resolve()
    return connection.unwrap()
  }
}

/** What a client that asked for a tunnel is answered on purpose. */
function replyOctets(answer: TunnelReply, isVersion5: boolean): Buffer {
  if (answer.kind === 'octets') return answer.octets
  if (!isVersion5) return socks4Reply(false)
  return reply(answer.kind === 'socks' ? answer.code : GENERAL_FAILURE)
}

function isSocks(octets: Buffer): boolean {
  return octets[0] === 5 || octets[0] === 4
}

/** Reads greeting, credentials if chosen, and request, as far as they have come. */
function converse(octets: Buffer): Conversation {
  const greeting = parseGreeting(octets)
  if (greeting === 'incomplete') return { answers: [], request: 'incomplete' }
  const { method } = greeting.value
  let { length } = greeting
  const answers = [greetingReply(method)]
  if (method === AUTH_METHODS.userPassword) {
    const credentials = parseUserPassword(octets.subarray(length))
    if (credentials === 'incomplete') return { answers, request: 'incomplete' }
    length += credentials.length
    answers.push(userPasswordReply(true))
  }
  if (method === AUTH_METHODS.noneAcceptable) return { answers, request: 'incomplete' }
  const request = parseRequest(octets.subarray(length))
  return { answers, request: request === 'incomplete' ? request : { ...request, length: length + request.length } }
}
