/** Answers as users give them, and the responses that they make. */
import { STATUS_CODES } from 'node:http'
import { types } from 'node:util'

import type { MitmError } from '../errors.ts'
import type { Field } from '../exchange.ts'
import { encodeContent } from '../internal/content.ts'
import { encodeStream } from '../internal/encode-stream.ts'
import type { MaybePromise } from '../internal/maybe-promise.ts'
import type { RewrittenResponse } from '../middleware.ts'
import { openFile, problemWithPath, typeOfFile } from './answer-file.ts'
import { isStream, octetsOf } from './answer-stream.ts'
import type { StreamBody } from './answer-stream.ts'
import { problemWithJson } from './content-change.ts'
import { show } from './filter-text.ts'
import { applyHeaders, fieldValue, problemWithHeaders, setField } from './headers-input.ts'
import type { HeadersInput } from './headers-input.ts'
import { hasNoBody, problemWithStatus, problemWithStatusText, problemWithTrailers } from './message-change.ts'

/** What may be a body: a text, octets, a stream of either, or a file, which is read anew for each answer. */
export type AnswerBody = string | Uint8Array | StreamBody | { readonly path: string | URL }

/** An answer. At most one of `body`, `json` and `path`. */
export interface RespondInit {
  /** From 200 to 599. @defaultValue 200 */
  readonly status?: number | undefined
  /** The reason phrase. @defaultValue the one that belongs to the status */
  readonly statusText?: string | undefined
  /** The fields about length follow the body. A stream is chunked, unless they have its `content-length`. */
  readonly headers?: HeadersInput | undefined
  /**
   * Decoded: it is sent in the coding that a `content-encoding` in `headers` names. Not with 204 and 304. A stream can be
   * read only once: where a rule is used more often, give a function that makes the answer.
   */
  readonly body?: AnswerBody | undefined
  /** Sent as JSON. */
  readonly json?: unknown
  /** A file to send; relative to the working directory. Its extension says its `content-type`. */
  readonly path?: string | URL | undefined
  /** Fields behind the body, which is chunked for them; not to a client of HTTP/1.0. */
  readonly trailers?: HeadersInput | undefined
}

const KEYS = ['status', 'statusText', 'headers', 'body', 'json', 'path', 'trailers']

/** What is wrong with an answer, in words; undefined when nothing is. */
export function problemWithInit(init: unknown): string | undefined {
  if (Object.prototype.toString.call(init) !== '[object Object]') {
    return `it is ${show(init)}, expected an object of ${KEYS.join(', ')}`
  }
  const given = new Map<string, unknown>(Object.entries(init as object)) // just found to be one
  const unknown = [...given.keys()].find((key) => !KEYS.includes(key))
  if (unknown !== undefined) return `${JSON.stringify(unknown)} is not known, expected ${KEYS.join(', ')}`
  const status = given.get('status') ?? 200
  return (
    problemWithStatus(status) ??
    problemWithStatusText(given.get('statusText')) ??
    problemWithHeaders(given.get('headers')) ??
    problemWithTrailers(given.get('trailers')) ??
    problemWithContent(status, given.get('body'), given.get('json'), given.get('path'))
  )
}

function problemWithContent(status: unknown, body: unknown, json: unknown, path: unknown): string | undefined {
  const names = Object.entries({ body, json, path }).flatMap(([name, value]) => (value === undefined ? [] : [name]))
  if (names.length > 1) return `both ${names[0]} and ${names[1]} are given, expected one of them`
  if (names.length === 0) return undefined
  if (hasNoBody(status) && !isEmpty(body)) return `status ${show(status)} has no body, but one is given`
  if (json !== undefined) return problemWithJson(json)
  if (path !== undefined) return problemWithPath(path)
  if (isFile(body)) return problemWithPath(body.path)
  if (typeof body === 'string' || types.isUint8Array(body) || isStream(body)) return undefined
  return `body is ${show(body)}, expected a text, octets, a stream or { path }; for other values there is json()`
}

function isEmpty(body: unknown): boolean {
  return body === '' || (types.isUint8Array(body) && body.length === 0)
}

