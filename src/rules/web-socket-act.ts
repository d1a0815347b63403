/** Acts of rules for WebSockets. */
import type { Side } from '../errors.ts'
import type { MaybePromise } from '../internal/maybe-promise.ts'
import type { MessageVerdict, MitmWebSocket, MockedWebSocket } from '../web-socket.ts'
import type { WebSocketMessage } from '../web-socket-message.ts'
import { invalidRule, ruleFailed } from './act.ts'
import type { Act, Blame } from './act.ts'
import { functionName, show } from './filter-text.ts'

/** Says what becomes of a message; see `onMessage` of a `WebSocketRule`. */
export type MessageHandler = (message: WebSocketMessage, socket: MitmWebSocket) => MaybePromise<MessageVerdict | void>

/** Which messages a handler is asked about. */
export interface MessageHandlerOptions {
  /** Whose messages. @defaultValue those of both ends */
  readonly from?: Side | undefined
}

/** How a mock answers the handshake. */
export interface WebSocketMockOptions {
  /**
   * Which subprotocol it chooses: its name, `null` for none, or a function that is given those that the client offers. A
   * browser fails the connection when it offered some and none of them is chosen.
   *
   * @defaultValue the first that the client offers
   */
  readonly protocol?: string | null | ((offered: readonly string[]) => string | null | undefined) | undefined
}

/** Whom an act is of. */
export interface RemovableRule {
  readonly isRemoved: boolean
}

/** Is told of the sockets of its rule. */
export function watchAct(told: { opened(socket: MitmWebSocket): void; closed(socket: MitmWebSocket): void }): Act {
  return {
    kind: 'webSocket',
    text: 'watch',
    handler: {
      opened: (socket) => told.opened(socket),
      closed: (socket) => told.closed(socket),
      blame: (what, cause) => ruleFailed('that watches it', what, cause),
    },
  }
}

/** Decides about messages. @throws {@link MitmError} `MITM_INVALID_RULE` */
export function messageAct(
  rule: RemovableRule,
  handler: MessageHandler,
  options: MessageHandlerOptions | undefined,
  blame: Blame,
): Act {
  demandFunction('onMessage', handler)
  demandOptions('onMessage', options, ['from'])
  const from = options?.from
  if (from !== undefined && from !== 'client' && from !== 'server') {
    throw invalidRule('onMessage', `from is ${show(from)}, expected "client" or "server"`)
  }
  return {
    kind: 'webSocket',
    text: `hand ${from === undefined ? 'messages' : `messages of the ${from}`} to ${functionName(handler)}`,
    handler: {
      from,
      message: (message, socket) => handler(message, socket),
      get isRemoved() {
        return rule.isRemoved
      },
      blame,
    },
  }
}

/** Is told of sockets that are open. @throws {@link MitmError} `MITM_INVALID_RULE` */
export function openAct(rule: RemovableRule, handler: (socket: MitmWebSocket) => unknown, blame: Blame): Act {
  demandFunction('onOpen', handler)
  return {
    kind: 'webSocket',
    text: `call ${functionName(handler)} when one is open`,
    handler: { opened: (socket) => (rule.isRemoved ? undefined : handler(socket)), blame },
  }
}

/** Answers in place of the server. @throws {@link MitmError} `MITM_INVALID_RULE` */
export function mockAct(
  serve: (socket: MockedWebSocket) => unknown,
  options: WebSocketMockOptions | undefined,
  blame: Blame,
): Act {
  demandFunction('mock', serve)
  demandOptions('mock', options, ['protocol'])
  const protocol = options?.protocol
  if (!(protocol === undefined || protocol === null || typeof protocol === 'function' || isToken(protocol))) {
    throw invalidRule('mock', `protocol is ${show(protocol)}, expected the name of a subprotocol, null, or a function`)
  }
  const subprotocol = (offered: readonly string[]): string | undefined => {
    if (protocol === undefined) return offered[0]
    if (typeof protocol !== 'function') return protocol ?? undefined
    let chosen: unknown
    try {
      chosen = protocol(offered)
    } catch (error) {
      throw blame('choose a subprotocol', error)
    }
    if (chosen === undefined || chosen === null) return undefined
    if (isToken(chosen)) return chosen
    throw blame(
      'choose a subprotocol',
      new TypeError(`protocol() returned ${show(chosen)}, expected one that is offered`),
    )
  }
  return { kind: 'answer', text: 'mock', answer: { kind: 'webSocket', mock: { subprotocol, serve, blame } } }
}

function demandFunction(method: string, given: unknown): void {
  if (typeof given !== 'function') throw invalidRule(method, `it was given ${show(given)}, expected a function`)
}

function demandOptions(method: string, options: unknown, known: readonly string[]): void {
  if (options === undefined) return
  const expected = `expected an object of ${known.join(', ')}`
  if (Object.prototype.toString.call(options) !== '[object Object]') {
    throw invalidRule(method, `its options are ${show(options)}, ${expected}`)
  }
  // A boundary: the line before has seen to that.
  const unknown = Object.keys(options as object).find((key) => !known.includes(key))
  if (unknown !== undefined) throw invalidRule(method, `${JSON.stringify(unknown)} is not an option, ${expected}`)
}

/** RFC 6455 section 4.1: the name of a subprotocol is a token. */
function isToken(value: unknown): value is string {
  return typeof value === 'string' && /^[\w!#$%&'*+\-.^`|~]+$/.test(value)
}
