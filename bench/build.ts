/** Builds the sources and the bench, so that what is measured is what is published: plain JavaScript, no loader. */
import { execFile } from 'node:child_process'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const root = fileURLToPath(new URL('..', import.meta.url))
/** One for each run, as two may run at once. */
const folder = join(root, 'node_modules/.cache/playwright-mitm-bench', String(process.pid))

/** Builds everything; returns the folder that holds the built `bench`. The caller removes it by {@link removeBuild}. */
export async function build(): Promise<string> {
  await mkdir(folder, { recursive: true })
  await promisify(execFile)(process.execPath, [
    join(root, 'node_modules/typescript/bin/tsc'),
    '-p',
    join(root, 'bench/tsconfig.json'),
    '--outDir',
    folder,
  ]).catch((error: unknown) => {
    // Types that do not fit are somebody else's business: the JavaScript is there all the same.
    const said = error instanceof Error && 'stdout' in error ? String(error.stdout).trim() : String(error)
    console.error(`The build says:\n${said}\n`)
  })
  // Below node_modules no package.json says that these are modules.
  await writeFile(join(folder, 'package.json'), '{ "type": "module" }\n')
  return join(folder, 'bench')
}

/** Removes what was built. */
export function removeBuild(): Promise<void> {
  return rm(folder, { recursive: true, force: true })
}
