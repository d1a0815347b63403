/** New content for a message: always given decoded, sent in the message's own content coding. */
import { types } from 'node:util'

import { errorText } from '../errors.ts'
import type { Field } from '../exchange.ts'
import { decodeContent, encodeContent } from '../internal/content.ts'
import { fieldValue, namesField, setField } from './headers-input.ts'
import type { HeadersInput } from './headers-input.ts'

/** The part of a change that is about content. */
export interface ContentChange {
  readonly headers?: HeadersInput | undefined
  readonly body?: string | Uint8Array | undefined
  readonly json?: unknown
}

/** A message's fields, and its body as on the wire. */
export interface Content {
  readonly fields: readonly Field[]
  readonly body: Buffer | undefined
}

/** What is wrong with `body` and `json`, in words; undefined when nothing is. */
export function problemWithContent({ body, json }: { body?: unknown; json?: unknown }): string | undefined {
  if (body !== undefined && json !== undefined) return 'both body and json are given, expected one of them'
  if (body !== undefined && typeof body !== 'string' && !types.isUint8Array(body)) {
    return 'body is neither a text nor octets (for other values there is json)'
  }
  return json === undefined ? undefined : problemWithJson(json)
}

/** Why a value cannot be JSON, in words; undefined when it can. */
export function problemWithJson(value: unknown): string | undefined {
  try {
    return JSON.stringify(value) === undefined ? `json is ${typeof value}, which JSON has no word for` : undefined
  } catch (error) {
    return `json cannot be written: ${errorText(error)}`
  }
}

/**
 * Applies `body` or `json`; `headers` has been applied already. A content coding that cannot be written here is taken
 * from the fields, and the content sent as it is. Content that stays what it was keeps its very octets.
 *
 * @param before - The message before the change.
 * @param fields - Its fields after `headers`.
 */
export function changeContent(before: Content, fields: readonly Field[], change: ContentChange): Content {
  if (change.body === undefined && change.json === undefined) return { fields, body: before.body }
  const { fields: typed, octets } = contentOf(fields, change)
  if (isSame(before, fields, octets)) return { fields: typed, body: before.body }
  const body = encodeContent(octets, fieldValue(typed, 'content-encoding'))
  return body ? { fields: typed, body } : { fields: setField(typed, 'content-encoding', null), body: octets }
}

function contentOf(fields: readonly Field[], change: ContentChange): { fields: readonly Field[]; octets: Buffer } {
  if (change.json !== undefined) {
    const typed = namesField(change.headers, 'content-type')
      ? fields
      : setField(fields, 'content-type', 'application/json')
    return { fields: typed, octets: Buffer.from(JSON.stringify(change.json)) }
  }
  return typeof change.body === 'string'
    ? encodeText(fields, change.body)
    : { fields, octets: Buffer.from(change.body ?? []) }
}

/** Text in the charset that the message names; where that cannot be written, in UTF-8, and the message says so. */
function encodeText(fields: readonly Field[], text: string): { fields: readonly Field[]; octets: Buffer } {
  const type = fieldValue(fields, 'content-type') ?? ''
  const charset = /;\s*charset\s*=\s*"?([\w-]+)"?/i.exec(type)
  const name = charset?.[1]?.toLowerCase() ?? 'utf-8'
  // oxlint-disable-next-line no-control-regex -- all of ASCII is meant
  if (/^utf-?8$/.test(name) || /^[\x00-\x7f]*$/.test(text)) return { fields, octets: Buffer.from(text) }
  // What browsers read as windows-1252 is the same as Latin-1 but for the control characters.
  // oxlint-disable-next-line no-control-regex -- as above
  if (/^(?:iso-8859-1|latin1|windows-1252)$/.test(name) && /^[\x00-\x7f\xa0-\xff]*$/.test(text)) {
    return { fields, octets: Buffer.from(text, 'latin1') }
  }
  const inUtf8 = setField(fields, 'content-type', type.replace(charset?.[0] ?? '', '; charset=utf-8'))
  return { fields: inUtf8, octets: Buffer.from(text) }
}

function isSame(before: Content, fields: readonly Field[], octets: Buffer): boolean {
  const coding = fieldValue(before.fields, 'content-encoding')
  if (!before.body || coding !== fieldValue(fields, 'content-encoding')) return false
  try {
    return decodeContent(before.body, coding).equals(octets)
  } catch {
    return false // what cannot be decoded is not what was given
  }
}
