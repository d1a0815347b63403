import fc from 'fast-check'
import { expect, test } from 'vitest'

import { leafName } from './leaf.ts'
import { writeCommonName, writeSerial, writeSubjectAltName, writeValidity } from './leaf-fields.ts'

test('writeSerial() writes 16 octets, positive and without leading zeros, whatever the random octets are', () => {
  expect(writeSerial(Buffer.alloc(16)).toString('hex')).toBe(`021040${'00'.repeat(15)}`)
  expect(writeSerial(Buffer.alloc(16, 0xff)).toString('hex')).toBe(`02107f${'ff'.repeat(15)}`)
  expect(writeSerial().toString('hex')).toMatch(/^0210[4-7].{31}$/)
})

test('writeSerial() leaves its parameter as it is', () => {
  const random = Buffer.alloc(16, 0xff)
  writeSerial(random)
  expect(random).toEqual(Buffer.alloc(16, 0xff))
})

test('writeValidity() writes UTCTime through 2049 and GeneralizedTime from 2050 on', () => {
  const written = writeValidity(new Date('2049-12-31T23:59:59.999Z'), new Date('2050-01-01T00:00:00Z'))
  expect(written.toString('latin1')).toBe('\x30\x20\x17\x0d491231235959Z\x18\x0f20500101000000Z')
})

test('writeCommonName() writes a Name of one attribute', () => {
  expect(writeCommonName('a.test').toString('hex')).toBe('3011310f300d06035504030c06612e74657374')
})

test.for([
  ['dns', 'a_b.test', '8208615f622e74657374'],
  ['ip', '10.0.0.255', '87040a0000ff'],
  ['ip', '::', `8710${'00'.repeat(16)}`],
  ['ip', '::1', `8710${'00'.repeat(15)}01`],
  ['ip', 'fe80::', `8710fe80${'00'.repeat(14)}`],
  ['ip', '2001:db8::7:0', `871020010db8${'00'.repeat(8)}00070000`],
  ['ip', '1:2:3:4:5:6:7:8', '871000010002000300040005000600070008'],
] as const)('writeSubjectAltName() writes the %s name %s', ([kind, value, generalName]) => {
  const length = (more: number): string => (generalName.length / 2 + more).toString(16).padStart(2, '0')
  expect(writeSubjectAltName(kind, value).toString('hex')).toBe(
    `30${length(9)}0603551d1104${length(2)}30${length(0)}${generalName}`,
  )
})

test('writeSubjectAltName() writes the octets of any IPv6 address that leafName() has shortened', () => {
  const group = fc.oneof(fc.constant(0), fc.nat(0xffff))
  fc.assert(
    fc.property(fc.array(group, { minLength: 8, maxLength: 8 }), (groups) => {
      const { value } = leafName(groups.map((number) => number.toString(16)).join(':'))
      const octets = groups.map((number) => number.toString(16).padStart(4, '0')).join('')
      expect(writeSubjectAltName('ip', value).toString('hex').slice(-36)).toBe(`8710${octets}`)
    }),
  )
})
