/** Runs Playwright on specs written for one test, as a user would, and tells what came of it. */
import { spawn } from 'node:child_process'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { join, relative } from 'node:path'
import process from 'node:process'
import { fileURLToPath } from 'node:url'
import type { TestInfo } from '@playwright/test'
import type { JSONReport, JSONReportTestResult } from '@playwright/test/reporter'
import type { Steps } from './step-reporter.ts'

/** What came of a run. */
export interface Run {
  readonly exitCode: number | null
  /** What stood on the terminal, without colours. */
  readonly output: string
  readonly report: JSONReport
  /** Every step of every test, as `category: title`. */
  readonly steps: Steps
  /** The results of the test with this title, retries behind it. */
  results(title: string): JSONReportTestResult[]
  /** The last result of the test with this title. */
  result(title: string): JSONReportTestResult
  /** The texts of its errors. */
  errors(title: string): string[]
}

/** How it is run. */
export interface RunOptions {
  /** Properties of the config, as text: `use: { … }, retries: 1`. `launchOptions` are those that find the browser. */
  config?: string
  env?: Record<string, string>
}

const CLI = createRequire(import.meta.url).resolve('@playwright/test/cli')
const BROWSER = fileURLToPath(new URL('browser.ts', import.meta.url))
const STEP_REPORTER = fileURLToPath(new URL('step-reporter.ts', import.meta.url))
const IMPORTS = `import { defineMitm, expect, test } from 'playwright-mitm'\n`
// A failing run must end by itself; this is only so that the test says so.
const RUN_TIMEOUT_MS = 60_000

/**
 * Runs `spec` in a folder of the test's own.
 *
 * @param spec - The text of a spec file; `test`, `expect` and `defineMitm` are imported already.
 */
export async function runPlaywright(testInfo: TestInfo, spec: string, options: RunOptions = {}): Promise<Run> {
  const folder = testInfo.outputPath('project')
  const reportFile = join(folder, 'report.json')
  const stepsFile = join(folder, 'steps.json')
  await mkdir(folder, { recursive: true })
  await writeFile(join(folder, 'run.spec.ts'), spec.includes("from 'playwright-mitm'") ? spec : IMPORTS + spec)
  await writeFile(
    join(folder, 'playwright.config.ts'),
    [
      "import { defineConfig } from '@playwright/test'",
      `import { findBrowser } from ${JSON.stringify(relative(folder, BROWSER))}`,
      'const { source: _, ...launchOptions } = await findBrowser()',
      `const reporter = ${JSON.stringify([['list'], ['json', { outputFile: reportFile }], [STEP_REPORTER, { outputFile: stepsFile }]])}`,
      "const config = defineConfig({ testDir: '.', outputDir: 'results', workers: 1, reporter }, { use: { launchOptions } }, {",
      options.config ?? '',
      '})',
      'export default config',
    ].join('\n'),
  )
  const { exitCode, output } = await runCli(folder, options.env ?? {})
  // A boundary: Playwright's own reporter wrote the file, and ours the other.
  const report = JSON.parse(await readFile(reportFile, 'utf8').catch(() => fail(output))) as JSONReport
  const result = (title: string): JSONReportTestResult =>
    resultsOf(report, title).at(-1) ?? fail(`No test ${JSON.stringify(title)} in:\n${output}`)
  return {
    exitCode,
    output,
    report,
    steps: JSON.parse(await readFile(stepsFile, 'utf8')) as Steps,
    results: (title) => resultsOf(report, title),
    result,
    errors: (title) => result(title).errors.map(({ message }) => plain(message)),
  }
}

async function runCli(
  folder: string,
  extra: Record<string, string>,
): Promise<{ exitCode: number | null; output: string }> {
  const env: NodeJS.ProcessEnv = { ...cleanEnvironment(), ...extra }
  const child = spawn(process.execPath, [CLI, 'test', '--config', folder], {
    cwd: folder,
    env,
    timeout: RUN_TIMEOUT_MS,
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text) => (output += text))
  const exitCode = await new Promise<number | null>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', resolve)
  })
  return { exitCode, output: plain(output) }
}

/** Without what the run around it has told its own workers. */
function cleanEnvironment(): NodeJS.ProcessEnv {
  const entries = Object.entries(process.env)
  return Object.fromEntries(
    entries.filter(([name]) => !/^(?:TEST_|PW_|PWTEST_|PLAYWRIGHT_(?!MITM_|BROWSERS_)|FORCE_COLOR|CI$)/.test(name)),
  )
}

function resultsOf(report: JSONReport, title: string): JSONReportTestResult[] {
  const suites = [...report.suites]
  const found: JSONReportTestResult[] = []
  for (let suite = suites.shift(); suite; suite = suites.shift()) {
    suites.push(...(suite.suites ?? []))
    for (const spec of suite.specs) {
      if (spec.title === title) found.push(...spec.tests.flatMap(({ results }) => results))
    }
  }
  return found
}

function plain(text: string): string {
  // oxlint-disable-next-line no-control-regex
  return text.replace(/\u001b\[[\d;]*m/g, '')
}

function fail(text: string): never {
  throw new Error(text)
}
