/** Holds `.oxlintrc.json` to the import directions: each forbidden import is planted in a copy of the folders. */
import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'

const ROOT = fileURLToPath(new URL('..', import.meta.url))

/** What a file must not import, and what it may. */
const CASES: readonly (readonly [file: string, specifier: string, verdict: 'refused' | 'allowed'])[] = [
  ['src/mitm.ts', '@playwright/test', 'refused'],
  ['src/mitm.ts', 'playwright-core', 'refused'],
  ['src/mitm.ts', 'playwright-mitm/core', 'refused'],
  ['src/mitm.ts', '../fixtures/test.ts', 'refused'],
  ['src/mitm.ts', './flow/accept.ts', 'allowed'],
  ['src/mitm.test.ts', '@playwright/test', 'refused'],
  ['src/index.ts', '../matchers/index.ts', 'refused'],
  ['src/errors.ts', './host.ts', 'refused'],
  ['src/errors.ts', './internal/deadline.ts', 'allowed'],
  ['src/internal/deadline.ts', '../host.ts', 'refused'],
  ['src/internal/deadline.ts', '../flow/dial.ts', 'refused'],
  ['src/internal/deadline.ts', '../errors.ts', 'allowed'],
  ['src/internal/deadline.ts', './signal.ts', 'allowed'],
  ['src/host.ts', './flow/dial.ts', 'refused'],
  ['src/host.ts', './middleware/log.ts', 'refused'],
  ['src/host.ts', './mitm.ts', 'refused'],
  ['src/host.ts', './middleware.ts', 'allowed'],
  ['src/protocols/http1/relay.ts', '../../middleware/log.ts', 'refused'],
  ['src/protocols/http1/relay.ts', '../../flow/dial.ts', 'refused'],
  ['src/protocols/http1/relay.ts', '../../tls/leaf.ts', 'refused'],
  ['src/protocols/http1/relay.ts', '../../mitm.ts', 'refused'],
  ['src/protocols/http1/relay.ts', '../../middleware.ts', 'allowed'],
  ['src/protocols/http1/relay.ts', '../tcp/tcp.ts', 'allowed'],
  ['src/protocols/http1/relay.ts', 'node:net', 'allowed'],
  ['src/protocols/http1/parse.ts', 'node:net', 'refused'],
  ['src/protocols/http1/write-head.ts', 'node:tls', 'refused'],
  ['src/protocols/http1/framer.ts', 'node:http', 'refused'],
  ['src/protocols/http2/hpack-decode.ts', 'node:http2', 'refused'],
  ['src/protocols/socks/head.ts', '../../rules/rule.ts', 'refused'],
  ['src/tls/client-hello.ts', 'node:tls', 'refused'],
  ['src/tls/leaf.ts', '../flow/dial.ts', 'refused'],
  ['src/tls/leaf.ts', 'node:tls', 'allowed'],
  ['src/middleware/log.ts', '../rules/rule.ts', 'refused'],
  ['src/middleware/log.ts', '../connection.ts', 'allowed'],
  ['src/rules/rule.ts', '../recording/recording.ts', 'refused'],
  ['src/rules/rule.ts', '../internal/content.ts', 'allowed'],
  ['src/rules/rule-list.ts', '../msw/handler-book.ts', 'refused'],
  ['src/rules/rule-list.ts', 'msw', 'refused'],
  ['src/msw/handlers.ts', 'msw', 'refused'],
  ['src/msw/handlers.ts', 'msw-2/node', 'refused'],
  ['src/msw/handlers.ts', '../protocols/http1/session.ts', 'refused'],
  ['src/msw/handlers.ts', '../rules/cors.ts', 'allowed'],
  ['src/msw/handlers.test.ts', 'msw-2', 'allowed'],
  ['src/mitm.ts', './msw/handler-book.ts', 'allowed'],
  ['src/recording/recording.ts', '../middleware/recorder.ts', 'refused'],
  ['src/faults/latency.ts', '../index.ts', 'refused'],
  ['src/flow/dial.ts', '../mitm.ts', 'refused'],
  ['src/flow/dial.ts', '../tls/leaf.ts', 'allowed'],
  ['fixtures/test.ts', '../src/mitm.ts', 'refused'],
  ['fixtures/test.ts', '../src/index.ts', 'allowed'],
  ['fixtures/test.ts', '../matchers/failure-text.ts', 'refused'],
  ['fixtures/test.ts', '../matchers/index.ts', 'allowed'],
  ['fixtures/test.ts', '@playwright/test', 'allowed'],
  ['matchers/failure-text.ts', '../src/errors.ts', 'refused'],
  ['matchers/failure-text.ts', '../src/rules/rule.ts', 'refused'],
  ['matchers/failure-text.ts', '../src/index.ts', 'allowed'],
  ['matchers/failure-text.ts', '../fixtures/index.ts', 'refused'],
  ['examples/shop/shop.spec.ts', '../../fixtures/index.ts', 'refused'],
  ['examples/shop/shop.spec.ts', '../../src/index.ts', 'refused'],
  ['examples/shop/shop.spec.ts', '@playwright/test', 'refused'],
  ['examples/shop/shop.spec.ts', 'playwright-mitm', 'allowed'],
]

interface Report {
  readonly diagnostics: readonly {
    readonly code: string
    readonly filename: string
    readonly labels: readonly { readonly span: { readonly line: number } }[]
  }[]
}

let folder: string
/** `file -> specifier` of each import that was refused. */
let refused: Set<string>

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lint-rules-'))
  // A boundary: the file is ours.
  const config = JSON.parse(await readFile(join(ROOT, '.oxlintrc.json'), 'utf8')) as object
  await writeFile(join(folder, '.oxlintrc.json'), JSON.stringify({ ...config, options: {} }))

  const files = new Map<string, string[]>()
  for (const [file, specifier] of CASES) files.set(file, [...(files.get(file) ?? []), specifier])
  for (const [file, specifiers] of files) {
    await mkdir(dirname(join(folder, file)), { recursive: true })
    const lines = specifiers.map((specifier, index) => `export { a as a${index} } from '${specifier}'`)
    await writeFile(join(folder, file), `${lines.join('\n')}\n`)
  }
  const { diagnostics } = await lint(folder)
  refused = new Set(
    diagnostics
      .filter(({ code }) => code.includes('no-restricted-imports'))
      .map(({ filename, labels }) => {
        const file = filename.replaceAll('\\', '/')
        const specifier = files.get(file)?.[(labels[0]?.span.line ?? 0) - 1]
        return `${file} -> ${String(specifier)}`
      }),
  )
}, 60_000)

afterAll(async () => {
  await rm(folder, { recursive: true, force: true })
})

test.for(CASES)('%s imports %s: %s', ([file, specifier, verdict]) => {
  expect(refused.has(`${file} -> ${specifier}`) ? 'refused' : 'allowed').toBe(verdict)
})

async function lint(cwd: string): Promise<Report> {
  const program = join(ROOT, 'node_modules', 'oxlint', 'bin', 'oxlint')
  return new Promise((resolve) => {
    // It exits with 1, for it found something.
    execFile(process.execPath, [program, '-c', '.oxlintrc.json', '-f', 'json'], { cwd }, (_, stdout) =>
      resolve(JSON.parse(stdout) as Report),
    )
  })
}
