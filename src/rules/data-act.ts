/** Acts that change octets, or streams of them. */
import { types } from 'node:util'

import type { Exchange } from '../exchange.ts'
import type { DataTransform, StreamRewrite } from '../middleware.ts'
import { invalidRule } from './act.ts'
import type { Act, Blame } from './act.ts'
import { chain } from './blamed.ts'
import { functionName, show } from './filter-text.ts'

/** Makes what a body is piped through: a new one for each message. */
export type StreamFactory = (exchange: Exchange) => TransformStream<Uint8Array, Uint8Array>

/** Changes octets. @throws {@link MitmError} `MITM_INVALID_RULE` */
export function dataAct(kind: 'clientData' | 'serverData', transform: DataTransform, blame: Blame): Act {
  if (typeof transform !== 'function') throw invalidRule(kind, `it is ${show(transform)}, expected a function`)
  const what = `change the octets of the ${kind === 'clientData' ? 'request' : 'response'}`
  const octets = (result: unknown): Uint8Array => {
    if (types.isUint8Array(result)) return result
    throw blame(what, new TypeError(`the function returned ${show(result)}, expected octets`))
  }
  return {
    kind,
    text: what,
    transform: (data, connection) =>
      chain(
        () => transform(data, connection),
        octets,
        (cause) => blame(what, cause),
      ),
  }
}

/** Changes bodies while they stream. @throws {@link MitmError} `MITM_INVALID_RULE` */
export function streamAct(kind: 'requestStream' | 'responseStream', factory: StreamFactory, blame: Blame): Act {
  const [method, message] =
    kind === 'requestStream' ? ['transformRequest', 'request'] : ['transformResponse', 'response']
  if (typeof factory !== 'function') {
    const isStream = isTransform(factory)
    throw invalidRule(
      method,
      isStream
        ? 'it is a stream, which can be used only once, expected a function that makes one for each message'
        : `it is ${show(factory)}, expected a function that makes a TransformStream`,
    )
  }
  const what = `transform the body of the ${message}`
  const rewrite: StreamRewrite = {
    open(exchange) {
      let stream: unknown
      try {
        stream = factory(exchange)
      } catch (error) {
        throw blame(what, error)
      }
      if (isTransform(stream)) return stream
      throw blame(what, new TypeError(`${functionName(factory)} returned ${show(stream)}, expected a TransformStream`))
    },
    blame: (cause) => blame(what, cause),
  }
  return { kind, text: `${what} by ${functionName(factory)}`, rewrite }
}

/** By its shape: a polyfill's will do, and so does a `CompressionStream`. One that is in use already will not. */
function isTransform(value: unknown): value is TransformStream<Uint8Array, Uint8Array> {
  if (typeof value !== 'object' || value === null || !('readable' in value) || !('writable' in value)) return false
  const { readable, writable } = value
  return isFree(readable, 'getReader') && isFree(writable, 'getWriter')
}

function isFree(value: unknown, method: string): boolean {
  if (typeof value !== 'object' || value === null) return false
  // Boundary: any object may be asked for a property.
  const stream = value as Readonly<Record<string, unknown>>
  return typeof stream[method] === 'function' && stream['locked'] !== true
}
