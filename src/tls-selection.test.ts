import { describe, expect, it } from 'vitest'

import { Mitm } from './mitm.ts'
import { TlsSelection } from './tls-selection.ts'
import type { TlsPatterns } from './tls-selection.ts'

const DEFAULTS: TlsPatterns = { intercept: ['**'], passthrough: [] }

describe('TlsSelection', () => {
  it.each<[string, Partial<TlsPatterns>, string[], number | undefined, boolean]>([
    ['nothing by default', {}, ['pay.test'], 443, false],
    ['what passthrough names', { passthrough: ['pay.test'] }, ['pay.test'], 443, true],
    ['not others', { passthrough: ['pay.test'] }, ['api.test'], 443, false],
    ['in any case, with the dot of the root', { passthrough: ['pay.test'] }, ['PAY.test.'], 443, true],
    ['one of two names', { passthrough: ['pay.test'] }, ['api.test', 'pay.test'], 443, true],
    ['by port', { passthrough: ['pay.test:8443'] }, ['pay.test'], 443, false],
    ['not certainly on every port', { passthrough: ['pay.test:8443'] }, ['pay.test'], undefined, false],
    ['certainly on every port', { passthrough: ['pay.test'] }, ['pay.test'], undefined, true],
    ['what intercept leaves out', { intercept: ['api.test'] }, ['pay.test'], 443, true],
    ['not what it names', { intercept: ['api.test'] }, ['api.test'], 443, false],
    ['not where it names one of two names', { intercept: ['api.test'] }, ['pay.test', 'api.test'], 443, false],
    ['not certainly, where it names a port', { intercept: ['api.test:1'] }, ['api.test'], undefined, false],
    ['everything, where it names nobody', { intercept: [] }, ['api.test'], undefined, true],
    ['passthrough before intercept', { intercept: ['a.test'], passthrough: ['*.test'] }, ['a.test'], 443, true],
  ])('passes through %s', (_, options, names, port, passes) => {
    expect(new TlsSelection({ ...DEFAULTS, ...options }).passesThrough(names, port)).toBe(passes)
  })

  it('knows when it opens all', () => {
    expect(new TlsSelection(DEFAULTS).opensAll).toBe(true)
    expect(new TlsSelection({ ...DEFAULTS, intercept: ['*.test'] }).opensAll).toBe(false)
    expect(new TlsSelection({ ...DEFAULTS, passthrough: ['a.test'] }).opensAll).toBe(false)
  })
})

describe('the options passthrough and intercept', () => {
  it.each<[unknown]>([['pay.test'], [['https://pay.test/']], [[1]], [[/pay/]], [['pay.test:99999']], [{}]])(
    'refuse %j',
    (value) => {
      for (const option of ['passthrough', 'intercept']) {
        const make = (): Mitm => new Mitm({ [option]: value })
        expect(make).toThrow(expect.objectContaining({ code: 'MITM_INVALID_OPTION' }))
        expect(make).toThrow(`"${option}"`)
      }
    },
  )
})
