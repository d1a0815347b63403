import { readFile } from 'node:fs/promises'
import { expect, test } from 'vitest'

import { ERROR_CODES, errorText, InvalidProtocol, isMitmError, MitmError, systemCode } from './errors.ts'

/** Each `### CODE` of docs/errors.md with the sentence quoted below it. */
async function readDocumentedCodes(): Promise<[code: string, sentence: string][]> {
  const text = await readFile(new URL('../docs/errors.md', import.meta.url), 'utf8')
  return [...text.matchAll(/^### (.+)\n\n> (.+)\n$/gm)].map(([, code = '', sentence = '']) => [code, sentence])
}

test('docs/errors.md has one entry for each code, with the sentence of the table, and no other', async () => {
  const documented = await readDocumentedCodes()
  expect(Object.fromEntries(documented)).toEqual(ERROR_CODES)
  expect(documented).toHaveLength(Object.keys(ERROR_CODES).length)
})

test('every heading of the third level in docs/errors.md is a code', async () => {
  const text = await readFile(new URL('../docs/errors.md', import.meta.url), 'utf8')
  const headings = [...text.matchAll(/^### (.*)$/gm)].map(([, heading]) => heading)
  expect(new Set(headings)).toEqual(new Set(Object.keys(ERROR_CODES)))
})

test('a MitmError ends its message with the code, and keeps what is known of the error', () => {
  const cause = new Error('connect ECONNREFUSED')
  const error = new MitmError('MITM_DIAL_FAILED', 'Cannot connect to a.test:443', {
    side: 'server',
    authority: 'a.test:443',
    cause,
  })
  expect(error).toBeInstanceOf(Error)
  expect(error.message).toBe('Cannot connect to a.test:443 [MITM_DIAL_FAILED]')
  expect(error).toMatchObject({ name: 'MitmError', code: 'MITM_DIAL_FAILED', side: 'server', authority: 'a.test:443' })
  expect(error.cause).toBe(cause)
})

test('a MitmError of which no more is known has no cause at all', () => {
  const error = new MitmError('MITM_LOOP', 'Cannot go on')
  expect('cause' in error).toBe(false)
  expect(error.side).toBeUndefined()
  expect(error.authority).toBeUndefined()
})

test('isMitmError() goes by the code, so that another copy of the package is known too', () => {
  expect(isMitmError(new MitmError('MITM_LOOP', 'Cannot go on'))).toBe(true)
  expect(isMitmError(Object.assign(new Error('of another copy'), { code: 'MITM_LOOP' }))).toBe(true)
})

test.for([
  ['an error of the system', Object.assign(new Error('reset'), { code: 'ECONNRESET' })],
  ['an error without a code', new Error('MITM_LOOP')],
  ['a code that every object has', Object.assign(new Error('odd'), { code: 'toString' })],
  ['a code that is no text', Object.assign(new Error('odd'), { code: 1 })],
  ['what is no error', { code: 'MITM_LOOP' }],
  ['nothing', undefined],
] as const)('isMitmError() is false for %s', ([, value]) => {
  expect(isMitmError(value)).toBe(false)
})

test('InvalidProtocol is a MitmError that says whether more octets could help', () => {
  const plain = new InvalidProtocol()
  expect(plain).toBeInstanceOf(MitmError)
  expect(plain).toMatchObject({ name: 'InvalidProtocol', code: 'MITM_INVALID_PROTOCOL', incomplete: false })
  expect(plain.message).toBe('Not this protocol [MITM_INVALID_PROTOCOL]')

  const cause = new Error('too short')
  const incomplete = new InvalidProtocol('The greeting is not complete', { incomplete: true, cause })
  expect(incomplete.incomplete).toBe(true)
  expect(incomplete.cause).toBe(cause)
  expect(incomplete.message).toBe('The greeting is not complete [MITM_INVALID_PROTOCOL]')
})

test('errorText() and systemCode() take anything that was thrown', () => {
  expect(errorText(new Error('broken'))).toBe('broken')
  expect(errorText('broken')).toBe('broken')
  expect(errorText(undefined)).toBe('undefined')
  expect(systemCode(Object.assign(new Error('reset'), { code: 'ECONNRESET' }))).toBe('ECONNRESET')
  expect(systemCode(Object.assign(new Error('odd'), { code: 7 }))).toBeUndefined()
  expect(systemCode({ code: 'ECONNRESET' })).toBeUndefined()
})
