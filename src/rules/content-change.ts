/** New content for a message: always given decoded, sent in the message's own content coding. */
import { types } from 'node:util'

import { errorText } from '../errors.ts'
import type { Field } from '../exchange.ts'
import { decodeContent, encodeContent } from '../internal/content.ts'
import { fieldValue, namesField, setField } from './headers-input.ts'
import type { HeadersInput } from './headers-input.ts'
import { mergeJson, patchJson, problemWithJsonPatch } from './json-edit.ts'
import type { JsonPatchOperation } from './json-edit.ts'
import { viewContent } from './message-view.ts'
import { problemWithReplace, replaceText } from './text-replace.ts'
import type { Replacement } from './text-replace.ts'

/** New content for a message, or changes of the content that it has: one of these, or none. */
export interface ContentInput {
  /** Decoded; sent in the message's own content coding. */
  readonly body?: string | Uint8Array | undefined
  /** As `body`, written as JSON; sets `content-type` unless `headers` does. */
  readonly json?: unknown
  /** Merged into the body, which must be JSON or empty: null takes a key away (RFC 7396). */
  readonly jsonMerge?: unknown
  /** Operations on the body, which must be JSON; all of them or none (RFC 6902). */
  readonly jsonPatch?: readonly JsonPatchOperation[] | undefined
  /** Replacements in the text of the body. A body in which nothing is found keeps its very octets. */
  readonly replace?: Replacement | readonly Replacement[] | undefined
}

/** The part of a change that is about content. */
export interface ContentChange extends ContentInput {
  readonly headers?: HeadersInput | undefined
}

/** The keys of a {@link ContentInput}. */
export const CONTENT_KEYS: readonly string[] = ['body', 'json', 'jsonMerge', 'jsonPatch', 'replace']

/** Whether a change is one of the content that there is. */
export function isEdit(change: object): boolean {
  return ['jsonMerge', 'jsonPatch', 'replace'].some((key) => key in change && change[key as never] !== undefined)
}

/** A message's fields, and its body as on the wire. */
export interface Content {
  readonly fields: readonly Field[]
  readonly body: Buffer | undefined
}

/** What is wrong with the content of a change, in words; undefined when nothing is. */
export function problemWithContent(change: ReadonlyMap<string, unknown>): string | undefined {
  const [first, second] = CONTENT_KEYS.filter((key) => change.get(key) !== undefined)
  if (first === undefined) return undefined
  if (second !== undefined) return `both ${first} and ${second} are given, expected one of them`
  const value = change.get(first)
  if (first === 'jsonPatch') return problemWithJsonPatch(value)
  if (first === 'replace') return problemWithReplace(value)
  if (first !== 'body') return problemWithJson(value, first)
  return typeof value === 'string' || types.isUint8Array(value)
    ? undefined
    : 'body is neither a text nor octets (for other values there is json)'
}

/** Why a value cannot be JSON, in words; undefined when it can. */
export function problemWithJson(value: unknown, name = 'json'): string | undefined {
  try {
    return JSON.stringify(value) === undefined ? `${name} is ${typeof value}, which JSON has no word for` : undefined
  } catch (error) {
    return `${name} cannot be written: ${errorText(error)}`
  }
}

/**
 * Applies what is said of the content; `headers` has been applied already. A content coding that cannot be written here is taken
 * from the fields, and the content sent as it is. Content that stays what it was keeps its very octets.
 *
 * @param before - The message before the change.
 * @param fields - Its fields after `headers`.
 * @throws Error when the content is not what a change of it needs.
 */
export function changeContent(before: Content, fields: readonly Field[], change: ContentChange): Content {
  const given = isEdit(change) ? edit(before, change) : change
  if (given.body === undefined && given.json === undefined) return { fields, body: before.body }
  const { fields: typed, octets } = contentOf(fields, { ...given, headers: change.headers })
  if (isSame(before, fields, octets)) return { fields: typed, body: before.body }
  const body = encodeContent(octets, fieldValue(typed, 'content-encoding'))
  return body ? { fields: typed, body } : { fields: setField(typed, 'content-encoding', null), body: octets }
}

/** The new content that a change of the content makes; nothing, where that stays what it is. */
function edit(before: Content, { jsonMerge, jsonPatch, replace }: ContentInput): ContentInput {
  const view = viewContent(before)
  if (jsonMerge !== undefined) {
    return { json: mergeJson(view.body.length === 0 ? undefined : view.json(), jsonMerge) }
  }
  if (jsonPatch) return { json: patchJson(view.json(), jsonPatch) }
  if (!replace) return {}
  const octets = view.body
  const charset = /;\s*charset\s*=\s*"?([\w-]+)"?/i.exec(fieldValue(before.fields, 'content-type') ?? '')?.[1]
  const text = readText(octets, charset ?? 'utf-8')
  // Not text, or in a charset that nobody named: octet by octet, so that what is not replaced stays as it is.
  const given = text ?? octets.toString('latin1')
  const changed = replaceText(given, replace)
  if (changed === given) return {}
  return { body: text === undefined ? Buffer.from(changed, 'latin1') : changed }
}

function readText(octets: Buffer, charset: string): string | undefined {
  try {
    return new TextDecoder(charset, { fatal: true, ignoreBOM: true }).decode(octets)
  } catch {
    return undefined // not in that charset, or none that is known here
  }
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