function isFile(body: unknown): body is { readonly path: string | URL } {
  // A stream of a file has a path too.
  return typeof body === 'object' && body !== null && 'path' in body && !isStream(body)
}

/** What of an answer is known before it is asked for. */
export function initText({ status = 200, headers, body, json, path, ...rest }: RespondInit): string {
  const file = path ?? (isFile(body) ? body.path : undefined)
  if (file !== undefined) return `answer ${status} with the file ${String(file)}`
  if (isStream(body)) return `answer ${status} with a stream`
  const { fields, body: octets } = fixedResponse({ status, headers, body, json, ...rest })
  return `answer ${status}${octets?.length ? ` with ${fieldValue(fields, 'content-type')}` : ''}`
}

/** Whether an answer is the same each time. */
export function isFixed({ body, path }: RespondInit): boolean {
  return path === undefined && !isFile(body) && !isStream(body)
}

/**
 * The response that an answer, which has been checked, makes.
 *
 * @param blame - Makes the error for what its stream fails with.
 */
export function responseOf(init: RespondInit, blame: (cause: unknown) => MitmError): MaybePromise<RewrittenResponse> {
  const { body } = init
  const path = init.path ?? (isFile(body) ? body.path : undefined)
  if (path !== undefined) return fileResponse(init, path, blame)
  return isStream(body) ? streamResponse(init, body, blame) : fixedResponse(init)
}

/** The response of an answer whose body is known. */
export function fixedResponse(init: RespondInit): RewrittenResponse {
  const { body, json } = init
  if (json !== undefined) return response(init, Buffer.from(JSON.stringify(json)), 'application/json')
  // Boundary: files and streams have been told apart.
  const content = body as string | Uint8Array | undefined
  return response(init, Buffer.from(content ?? []), content === undefined ? undefined : defaultType(content))
}

function response(init: RespondInit, content: Buffer, type: string | undefined): RewrittenResponse {
  const head = headOf(init, type)
  // A coding that cannot be written here is the user's own: the octets are taken to be in it already.
  const coding = fieldValue(head.fields, 'content-encoding')
  return { ...head, body: content.length > 0 ? (encodeContent(content, coding) ?? content) : content }
}

function streamResponse(
  init: RespondInit,
  stream: StreamBody,
  blame: (cause: unknown) => MitmError,
  type = 'application/octet-stream',
): RewrittenResponse {
  const head = headOf(init, type)
  const octets = octetsOf(stream, blame)
  const coding = fieldValue(head.fields, 'content-encoding')
  if (coding === undefined) return { ...head, body: undefined, stream: octets }
  const encoded = encodeStream(octets, coding)
  if (!encoded) return { ...head, body: undefined, stream: octets }
  // The length, if one was said, is that of what is not coded.
  return { ...head, fields: setField(head.fields, 'content-length', null), body: undefined, stream: encoded }
}

async function fileResponse(
  init: RespondInit,
  path: string | URL,
  blame: (cause: unknown) => MitmError,
): Promise<RewrittenResponse> {
  const { body, length } = await openFile(path)
  const type = typeOfFile(path)
  if (Buffer.isBuffer(body)) return response(init, body, type)
  const headers = setField(applyHeaders([], init.headers), 'content-length', String(length))
  return streamResponse({ ...init, headers }, body, blame, type)
}

function headOf(init: RespondInit, type: string | undefined): Omit<RewrittenResponse, 'body'> {
  const { status = 200, statusText = STATUS_CODES[status] ?? '', headers, trailers } = init
  const given = applyHeaders([], headers)
  const needsType = type !== undefined && !hasNoBody(status) && fieldValue(given, 'content-type') === undefined
  const fields: readonly Field[] = needsType ? [['content-type', type], ...given] : given
  return { status, statusText, fields, ...(trailers && { trailers: applyHeaders([], trailers) }) }
}

function defaultType(body: string | Uint8Array): string {
  if (typeof body !== 'string') return 'application/octet-stream'
  return `${/^\s*</.test(body) ? 'text/html' : 'text/plain'}; charset=utf-8`
}
