/** Waits that are not for octets. */
import { setTimeout } from 'node:timers/promises'

/** How often a value must be the same. */
const LOOKS = 10

/** What a value comes to: the first that stays the same for 50 ms. */
export async function settled<T>(read: () => T): Promise<T> {
  let last = read()
  for (let same = 0; same < LOOKS; same++) {
    await setTimeout(5)
    const now = read()
    if (now !== last) same = -1
    last = now
  }
  return last
}

/** A promise that a test resolves when it likes. */
export interface Gate {
  readonly opened: Promise<void>
  open(): void
}

/** Makes a closed gate. */
export function gate(): Gate {
  let open = (): void => undefined
  const opened = new Promise<void>((resolve) => {
    open = resolve
  })
  return { opened, open }
}
