/** One condition of a filter, and what conditions of all kinds are made of. */
import { types } from 'node:util'

import type { Connection } from '../connection.ts'
import { errorText } from '../errors.ts'
import type { Exchange } from '../exchange.ts'
import type { Destination } from '../protocol.ts'
import { functionName, invalidFilter, show } from './filter-text.ts'
import type { NamedValues, NamedValuesTest } from './named-values.ts'
import { isAsymmetricMatcher, testRegExp, verdict } from './predicate.ts'
import type { Forecast } from './url-glob.ts'

/** One condition of a filter. */
export interface FilterPart {
  readonly key: string
  /** In words. */
  readonly text: string
  /** When it can be asked. */
  readonly stage: 'head' | 'body' | 'response'
  /** @throws What the user's predicate throws. */
  matches(exchange: Exchange): boolean
  /** Why it does not match, or nothing. @throws What the user's predicate throws. */
  misses(exchange: Exchange): readonly string[]
  /** Whether it can be asked for good: what it looks at has come, or will not. @defaultValue by its stage */
  isKnown?(exchange: Exchange): boolean
  /** For what looks at the body: whether the head says already that it cannot match. */
  headRefuses?(exchange: Exchange): boolean
  /** For what looks at the body: whether that of this exchange must have come. @defaultValue yes */
  needsBody?(exchange: Exchange): boolean
  /**
   * What it says of the requests to a destination. With a connection, which is to be decided on now, `some` counts as a
   * match; without, it means that nothing is certain. When left out: `some`.
   *
   * @throws What the user's predicate throws, with a connection only.
   */
  forecast?(destination: Destination, connection?: Connection): Forecast
  /** Whether its forecast decides, so that it can be used before there is a request. @defaultValue false */
  readonly isForConnections?: boolean
  /** Whether its forecast decides for a destination alone, without a connection. @defaultValue false */
  readonly isForDestinations?: boolean
  /** Whether method and URL are all that it looks at, and it always says the same of them. @defaultValue false */
  readonly isPure?: boolean
  /** Whether it may say something else of the handshake of a WebSocket than of any other request. @defaultValue false */
  readonly isForWebSockets?: boolean
  /** A header field, in lower case, without which it cannot match. */
  readonly demandsField?: string
  /** Whether it matches every request there is. @defaultValue false */
  readonly isForAll?: boolean
}

/** A question about one value. */
export interface ValueTest {
  readonly text: string
  /** @throws What the user's predicate throws. */
  readonly test: (actual: unknown) => boolean
}

/** What a part looks at cannot be read: it does not match, and says why. */
export class Unreadable extends Error {}

/** The question that `value` asks. `literal` makes it of what is neither RegExp nor matcher nor function. */
export function compileTest(
  key: string,
  value: unknown,
  expected: string,
  literal: (value: unknown) => ValueTest | undefined,
): ValueTest {
  if (types.isRegExp(value)) {
    const pattern = value
    return { text: String(pattern), test: (actual) => testRegExp(pattern, String(actual)) }
  }
  if (typeof value === 'function') {
    const predicate = value as (actual: unknown) => unknown // what it takes, its author knows
    return { text: `what ${functionName(value)} accepts`, test: (actual) => verdict(predicate(actual)) }
  }
  if (isAsymmetricMatcher(value)) {
    return { text: show(value), test: (actual) => verdict(value.asymmetricMatch(actual)) }
  }
  const test = literal(value)
  if (!test) throw invalidFilter(key, value, expected)
  return test
}

/** A part about one value of the request's head. */
export function valuePart(
  key: string,
  { test, text: expected }: ValueTest,
  text: string,
  read: (exchange: Exchange) => string,
): FilterPart {
  return {
    key,
    text,
    stage: 'head',
    matches: (exchange) => test(read(exchange)),
    misses: (exchange) => (test(read(exchange)) ? [] : [`${key} is ${read(exchange)}, expected ${expected}`]),
  }
}

/** A part about values by name. */
export function namedPart(
  key: string,
  stage: 'head' | 'body',
  { text, misses, matches }: NamedValuesTest,
  read: (exchange: Exchange) => NamedValues,
): FilterPart {
  const part = { ...readingPart(key, `with ${key} ${text}`, (exchange) => misses(read(exchange))), stage }
  // What is in the head can always be read, and need not be put into words.
  return stage === 'head' ? { ...part, matches: (exchange) => matches(read(exchange)) } : part
}

/** A part about the body, or about anything else that may turn out to be {@link Unreadable}. */
export function readingPart(key: string, text: string, explain: (exchange: Exchange) => readonly string[]): FilterPart {
  const misses = (exchange: Exchange): readonly string[] => {
    try {
      return explain(exchange)
    } catch (error) {
      if (error instanceof Unreadable) return [`${key} cannot be read: ${error.message}`]
      throw error
    }
  }
  return { key, text, stage: 'body', matches: (exchange) => misses(exchange).length === 0, misses }
}

/** What `read` makes of a body that has come whole. @throws {@link Unreadable} */
export function readBody<T>({ request }: Exchange, read: () => T): T {
  if (!request.isComplete) {
    throw new Unreadable(
      request.isReleased
        ? `the body is too large to be held, ${request.bodySize} octets have come; raise maxBodyBytes`
        : 'the body has not come whole',
    )
  }
  try {
    return read()
  } catch (error) {
    throw error instanceof Unreadable ? error : new Unreadable(errorText(error), { cause: error })
  }
}

/** The type of the request's body, in lower case and without parameters; empty where it names none. */
export function mediaTypeOf({ request }: Exchange): string {
  return (request.header('content-type') ?? '').replace(/;.*/s, '').trim().toLowerCase()
}

/** Whether a part can be asked for good. */
export function isKnown(part: FilterPart, exchange: Exchange): boolean {
  if (part.isKnown) return part.isKnown(exchange)
  if (part.stage === 'head' || exchange.endReason !== undefined) return true
  if (part.stage === 'response') return exchange.response !== undefined
  return !needsBody(part, exchange) || exchange.request.isComplete || exchange.request.isReleased
}

/** Whether a part of this exchange must wait for the body. */
export function needsBody(part: FilterPart, exchange: Exchange): boolean {
  return part.needsBody?.(exchange) ?? part.stage === 'body'
}
