import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { describe, expect, it } from 'vitest'

import { noteCallSite, placeText } from './call-site.ts'

describe('noteCallSite()', () => {
  it('finds the line of a test, which is a user as well', () => {
    expect(noteCallSite()()).toMatch(/^src\/internal\/call-site\.test\.ts:\d+$/)
  })
})

describe('placeText()', () => {
  const file = join(process.cwd(), 'e2e', 'a b.spec.ts')

  it.each([
    ['    at makeHandlers (/FILE:4:18)', 'e2e/a b.spec.ts:4'],
    ['    at /FILE:4:18', 'e2e/a b.spec.ts:4'],
    ['at async /FILE:4:18', 'e2e/a b.spec.ts:4'],
    ['/FILE:4:18', 'e2e/a b.spec.ts:4'],
    ['/FILE:4', 'e2e/a b.spec.ts:4'],
    ['at URL:4:18', 'e2e/a b.spec.ts:4'],
    ['URL:4:18', 'e2e/a b.spec.ts:4'],
    ['/elsewhere/handlers.js:12:3', '/elsewhere/handlers.js:12'],
    ['at Object.<anonymous>', undefined],
    ['', undefined],
  ])('reads %s', (frame, expected) => {
    expect(placeText(frame.replace('/FILE', file).replace('URL', pathToFileURL(file).href))).toBe(expected)
  })
})
