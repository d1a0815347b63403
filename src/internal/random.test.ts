import { describe, expect, it } from 'vitest'

import { anySeed, randomStream } from './random.ts'

const draw = (count: number, random: () => number): number[] => Array.from({ length: count }, random)

describe('randomStream()', () => {
  it('gives the same numbers for the same seed and label', () => {
    expect(draw(5, randomStream('a test', 'rule 0'))).toEqual(draw(5, randomStream('a test', 'rule 0')))
    // A seed that was printed must repeat its run in later versions too.
    expect(draw(3, randomStream(42, 'rule 0')).map((number) => number.toFixed(6))).toMatchInlineSnapshot(`
      [
        "0.491204",
        "0.364558",
        "0.366662",
      ]
    `)
  })

  it('gives others for another seed, another label, and a number in place of its text', () => {
    const firsts = [
      randomStream('a', 'x')(),
      randomStream('b', 'x')(),
      randomStream('a', 'y')(),
      randomStream(1, 'x')(),
      randomStream('1', 'x')(),
    ]
    expect(new Set(firsts).size).toBe(firsts.length)
  })

  it('fills the range from 0 to 1 evenly', () => {
    const numbers = draw(10_000, randomStream(7, 'even'))
    const tenths = Array.from<number>({ length: 10 }).fill(0)
    for (const number of numbers) tenths[Math.floor(number * 10)] = (tenths[Math.floor(number * 10)] ?? 0) + 1
    expect(Math.min(...tenths)).toBeGreaterThan(900)
    expect(Math.max(...tenths)).toBeLessThan(1100)
  })
})

describe('anySeed()', () => {
  it('is a whole number that differs from call to call', () => {
    const seeds = Array.from({ length: 10 }, anySeed)
    expect(seeds.every((seed) => Number.isInteger(seed) && seed >= 0)).toBe(true)
    expect(new Set(seeds).size).toBeGreaterThan(1)
  })
})
