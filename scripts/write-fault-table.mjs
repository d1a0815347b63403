/**
 * Writes the tables of `docs/faults.md`, from the cases that the fault matrix tests and the presets of `network()`. A test
 * holds the two equal.
 */
import { readFile, writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { EVENT_CASES } from '../e2e/support/fault-cases-events.ts'
import { SOCKET_CASES } from '../e2e/support/fault-cases-websocket.ts'
import { CASES } from '../e2e/support/fault-cases.ts'
import { faultTables, withTables } from '../e2e/support/fault-tables.ts'
import { NETWORK_PRESETS } from '../src/faults/network-presets.ts'

const FILE = fileURLToPath(new URL('../docs/faults.md', import.meta.url))

const text = await readFile(FILE, 'utf8')
const written = withTables(text, faultTables(CASES, EVENT_CASES, SOCKET_CASES, NETWORK_PRESETS))
await writeFile(FILE, written)
console.log(written === text ? 'docs/faults.md is as the cases say' : 'docs/faults.md was written anew')
