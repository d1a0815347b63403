import { expect, it } from 'vitest'

import * as faults from './faults.ts'

it.each(Object.entries(faults))('%s refuses what it does not know, and names itself and the line', (name, make) => {
  // A boundary: what plain JavaScript would let pass.
  const call = make as (given: unknown) => unknown
  for (const nonsense of [{ nonsense: 1 }, Symbol.iterator]) {
    const words = String.raw`^Cannot make the fault ${name}\(\) \(src/faults/every-fault\.test\.ts:\d+\): .+ \[MITM_INVALID_FAULT\]$`
    expect(() => call(nonsense)).toThrow(new RegExp(words, 's'))
  }
})
