/** What rules leave to chance. */
import { randomStream } from '../internal/random.ts'
import type { Random, Seed } from '../internal/random.ts'

/** Random numbers out of one seed, and whether there were any. */
export class Chance {
  readonly seed: Seed
  #isDrawn = false

  constructor(seed: Seed) {
    this.seed = seed
  }

  /** Whether a number was drawn, so that the seed decided something. */
  get isDrawn(): boolean {
    return this.#isDrawn
  }

  /** The numbers of one label; see {@link randomStream}. Nothing is made before the first is drawn. */
  stream(label: string): Random {
    let stream: Random | undefined
    return () => {
      this.#isDrawn = true
      stream ??= randomStream(this.seed, label)
      return stream()
    }
  }
}
