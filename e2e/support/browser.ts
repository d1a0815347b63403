/**
 * Finds a Chromium to run the suites in, so that they run on a machine with nothing but Node and the npm packages.
 *
 * Not for users: they have the browser that Playwright installed.
 */
import { execFile } from 'node:child_process'
import { access, constants, mkdir, mkdtemp, readFile, rename, rm } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { delimiter, dirname, join } from 'node:path'
import process from 'node:process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { chromium } from '@playwright/test'

const run = promisify(execFile)

/** A browser, in the words of Playwright's `launchOptions`. */
export interface FoundBrowser {
  /** Undefined where Playwright finds it by itself. */
  executablePath?: string
  args: string[]
  /** The whole environment of the browser; undefined where it is the one of this process. */
  env?: Record<string, string>
  source: 'playwright' | 'system' | 'sparticuz'
}

// Nothing but what the tests mean to do may be on the wire, and QUIC would go past the proxy.
const QUIET = [
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]
const NO_SANDBOX = '--no-sandbox'

const SYSTEM_NAMES = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable']
const SYSTEM_FOLDERS = ['/usr/bin', '/usr/local/bin', '/snap/bin', '/opt/google/chrome']
const SYSTEM_FILES = ['/opt/google/chrome/chrome', '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome']

/**
 * Finds a browser: the one named by `PLAYWRIGHT_MITM_BROWSER`, else Playwright's own, else the system's, else the one
 * of `@sparticuz/chromium`, which is unpacked once (about two seconds, 250 MB below `node_modules/.cache`).
 *
 * Safe to call from many processes at once.
 *
 * @param environment - Where to look for `PLAYWRIGHT_MITM_BROWSER` and `PATH`.
 * @throws Error when `PLAYWRIGHT_MITM_BROWSER` names something that does not run, or no browser was found.
 */
export async function findBrowser(environment: NodeJS.ProcessEnv = process.env): Promise<FoundBrowser> {
  const args = process.getuid?.() === 0 ? [NO_SANDBOX, ...QUIET] : [...QUIET]
  const chosen = environment['PLAYWRIGHT_MITM_BROWSER']
  if (chosen) {
    if (await runs(chosen)) return { executablePath: chosen, args, source: 'system' }
    throw new Error(`Cannot use PLAYWRIGHT_MITM_BROWSER: ${JSON.stringify(chosen)} does not answer to --version`)
  }

  const full = chromium.executablePath()
  if (await exists(join(headlessShellFolder(full), 'INSTALLATION_COMPLETE'))) return { args, source: 'playwright' }
  if (await runs(full)) return { executablePath: full, args, source: 'playwright' }

  const folders = new Set([...(environment['PATH'] ?? '').split(delimiter), ...SYSTEM_FOLDERS])
  const candidates = [...folders].flatMap((folder) => SYSTEM_NAMES.map((name) => join(folder, name)))
  for (const path of [...candidates, ...SYSTEM_FILES]) {
    if (await runs(path)) return { executablePath: path, args, source: 'system' }
  }
  return unpacked(environment)
}

/** Where Playwright keeps the headless shell that belongs to the full browser at `path`. */
function headlessShellFolder(path: string): string {
  const revision = /^(.*[\\/])chromium-(\d+)[\\/]/.exec(path)
  return revision ? `${revision[1]}chromium_headless_shell-${revision[2]}` : dirname(path)
}

async function unpacked(environment: NodeJS.ProcessEnv): Promise<FoundBrowser> {
  if (process.platform !== 'linux' || process.arch !== 'x64') {
    throw new Error('No browser found; run "npx playwright install chromium", or set PLAYWRIGHT_MITM_BROWSER')
  }
  const folder = await unpack()
  const executablePath = join(folder, 'chromium')
  const libraries = join(folder, 'al2023', 'lib')
  const env: Record<string, string> = {}
  for (const [name, value] of Object.entries(environment)) if (value !== undefined) env[name] = value

  // The system's libraries go first: theirs match the rest of it.
  const missing = await missingLibraries(executablePath)
  if (missing.length > 0) {
    env['LD_LIBRARY_PATH'] = [libraries, environment['LD_LIBRARY_PATH']].filter(Boolean).join(delimiter)
    const stillMissing = await missingLibraries(executablePath, env)
    if (stillMissing.length > 0) throw new Error(`Chromium needs libraries of the system: ${stillMissing.join(', ')}`)
  }
  // Without any font list, text has no size and Chromium may crash on it.
  if (!(await exists('/etc/fonts/fonts.conf'))) env['FONTCONFIG_PATH'] ??= join(folder, 'fonts')
  return { executablePath, args: [NO_SANDBOX, ...QUIET], env, source: 'sparticuz' }
}

/** Unpacks into a folder of its own and renames that, so that a half-unpacked browser is never seen. */
async function unpack(): Promise<string> {
  // It exports no package.json; its entry point is in build/.
  const entry = createRequire(import.meta.url).resolve('@sparticuz/chromium')
  const packageFolder = /^.*[\\/]@sparticuz[\\/]chromium/.exec(entry)?.[0] ?? dirname(entry)
  const cache = join(packageFolder, '..', '..', '.cache', 'playwright-mitm')
  const { version } = await packageJson(packageFolder)
  const folder = join(cache, `chromium-${version}`)
  if (await exists(folder)) return folder

  await mkdir(cache, { recursive: true })
  const draft = await mkdtemp(join(cache, 'unpacking-'))
  try {
    await run(process.execPath, [fileURLToPath(new URL('inflate-chromium.mjs', import.meta.url)), draft, folder])
    await rename(draft, folder)
  } catch (error) {
    await rm(draft, { recursive: true, force: true })
    // Another process was faster.
    if (!(await exists(folder))) throw error
  }
  return folder
}

async function packageJson(folder: string): Promise<{ version: string }> {
  // A boundary: npm wrote this file.
  return JSON.parse(await readFile(join(folder, 'package.json'), 'utf8')) as { version: string }
}

/** What `ldd` does not find. Nothing, where there is no `ldd`: then launching will tell. */
async function missingLibraries(path: string, env: Record<string, string> = {}): Promise<string[]> {
  try {
    const { stdout } = await run('ldd', [path], { env: { ...process.env, ...env } })
    return [...stdout.matchAll(/^\s*(\S+) => not found/gm)].map((match) => match[1] ?? '')
  } catch {
    return []
  }
}

/** Whether a program is there and runs: Ubuntu's `chromium-browser` may be a script that only says to install another. */
async function runs(path: string): Promise<boolean> {
  try {
    await access(path, constants.X_OK)
    await run(path, ['--version'], { timeout: 15_000 })
    return true
  } catch {
    return false
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    await access(path)
    return true
  } catch {
    return false
  }
}
