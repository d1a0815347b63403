import fc from 'fast-check'
import { expect, test } from 'vitest'

import { readChildren, readElements, TAG, writeElement } from './der.ts'

test('writeElement() writes lengths as X.690 section 8.1.3 says, in the shortest form', () => {
  expect(writeElement(TAG.octetString).toString('hex')).toBe('0400')
  expect(writeElement(TAG.octetString, Buffer.alloc(127)).subarray(0, 3).toString('hex')).toBe('047f00')
  expect(writeElement(TAG.octetString, Buffer.alloc(128)).subarray(0, 3).toString('hex')).toBe('048180')
  expect(writeElement(TAG.octetString, Buffer.alloc(256)).subarray(0, 4).toString('hex')).toBe('04820100')
})

test('readElements() gives back what writeElement() wrote', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 4 }), (contents) => {
      const elements = contents.map((content) => writeElement(TAG.octetString, Buffer.from(content)))
      const read = readChildren(writeElement(TAG.sequence, ...elements))
      expect(read.map(({ whole }) => whole)).toEqual(elements)
      expect(read.map(({ content }) => content)).toEqual(contents.map((content) => Buffer.from(content)))
    }),
  )
})

test('readElements() throws a RangeError for an element that ends too early', () => {
  for (const hex of ['04', '0402', '040200', '0481', '048180']) {
    const octets = Buffer.from(hex, 'hex')
    expect(() => readElements(octets)).toThrow(RangeError)
  }
})
