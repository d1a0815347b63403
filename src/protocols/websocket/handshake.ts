/** The opening handshake (RFC 6455 section 4): what was agreed in it, and how it is answered here. */
import type { ExchangeEndReason } from '../../exchange.ts'
import type { SocketEnder } from '../../web-socket-record.ts'
import { createHash } from 'node:crypto'

import type { FrameRules } from './parse.ts'
import type { Side } from '../../errors.ts'

const ACCEPT_SUFFIX = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'

/** The value of `Sec-WebSocket-Accept` for that of `Sec-WebSocket-Key` (RFC 6455 section 4.2.2). */
export function acceptKey(key: string): string {
  return createHash('sha1')
    .update(key + ACCEPT_SUFFIX)
    .digest('base64')
}

/** One extension, with its parameters; `true` for those without a value. */
export interface Extension {
  readonly name: string
  readonly parameters: Readonly<Record<string, string | true>>
}

/** Reads `Sec-WebSocket-Extensions` (RFC 6455 section 9.1). What cannot be read is passed over. */
export function parseExtensions(value: string): Extension[] {
  // A comma within quotes separates nothing.
  const items = value.match(/(?:[^,"]|"(?:[^"\\]|\\.)*")+/g) ?? []
  return items.flatMap((item): Extension[] => {
    const [name = '', ...parameters] = (item.match(/(?:[^;"]|"(?:[^"\\]|\\.)*")+/g) ?? []).map((part) => part.trim())
    if (!/^[\w!#$%&'*+\-.^`|~]+$/.test(name)) return []
    const entries = parameters.map((parameter): [string, string | true] => {
      const [, key = '', , text] = /^([^\s=]+)\s*(=\s*(.*))?$/.exec(parameter) ?? []
      return [key, text === undefined ? true : text.replace(/^"(.*)"$/, '$1').replaceAll(/\\(.)/g, '$1')]
    })
    return [{ name, parameters: Object.fromEntries(entries) }]
  })
}

/** What of permessage-deflate (RFC 7692 section 7.1) holds for what one side sends. */
export interface DeflateSide {
  /** Whether a message may refer to those before it. */
  readonly takesOver: boolean
  /** How far it may refer back, as a power of two: from 8 to 15. */
  readonly windowBits: number
}

/** The extensions of a WebSocket, as they were agreed. */
export interface AgreedExtensions {
  /** permessage-deflate, where it is used. */
  readonly deflate: { readonly [From in Side]: DeflateSide } | undefined
  /** Whether there is one that is not known here: then nobody can tell what messages mean. */
  readonly hasUnknown: boolean
}

/** Reads what the response says. @param value - Of its `Sec-WebSocket-Extensions`. */
export function agreedExtensions(value: string): AgreedExtensions {
  if (value === '') return { deflate: undefined, hasUnknown: false }
  const extensions = parseExtensions(value)
  const found = extensions.find(({ name }) => name.toLowerCase() === 'permessage-deflate')
  const side = (from: Side): DeflateSide => ({
    takesOver: found?.parameters[`${from}_no_context_takeover`] === undefined,
    windowBits: windowBitsOf(found?.parameters[`${from}_max_window_bits`]),
  })
  return {
    deflate: found && { client: side('client'), server: side('server') },
    hasUnknown: extensions.some((extension) => extension !== found),
  }
}

/** What is to be expected of the frames of one side. */
export function frameRulesOf(from: Side, { deflate, hasUnknown }: AgreedExtensions): FrameRules {
  return { from, reservedOnFirst: deflate ? 4 : 0, reservedOnAny: hasUnknown ? 7 : 0 }
}

function windowBitsOf(value: string | true | undefined): number {
  const bits = Number(value)
  return Number.isInteger(bits) && bits >= 8 && bits <= 15 ? bits : 15
}

/** The subprotocols that a client offers, most wanted first. */
export function offeredSubprotocols(request: { header(name: string): string | undefined }): readonly string[] {
  return (request.header('sec-websocket-protocol') ?? '')
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '')
}

/** Who ended a WebSocket, by what its exchange ended with. */
export function endedBy(reason: ExchangeEndReason): SocketEnder {
  if (reason.startsWith('client')) return 'client'
  if (reason.startsWith('server')) return 'server'
  return reason === 'fault' ? 'rule' : 'mitm'
}
