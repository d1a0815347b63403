/** A Chromium whose own certificate store (NSS) trusts a CA, so that it checks certificates as it does for everybody. */
import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** The home of a browser. */
export interface TrustingHome extends AsyncDisposable {
  /** The environment in which that is the browser's home. */
  readonly env: Record<string, string>
}

/**
 * Makes a home with a store that trusts a CA.
 *
 * @param certificate - The CA's, in PEM.
 * @param env - The environment of the browser so far.
 * @returns Undefined where there is no `certutil` (Debian's `libnss3-tools`).
 */
export async function makeTrustingHome(
  certificate: string,
  env: Readonly<Record<string, string | undefined>>,
): Promise<TrustingHome | undefined> {
  const home = await mkdtemp(join(tmpdir(), 'fault-home-'))
  const remove = (): Promise<void> => rm(home, { recursive: true, force: true })
  // Where Chromium looks on Linux.
  const store = join(home, '.pki', 'nssdb')
  const file = join(home, 'ca.pem')
  await mkdir(store, { recursive: true })
  await writeFile(file, certificate)
  try {
    await certutil('-N', '-d', `sql:${store}`, '--empty-password')
    await certutil('-A', '-d', `sql:${store}`, '-n', 'mitm', '-t', 'C,,', '-i', file)
  } catch (error) {
    await remove()
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw error
  }
  const own: Record<string, string> = {}
  for (const [name, value] of Object.entries(env)) if (value !== undefined) own[name] = value
  return { env: { ...own, HOME: home }, [Symbol.asyncDispose]: remove }
}

async function certutil(...args: string[]): Promise<void> {
  // Named by those who have it in a place of their own.
  await run(process.env['CERTUTIL'] ?? 'certutil', args)
}
