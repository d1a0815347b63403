/** Asks handlers what becomes of a message, and reads what they say. */
import { types } from 'node:util'

import { isMitmError, MitmError } from '../../errors.ts'
import type { Side } from '../../errors.ts'
import { isPromise } from '../../internal/maybe-promise.ts'
import { STOPPED } from '../../internal/unless.ts'
import type { Unless } from '../../internal/unless.ts'
import type { MessageVerdict, WebSocketData, WebSocketHandler } from '../../web-socket.ts'
import { WebSocketMessage } from '../../web-socket-message.ts'
import type { LaneHost } from './lane-host.ts'

/** What a message consists of. */
export interface Content {
  readonly kind: 'text' | 'binary'
  readonly octets: Buffer
}

/**
 * What all handlers together make of a message: the messages that go on, in order. Those that are made anew are recorded by
 * that. Undefined when a handler failed, or the connection is over: then nothing goes on.
 *
 * @param waiting - Waits for handlers. One that is given up drops the message by that.
 */
export async function verdictOf(
  message: WebSocketMessage,
  host: LaneHost,
  waiting: Unless,
): Promise<readonly WebSocketMessage[] | undefined> {
  const { from } = message
  let messages: readonly WebSocketMessage[] = [message]
  for (const handler of host.handlersOf(from)) {
    const next: WebSocketMessage[] = []
    for (const each of messages) {
      const made = await ask(handler, each, host, waiting)
      if (!made || host.isOver) return undefined
      next.push(...made)
    }
    messages = next
  }
  return messages
}

async function ask(
  handler: WebSocketHandler,
  message: WebSocketMessage,
  host: LaneHost,
  waiting: Unless,
): Promise<readonly WebSocketMessage[] | undefined> {
  if (handler.isRemoved || !handler.message) return [message]
  try {
    const made = handler.message(message, host.socket)
    const verdict = isPromise(made) ? await waiting.settled(made) : made
    if (host.isOver) return undefined
    return apply(verdict === STOPPED ? null : verdict, message, host)
  } catch (error) {
    if (!host.isOver) host.failed(isMitmError(error) ? error : handler.blame('handle a message', error))
    return undefined
  }
}

function apply(verdict: MessageVerdict | void, message: WebSocketMessage, host: LaneHost): readonly WebSocketMessage[] {
  if (verdict === undefined) return [message]
  if (verdict === null) return []
  const given: readonly unknown[] = Array.isArray(verdict) ? verdict : [verdict]
  const contents = given.map((each) => (each instanceof WebSocketMessage ? each : contentOf(each)))
  if (contents.some((each) => each === undefined))
    throw new TypeError(`it returned ${show(verdict)}, expected ${EXPECTED}`)
  const made: WebSocketMessage[] = []
  // The first of what is new stands for the message itself, if that is not among them.
  let isTaken = contents.includes(message)
  for (const each of contents) {
    if (!each) continue
    if (each instanceof WebSocketMessage && !made.includes(each) && (each === message || each.outcome === 'dropped')) {
      made.push(each)
    } else if (!isTaken) {
      isTaken = true
      message.changeTo(each.kind, each.octets)
      made.push(message)
    } else made.push(anew(message.from, each, host))
  }
  return made
}

function anew(from: Side, { kind, octets }: Content, host: LaneHost): WebSocketMessage {
  const message = WebSocketMessage.of(from, kind, octets)
  message.outcome = 'sent'
  host.received(message)
  return message
}

const EXPECTED = 'nothing, null, a text, octets (a Buffer, Uint8Array or ArrayBuffer), the message, or an array of such'

/** What data consist of; undefined when they are none. */
export function contentOf(data: unknown): Content | undefined {
  if (typeof data === 'string') return { kind: 'text', octets: Buffer.from(data) }
  // Not by `instanceof`: they may be of another realm.
  if (types.isUint8Array(data)) {
    return { kind: 'binary', octets: Buffer.from(data.buffer, data.byteOffset, data.byteLength) }
  }
  if (types.isAnyArrayBuffer(data)) return { kind: 'binary', octets: Buffer.from(data) }
  return undefined
}

/** What data consist of. @throws {@link MitmError} `MITM_INVALID_RULE` when they are none */
export function demandContent(what: string, data: WebSocketData): Content {
  const content = contentOf(data)
  if (content) return content
  const text = `Cannot ${what} ${show(data)}: expected a text, or octets (a Buffer, Uint8Array or ArrayBuffer)`
  throw new MitmError('MITM_INVALID_RULE', text)
}

function show(value: unknown): string {
  if (typeof value === 'function') return 'a function'
  try {
    return JSON.stringify(value) ?? String(value)
  } catch {
    return String(value)
  }
}
