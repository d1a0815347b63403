import { readFile } from 'node:fs/promises'
import { expect, test } from 'vitest'

interface LockFile {
  readonly packages: Readonly<Record<string, { readonly optionalDependencies?: Readonly<Record<string, string>> }>>
}

// npm leaves out what its registry does not have, and `npm ci` then refuses the file, on every platform.
test('the lock file names every optional dependency, those of other platforms too', async () => {
  // A boundary: npm wrote this file.
  const lock = JSON.parse(await readFile(new URL('../package-lock.json', import.meta.url), 'utf8')) as LockFile
  const paths = new Set(Object.keys(lock.packages))
  const missing = Object.entries(lock.packages).flatMap(([path, { optionalDependencies = {} }]) =>
    Object.keys(optionalDependencies).filter((name) => !placesOf(path, name).some((place) => paths.has(place))),
  )
  expect(missing).toEqual([])
})

/** Where a package at `path` finds another one: below itself, or below any of those it is in. */
function placesOf(path: string, name: string): string[] {
  const folders = [path]
  for (let end = path.lastIndexOf('node_modules/'); end > 0; end = path.lastIndexOf('node_modules/', end - 1)) {
    folders.push(path.slice(0, end - 1))
  }
  return [...folders.filter(Boolean).map((folder) => `${folder}/node_modules/${name}`), `node_modules/${name}`]
}
