import fc from 'fast-check'
import { expect, test } from 'vitest'

import { Lru } from './lru.ts'

test('an Lru gives back what was set, and undefined for the rest', () => {
  const lru = new Lru<string, number>(2)
  lru.set('a', 1)
  expect([lru.get('a'), lru.get('b'), lru.size]).toEqual([1, undefined, 1])
})

test('an Lru forgets the entry that was used the longest ago', () => {
  const lru = new Lru<string, number>(2)
  lru.set('a', 1)
  lru.set('b', 2)
  lru.get('a')
  lru.set('c', 3)
  expect([lru.get('a'), lru.get('b'), lru.get('c')]).toEqual([1, undefined, 3])
})

test('setting a key again makes it the newest and forgets nothing', () => {
  const lru = new Lru<string, number>(2)
  lru.set('a', 1)
  lru.set('b', 2)
  lru.set('a', 3)
  expect(lru.size).toBe(2)
  lru.set('c', 4)
  expect([lru.get('a'), lru.get('b'), lru.get('c')]).toEqual([3, undefined, 4])
})

test('delete() with a value spares an entry that has another value by now', () => {
  const lru = new Lru<string, number>(2)
  lru.set('a', 2)
  expect(lru.delete('a', 1)).toBe(false)
  expect(lru.get('a')).toBe(2)
  expect(lru.delete('a', 2)).toBe(true)
  expect(lru.delete('a')).toBe(false)
})

test('an Lru never holds more than its limit, and always the entry set last', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 5 }), fc.array(fc.nat(9), { minLength: 1 }), (limit, keys) => {
      const lru = new Lru<number, string>(limit)
      for (const key of keys) {
        lru.set(key, `value ${key}`)
        expect(lru.size).toBeLessThanOrEqual(limit)
        expect(lru.get(key)).toBe(`value ${key}`)
      }
    }),
  )
})
