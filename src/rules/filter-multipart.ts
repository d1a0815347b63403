/** The part of a filter that looks at the fields and files of a `multipart/form-data` body. */
import { types } from 'node:util'

import { compileContent } from './filter-body.ts'
import { compileTest, mediaTypeOf, readingPart } from './filter-part.ts'
import type { FilterPart } from './filter-part.ts'
import { invalidFilter, show } from './filter-text.ts'
import { multipartOf } from './multipart.ts'
import type { MultipartPart } from './multipart.ts'
import { checkWanted, hasWanted } from './named-values.ts'
import { isAsymmetricMatcher } from './predicate.ts'

type Explain = (parts: readonly MultipartPart[]) => readonly string[]

const EXPECTED = 'an object of values, or of { filename, type, body }, by name'

/** Compiles `multipart`. @throws {@link MitmError} `MITM_INVALID_FILTER` */
export function compileMultipart(value: unknown): FilterPart {
  if (Object.prototype.toString.call(value) !== '[object Object]' || isAsymmetricMatcher(value)) {
    throw invalidFilter('multipart', value, EXPECTED)
  }
  const entries = Object.entries(value as object).map(([name, wanted]): readonly [string, Explain] => [
    name,
    isFileFilter(wanted) ? compileFile(name, wanted) : compileField(name, wanted),
  ])
  const part = readingPart('multipart', `with multipart ${show(value)}`, (exchange) => {
    const parts = multipartOf(exchange)
    return entries.flatMap(([name, explain]) => explain(parts.filter((each) => each.name === name)))
  })
  return { ...part, headRefuses: (exchange) => mediaTypeOf(exchange) !== 'multipart/form-data' }
}

/** Any other object is taken for a file, so that a key that is spelt wrong is told. */
function isFileFilter(wanted: unknown): wanted is object {
  return (
    typeof wanted === 'object' &&
    wanted !== null &&
    !types.isRegExp(wanted) &&
    !Array.isArray(wanted) &&
    !isAsymmetricMatcher(wanted)
  )
}

function compileField(name: string, wanted: unknown): Explain {
  checkWanted('multipart', name, wanted)
  return (parts) => {
    const texts = parts.filter(({ filename }) => filename === undefined).map(({ octets }) => octets.toString())
    // A file is there too, but it is no text: only "is not there" is asked about both.
    const values = texts.length > 0 ? texts : wanted === undefined && parts.length > 0 ? [''] : undefined
    if (hasWanted(values, wanted)) return []
    const found = texts.length === 0 ? foundPart(parts) : show(texts.length === 1 ? texts[0] : texts)
    return [`multipart at ${name} is ${found}, expected ${wanted === undefined ? 'none' : show(wanted)}`]
  }
}

function compileFile(name: string, wanted: object): Explain {
  const at = `multipart at ${name}`
  const explainers = Object.entries(wanted).map(([key, value]) => compileFileKey(at, key, value))
  return (parts) => {
    if (parts.length === 0) return [`${at} is absent, expected a file`]
    const misses = parts.map((part) => explainers.flatMap((explain) => explain(part)))
    return misses.toSorted((left, right) => left.length - right.length)[0] ?? []
  }
}

function compileFileKey(at: string, key: string, value: unknown): (part: MultipartPart) => readonly string[] {
  switch (key) {
    case 'filename': {
      const test = compileTest(`${at}.filename`, value, 'the name of a file', sameText)
      return ({ filename }) =>
        filename !== undefined && test.test(filename)
          ? []
          : [`${at}.filename is ${filename === undefined ? 'absent' : show(filename)}, expected ${test.text}`]
    }
    case 'type': {
      const test = compileTest(`${at}.type`, value, 'a content type such as "image/png"', (literal) => {
        if (typeof literal !== 'string' || !literal.includes('/')) return undefined
        const wanted = literal.toLowerCase()
        // Parameters count only where they are asked for.
        const hasParameters = wanted.includes(';')
        return {
          text: literal,
          test: (actual) => {
            const type = String(actual).toLowerCase()
            return (hasParameters ? type : type.replace(/\s*;.*/s, '')) === wanted
          },
        }
      })
      return ({ contentType = 'text/plain' }) =>
        test.test(contentType) ? [] : [`${at}.type is ${contentType}, expected ${test.text}`]
    }
    case 'body': {
      const explain = compileContent(`${at}.body`, value)
      return ({ octets }) => explain({ octets: () => octets, text: () => octets.toString() })
    }
    default:
      throw invalidFilter(`${at}.${key}`, value, 'no such key but only filename, type, body')
  }
}

function sameText(literal: unknown): { text: string; test: (actual: unknown) => boolean } | undefined {
  return typeof literal === 'string' ? { text: show(literal), test: (actual) => actual === literal } : undefined
}

function foundPart(parts: readonly MultipartPart[]): string {
  const [first] = parts
  if (!first) return 'absent'
  return `a file (${[first.filename, first.contentType, `${first.octets.length} octets`].filter(Boolean).join(', ')})`
}
