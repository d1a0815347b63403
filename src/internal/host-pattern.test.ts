import { describe, expect, it } from 'vitest'

import { parseHostPattern } from './host-pattern.ts'

describe('parseHostPattern()', () => {
  it.each<[string, string, number | undefined, boolean]>([
    ['pay.test', 'pay.test', 443, true],
    ['pay.test', 'api.pay.test', 443, false],
    ['PAY.test', 'pay.test', undefined, true],
    ['pay.test:8443', 'pay.test', 8443, true],
    ['pay.test:8443', 'pay.test', 443, false],
    ['pay.test:8443', 'pay.test', undefined, false],
    ['pay.test:*', 'pay.test', 1, true],
    ['*.pay.test', 'a.b.pay.test', 443, true],
    ['*.pay.test', 'pay.test', 443, false],
    ['*.pay.test', 'xpay.test', 443, false],
    ['*pay.test', 'xpay.test', 443, true],
    ['pay.*', 'pay.test', 443, true],
    ['**', 'anything', 1, true],
    ['*:443', 'anything', 443, true],
    ['*:443', 'anything', 80, false],
    ['127.0.0.1', '127.0.0.1', 80, true],
    ['127x0.0.1', '127.0.0.1', 80, false],
    ['::1', '::1', 80, true],
    ['[::1]:80', '::1', 80, true],
    ['[::1]:80', '::1', 81, false],
    ['bücher.test', 'xn--bcher-kva.test', 80, true],
  ])('%s and %s:%s', (pattern, host, port, matches) => {
    expect(parseHostPattern(pattern)?.matches(host, port)).toBe(matches)
  })

  it.each([
    '',
    'https://pay.test',
    'pay.test/',
    'a b',
    'pay.test:',
    'pay.test:x',
    'pay.test:65536',
    '{a,b}.test',
    '[::1',
  ])('takes %j for no host', (text) => {
    expect(parseHostPattern(text)).toBeUndefined()
  })

  it.each<[string, boolean]>([
    ['*', true],
    ['**', true],
    ['*:443', false],
    ['*.test', false],
  ])('%s is for all: %s', (pattern, isForAll) => {
    expect(parseHostPattern(pattern)?.isForAll).toBe(isForAll)
  })

  it('is done in no time with many stars', () => {
    const pattern = parseHostPattern(`${'*'.repeat(50)}a${'*'.repeat(50)}.test`)
    expect(pattern?.matches(`${'a'.repeat(250)}.tes`, 443)).toBe(false)
  })
})
