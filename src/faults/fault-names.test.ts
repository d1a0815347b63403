import { expect, it } from 'vitest'

import { FAULT_NAMES } from '../fault-names.ts'
import * as faults from './faults.ts'
import { offline } from './offline.ts'

it('filters know the names of all faults', () => {
  expect(FAULT_NAMES).toEqual([...Object.keys(faults), offline().name].toSorted())
})
