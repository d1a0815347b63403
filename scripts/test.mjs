/**
 * Runs every suite there is, one after the other, also after one has failed. The last line is the sum of them all:
 * `N passed, N failed`, and `, N skipped` where there are such. A suite without tests of its own counts as one.
 *
 * `node scripts/test.mjs lint unit` runs only these.
 */
import { spawn } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { fileURLToPath } from 'node:url'
import { countPlaywright, countStep, countVitest, sum, sumLine } from './counts.mjs'

const ROOT = fileURLToPath(new URL('..', import.meta.url))

/** Each is an npm script; those with `count` write a JSON report, which says how many tests there were. */
const SUITES = [
  { script: 'typecheck' },
  { script: 'lint' },
  {
    script: 'test:unit',
    count: countVitest,
    report: (file) => ({ args: ['--reporter=default', '--reporter=json', `--outputFile=${file}`] }),
  },
  { script: 'build' },
  { script: 'check:publint' },
  { script: 'check:attw' },
  { script: 'check:knip' },
  { script: 'check:examples' },
  { script: 'check:msw-types' },
  {
    script: 'test:e2e',
    count: countPlaywright,
    report: (file) => ({ args: ['--reporter=list,json'], env: { PLAYWRIGHT_JSON_OUTPUT_NAME: file } }),
  },
]

const wanted = process.argv.slice(2)
const unknown = wanted.filter((name) => !SUITES.some(({ script }) => script === name))
if (unknown.length > 0) {
  throw new Error(`No suite ${unknown.join(', ')}; there are ${SUITES.map(({ script }) => script).join(', ')}`)
}

const folder = await mkdtemp(join(tmpdir(), 'playwright-mitm-test-'))
try {
  const results = []
  for (const suite of SUITES) {
    if (wanted.length > 0 && !wanted.includes(suite.script)) continue
    console.log(`\n── ${suite.script}`)
    results.push({ script: suite.script, ...(await runSuite(suite)) })
  }

  console.log('\n── results')
  for (const result of results) console.log(`${result.failed > 0 ? '✗' : '✓'} ${result.script}: ${sumLine(result)}`)
  const total = sum(results)
  console.log(sumLine(total))
  process.exitCode = total.failed > 0 ? 1 : 0
} finally {
  await rm(folder, { recursive: true, force: true })
}

async function runSuite({ script, count, report }) {
  if (!count) return countStep(await runScript(script))
  const file = join(folder, `${script.replace(':', '-')}.json`)
  const { args, env } = report(file)
  const isOk = await runScript(script, args, env)
  const text = await readFile(file, 'utf8').catch(() => undefined)
  return count(text, isOk)
}

/** Whether the script ended well. Its output is shown as it comes. */
async function runScript(script, args = [], env = {}) {
  const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm'
  const child = spawn(npm, ['run', '--silent', script, '--', ...args], {
    cwd: ROOT,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'inherit', 'inherit'],
    shell: process.platform === 'win32',
  })
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code) => resolve(code === 0))
  })
}
