/**
 * Measures what a mitm costs: `npm run bench`. Never fails for a number, only when something does not work.
 *
 * `--quick` measures less, `--json` prints JSON, `--profile FOLDER` writes CPU profiles of the proxies there, and names
 * (`cpu`, `http2`, `start`, `host`, `memory`, `rules`, `handlers`, `paces`, `stream`, `websocket`) choose what is measured.
 */
import { join } from 'node:path'
import { parseArgs } from 'node:util'

import { build, removeBuild } from './build.ts'
import { Child } from './child.ts'
import { cpuOfHandlers } from './handlers.ts'
import { cpuOfHttp2 } from './http2.ts'
import type { LoadCalls } from './load.ts'
import { cpuOfRules, cpuPerRequest, memoryOfBody, newHost, startAndClose } from './measures.ts'
import type { Amounts, Bench } from './measures.ts'
import type { OriginCalls } from './origin.ts'
import { paces } from './paces.ts'
import { stream } from './stream.ts'
import { cpuOfWebSockets } from './websocket.ts'
import { machine, table, verdict } from './report.ts'
import type { Result } from './report.ts'

const MEASURES: Readonly<Record<string, (bench: Bench) => Promise<Result[]>>> = {
  cpu: cpuPerRequest,
  http2: cpuOfHttp2,
  start: startAndClose,
  host: newHost,
  memory: memoryOfBody,
  rules: cpuOfRules,
  handlers: cpuOfHandlers,
  paces,
  stream,
  websocket: cpuOfWebSockets,
}

const FULL: Amounts = {
  connections: 32,
  perConnection: 400,
  rounds: 15,
  starts: 300,
  hosts: 60,
  bodyBytes: 200 * 2 ** 20,
  http2Requests: 12_000,
}
const QUICK: Amounts = { ...FULL, perConnection: 150, rounds: 5, starts: 60, hosts: 15, http2Requests: 5000 }

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    quick: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    profile: { type: 'string' },
  },
})

const folder = await build()
const origin = new Child<OriginCalls>(join(folder, 'origin.js'))
const load = new Child<LoadCalls>(join(folder, 'load.js'))
const results: Result[] = []
try {
  const originFacts = await origin.call('start', null)
  await load.call('trust', originFacts.ca)
  const bench: Bench = {
    folder,
    origin,
    originFacts,
    load,
    amounts: values.quick ? QUICK : FULL,
    execArgv: values.profile === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${values.profile}`],
  }
  for (const [name, measure] of Object.entries(MEASURES)) {
    if (positionals.length > 0 && !positionals.includes(name)) continue
    if (!values.json) console.error(`measuring ${name} …`)
    // One after the other: they would disturb each other.
    results.push(...(await measure(bench)))
  }
} finally {
  await Promise.all([origin.stop(), load.stop()])
  await removeBuild()
}

if (values.json) {
  const judged = results.map((result) => ({ ...result, verdict: verdict(result) }))
  console.log(JSON.stringify({ machine: machine(), results: judged }, undefined, 2))
} else console.log(`\n${table(results, machine())}`)
