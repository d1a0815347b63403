/** `docs/faults.md` says what the fault matrix tests, and leaves no fault out. */
import { readFile } from 'node:fs/promises'
import { expect, test } from 'vitest'
import { NETWORK_PRESETS } from '../src/faults/network-presets.ts'
import { faults } from '../src/index.ts'
import { EVENT_CASES } from './support/fault-cases-events.ts'
import { SOCKET_CASES } from './support/fault-cases-websocket.ts'
import { CASES } from './support/fault-cases.ts'
import { faultTables, withTables } from './support/fault-tables.ts'

const text = await readFile(new URL('../docs/faults.md', import.meta.url), 'utf8')
const rows = [...CASES, ...EVENT_CASES, ...SOCKET_CASES]

test('the tables are as `npm run docs:faults` writes them', () => {
  expect(text).toBe(withTables(text, faultTables(CASES, EVENT_CASES, SOCKET_CASES, NETWORK_PRESETS)))
})

test('every fault has a row', () => {
  const shown = new Set(rows.map(({ code }) => code.replace(/\(.*$/s, '')))
  // It is of several others, and `network.spec.ts` is about it.
  shown.add('network')
  expect(Object.keys(faults).filter((name) => !shown.has(name))).toEqual([])
})

test('a table that has no place is missed', () => {
  expect(() => withTables('# Faults\n', { tls: '' })).toThrow('docs/faults.md has no <!-- generated: tls -->')
})

test.each(rows)('$code is the fault of its row', ({ code, fault }) => {
  // oxlint-disable-next-line typescript/no-implied-eval -- This is what users will paste.
  const pasted: unknown = new Function('faults', `return faults.${code}`)(faults)
  expect(pasted).toMatchObject({ name: fault(faults).name, text: fault(faults).text })
})
