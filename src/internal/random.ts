/** Random numbers that can be had again: streams that a seed decides. Not for secrets. */
import { createHash, randomInt } from 'node:crypto'

/** What decides random numbers: the same seed, the same numbers. */
export type Seed = number | string

/** Draws a number from 0 up to, not including, 1. */
export type Random = () => number

/** A seed that nobody chose, short enough to be typed. */
export function anySeed(): number {
  return randomInt(2 ** 32)
}

/**
 * The stream of numbers of one seed and label: splitmix32, which is small and even enough for choosing by chance. Streams of
 * other labels have nothing to do with it, so that who draws from one does not shift the others.
 *
 * @param label - Whose stream it is. The number 1 and the text `1` are different seeds.
 */
export function randomStream(seed: Seed, label: string): Random {
  const digest = createHash('sha256')
    .update(`${typeof seed}\0${seed}\0${label}`)
    .digest()
  let state = digest.readUInt32LE(0)
  return () => {
    state = (state + 0x9e37_79b9) | 0
    let mixed = state ^ (state >>> 16)
    mixed = Math.imul(mixed, 0x21f0_aaad)
    mixed ^= mixed >>> 15
    mixed = Math.imul(mixed, 0x735a_2d97)
    mixed ^= mixed >>> 15
    return (mixed >>> 0) / 2 ** 32
  }
}

/** Whether something can be a seed. */
export function isSeed(value: unknown): value is Seed {
  return typeof value === 'string' || (typeof value === 'number' && Number.isFinite(value))
}
