/**
 * Server-sent events as text.
 *
 * @see https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream
 */
import { show } from './filter-text.ts'

/** One server-sent event; a text is its data. */
export type ServerSentEvent =
  | string
  | {
      /** A text, of which each line becomes a line of data; any other value is written as JSON. */
      readonly data?: unknown
      /** The type of the event, of one line. @defaultValue `message`, says the browser */
      readonly event?: string | undefined
      /** What the browser sends as `last-event-id` when it connects again; of one line. */
      readonly id?: string | undefined
      /** Milliseconds after which the browser connects again. */
      readonly retry?: number | undefined
      /** Written before the event; browsers pass it over. */
      readonly comment?: string | undefined
    }

const KEYS = ['data', 'event', 'id', 'retry', 'comment']
const LINE_END = /\r\n|\r|\n/

/** What is wrong with an event, in words; undefined when nothing is. */
export function problemWithEvent(event: unknown): string | undefined {
  if (typeof event === 'string') return undefined
  if (Object.prototype.toString.call(event) !== '[object Object]') {
    return `is ${show(event)}, expected a text or an object of ${KEYS.join(', ')}`
  }
  const given = new Map<string, unknown>(Object.entries(event as object)) // just found to be one
  const unknown = [...given.keys()].find((key) => !KEYS.includes(key))
  if (unknown !== undefined) return `has ${JSON.stringify(unknown)}, which is not known, expected ${KEYS.join(', ')}`
  for (const key of ['event', 'id']) {
    const value = given.get(key)
    if (value !== undefined && (typeof value !== 'string' || /[\r\n\0]/.test(value))) {
      return `has the ${key} ${show(value)}, expected a text of one line`
    }
  }
  const retry = given.get('retry')
  if (retry !== undefined && !(Number.isSafeInteger(retry) && Number(retry) >= 0)) {
    return `has the retry ${show(retry)}, expected whole milliseconds`
  }
  const comment = given.get('comment')
  if (comment !== undefined && typeof comment !== 'string') return `has the comment ${show(comment)}, expected a text`
  return problemWithData(given.get('data'))
}

function problemWithData(data: unknown): string | undefined {
  if (data === undefined) return undefined
  try {
    return JSON.stringify(data) === undefined ? `has the data ${show(data)}, which JSON has no word for` : undefined
  } catch {
    return `has data that cannot be written as JSON: ${show(data)}`
  }
}

/** Writes an event that has been checked, with the blank line that lets the browser dispatch it. */
export function writeEvent(event: ServerSentEvent): string {
  const { data, event: type, id, retry, comment } = typeof event === 'string' ? { data: event } : event
  const text = data === undefined || typeof data === 'string' ? data : JSON.stringify(data)
  const lines = [
    ...linesOf(comment).map((line) => `: ${line}`),
    ...(type === undefined ? [] : [`event: ${type}`]),
    ...(id === undefined ? [] : [`id: ${id}`]),
    ...(retry === undefined ? [] : [`retry: ${retry}`]),
    ...linesOf(text).map((line) => `data: ${line}`),
  ]
  return `${lines.join('\n')}\n\n`
}

function linesOf(text: string | undefined): string[] {
  return text === undefined ? [] : text.split(LINE_END)
}
