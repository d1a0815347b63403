/** Where a body differs from the one that was expected, in words. */
import { show } from './filter-text.ts'

/** Texts up to this length are shown whole. */
const MAX_WHOLE = 60
/** Characters or octets shown before and behind the first difference. */
const CONTEXT_CHARACTERS = 20
const CONTEXT_OCTETS = 6

/** The first difference of two texts that are not the same; offsets count UTF-16 code units from 0. */
export function textDifference(actual: string, expected: string): string {
  const at = firstDifference(actual, expected)
  if (actual.length <= MAX_WHOLE && expected.length <= MAX_WHOLE) {
    return `is ${show(actual)}, expected ${show(expected)} (differs at offset ${at})`
  }
  return (
    `differs at offset ${at}: ${excerpt(actual, at)}, expected ${excerpt(expected, at)}` +
    lengths(actual.length, expected.length, 'characters')
  )
}

/** The first difference of octets that are not the same, with a few of them around it in hexadecimal. */
export function octetDifference(actual: Uint8Array, expected: Uint8Array): string {
  const at = firstDifference(actual, expected)
  return (
    `differs at octet ${at}: ${hexExcerpt(actual, at)}, expected ${hexExcerpt(expected, at)}` +
    lengths(actual.length, expected.length, 'octets')
  )
}

function firstDifference(actual: ArrayLike<unknown>, expected: ArrayLike<unknown>): number {
  const most = Math.min(actual.length, expected.length)
  let at = 0
  while (at < most && actual[at] === expected[at]) at++
  return at
}

function lengths(actual: number, expected: number, unit: string): string {
  return actual === expected ? '' : ` (${actual} ${unit}, expected ${expected})`
}

function excerpt(text: string, at: number): string {
  if (at >= text.length) return 'its end'
  const from = Math.max(0, at - CONTEXT_CHARACTERS)
  const to = at + CONTEXT_CHARACTERS
  return `${from > 0 ? '…' : ''}${show(text.slice(from, to))}${to < text.length ? '…' : ''}`
}

function hexExcerpt(octets: Uint8Array, at: number): string {
  if (octets.length === 0) return 'no octets'
  const from = Math.max(0, at - CONTEXT_OCTETS)
  const to = at + CONTEXT_OCTETS
  const words = [...octets.subarray(from, to)].map((octet) => octet.toString(16).padStart(2, '0'))
  if (at >= octets.length) words.push('(end)')
  else words[at - from] = `[${words[at - from] ?? ''}]`
  return `${from > 0 ? '… ' : ''}${words.join(' ')}${to < octets.length ? ' …' : ''}`
}
