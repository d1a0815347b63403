/**
 * Compiles every example of the documentation as a user would: the `ts` blocks of JSDoc `@example`s and of the Markdown
 * files, each as a module that imports the package by its name. A Markdown block that begins with three backticks and
 * `ts no-check` is left out.
 */
import { execFile } from 'node:child_process'
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join, relative } from 'node:path'
import process from 'node:process'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
// In the package, so that its own name resolves.
const FOLDER = join(ROOT, '.examples')
const PLACES = ['src', 'fixtures', 'matchers', 'docs', 'README.md', 'ARCHITECTURE.md', 'CONTRIBUTING.md']

const examples = (await Promise.all(await sources())).flat()
await rm(FOLDER, { recursive: true, force: true })
await mkdir(FOLDER)
try {
  const names = await Promise.all(
    examples.map(async ({ code }, index) => {
      const name = `example-${String(index + 1)}.mts`
      // Without an export, what one example declares would be seen by all.
      await writeFile(join(FOLDER, name), `${code}\nexport {}\n`)
      return name
    }),
  )
  await writeFile(
    join(FOLDER, 'tsconfig.json'),
    JSON.stringify({
      extends: '../tsconfig.json',
      // An outDir of its own: the package is what the build made, as for a user, and not the sources.
      compilerOptions: {
        rootDir: '..',
        outDir: 'out',
        isolatedDeclarations: false,
        declaration: false,
        // Here it is installed by other names, as there are two.
        paths: { msw: ['../node_modules/msw-3/lib/core/index.d.ts'] },
      },
      include: [],
      files: names,
    }),
  )
  const output = examples.length > 0 ? await compile() : ''
  const located = output.replaceAll(
    /(?:\.examples[\\/])?example-(\d+)\.mts\((\d+),(\d+)\)/g,
    (_, number, line, column) => {
      const { file, startLine } = examples[Number(number) - 1]
      return `${file}:${startLine + Number(line)} (column ${column} of the example)`
    },
  )
  if (located) console.error(located)
  console.log(`${examples.length} examples, ${output ? 'not all of them compile' : 'all of them compile'}`)
  process.exitCode = output ? 1 : 0
} finally {
  await rm(FOLDER, { recursive: true, force: true })
}

/** @returns A promise of the examples of each file. */
async function sources() {
  const found = []
  for (const place of PLACES) {
    const path = join(ROOT, place)
    if (place.endsWith('.md')) {
      found.push(readExamples(path))
      continue
    }
    const names = await readdir(path, { recursive: true }).catch(() => [])
    for (const name of names)
      if (/(?<!\.test|\.test-d)\.ts$|\.md$/.test(name)) found.push(readExamples(join(path, name)))
  }
  return found
}

async function readExamples(path) {
  const text = await readFile(path, 'utf8').catch(() => '')
  const found = []
  let example
  for (const [index, line] of text.split('\n').entries()) {
    const content = path.endsWith('.md') ? line : line.replace(/^\s*\* ?/, '')
    if (example) {
      if (content.startsWith('```')) {
        found.push({ ...example, code: example.lines.join('\n') })
        example = undefined
      } else example.lines.push(content)
    } else if (/^```ts\s*$/.test(content)) {
      example = { file: relative(ROOT, path), startLine: index + 1, lines: [] }
    }
  }
  return found
}

/** @returns What the compiler has to say; nothing when all is well. */
async function compile() {
  return new Promise((resolve) => {
    const compiler = join(ROOT, 'node_modules', 'typescript', 'bin', 'tsc')
    execFile(process.execPath, [compiler, '-p', FOLDER], { cwd: ROOT }, (error, stdout, stderr) => {
      resolve(error ? stdout + stderr || error.message : '')
    })
  })
}
