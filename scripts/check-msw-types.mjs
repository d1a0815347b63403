/**
 * Compiles a user's suite with handlers of MSW against the built package: with both majors of MSW and without it, under both
 * ways of resolving modules, with declarations checked and not. What is no handler must be refused in each.
 */
import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import process from 'node:process'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const MODULES = join(ROOT, 'node_modules')
const RESOLUTIONS = [
  { module: 'nodenext', moduleResolution: 'nodenext' },
  { module: 'esnext', moduleResolution: 'bundler' },
]

/** What is refused whether MSW is there or not. */
const REFUSED = `
import { defineMitm, test } from 'playwright-mitm'
import { startMitm } from 'playwright-mitm/core'
import type { MswHandler } from 'playwright-mitm/core'

declare const mitm: Awaited<ReturnType<typeof startMitm>>
declare const handlers: MswHandler[]
mitm.use(...handlers)
mitm.use({ requestStarted: () => undefined }, ...handlers)
mitm.resetHandlers(...handlers)
defineMitm(handlers)
defineMitm((given) => given.use(...handlers))
test.use({ mitmOptions: { handlers } })
// @ts-expect-error a text
mitm.use('GET /user')
// @ts-expect-error a number
mitm.use(42)
// @ts-expect-error a plain object
mitm.use({ run: 1 })
// @ts-expect-error a plain object
mitm.use({ method: 'GET', url: '/user' })
// @ts-expect-error an object that only has a method of the name
mitm.use({ run: () => undefined })
// @ts-expect-error an unspread array
mitm.use(handlers)
// @ts-expect-error an unspread array
mitm.resetHandlers(handlers)
// @ts-expect-error a text
defineMitm('GET /user')
// @ts-expect-error texts
defineMitm(['GET /user'])
// @ts-expect-error plain objects
test.use({ mitmOptions: { handlers: [{ run: 1 }] } })
// @ts-expect-error nested arrays
test.use({ mitmOptions: { handlers: [handlers] } })
// @ts-expect-error nested arrays
void startMitm({ handlers: [handlers] })
`

/** What is accepted of either major. */
const ACCEPTED = `
import { http, HttpResponse, ws } from 'msw'
import type { HttpHandler, RequestHandler, WebSocketHandler } from 'msw'

const user = http.get<{ id: string }, never, { name: string }>('https://api.test/:id', ({ params }) =>
  HttpResponse.json({ name: params.id }),
)
const chat = ws.link('wss://chat.test/live').addEventListener('connection', ({ client }) => client.send('hello'))
declare const requestHandler: RequestHandler
declare const httpHandler: HttpHandler
declare const webSocketHandler: WebSocketHandler
const all = [user, chat, http.all('*', () => undefined)]
mitm.use(user, chat, requestHandler, httpHandler, webSocketHandler, ...all)
mitm.resetHandlers(user, ...all)
defineMitm([user, chat])
defineMitm(all)
test.use({ mitmOptions: { handlers: all } })
void startMitm({ handlers: [user, chat] })
// @ts-expect-error an unspread array
mitm.use(all)
// @ts-expect-error a link, which is no handler yet
mitm.use(ws.link('wss://chat.test/live'))
// @ts-expect-error a function that makes handlers
mitm.resetHandlers(http.get)
`

/** @type {readonly { name: string, folder?: string, text: string }[]} */
const CASES = [
  { name: 'without msw', text: REFUSED },
  {
    name: 'msw 2',
    folder: 'msw-2',
    text: `${REFUSED}${ACCEPTED}
import { graphql, sse } from 'msw'
mitm.use(
  graphql.query<{ id: string }, { id: string }>('User', () => HttpResponse.json({ data: { id: '1' } })),
  graphql.link('https://api.test/').mutation('Pay', () => undefined),
  sse<{ price: string }>('https://live.test/', ({ client }) => client.send({ event: 'price', data: '42' })),
)
`,
  },
  {
    name: 'msw 3',
    folder: 'msw-3',
    text: `${REFUSED}${ACCEPTED}
import { graphql } from 'msw/graphql'
import { sse } from 'msw/sse'
const api = graphql.link('https://api.test/')
mitm.use(
  api.query<{ id: string }, { id: string }>('User', () => HttpResponse.json({ data: { id: '1' } })),
  api.subscription('OnPrice', ({ subscription }) => subscription.complete()),
  sse<{ price: string }>('https://live.test/', ({ client }) => client.send({ event: 'price', data: '42' })),
)
`,
  },
]

const folder = await mkdtemp(join(tmpdir(), 'playwright-mitm-types-'))
let count = 0
try {
  const problems = []
  for (const { name, folder: msw, text } of CASES) {
    for (const resolution of RESOLUTIONS) {
      for (const skipLibCheck of [true, false]) {
        const title = `${name}, ${resolution.moduleResolution}, skipLibCheck ${String(skipLibCheck)}`
        const project = join(folder, String(count++))
        await makeProject(project, { msw, text, compilerOptions: { ...resolution, skipLibCheck } })
        const output = await compile(project)
        if (output) problems.push(`${title}:\n${output}`)
      }
    }
  }
  for (const problem of problems) console.error(problem)
  console.log(
    `${count} suites with handlers of MSW, ${problems.length === 0 ? 'all of them compile' : `${problems.length} do not compile`}`,
  )
  process.exitCode = problems.length > 0 ? 1 : 0
} finally {
  await rm(folder, { recursive: true, force: true })
}

async function makeProject(project, { msw, text, compilerOptions }) {
  const links = {
    'playwright-mitm': ROOT,
    '@types/node': join(MODULES, '@types/node'),
    ...(msw && { msw: join(MODULES, msw) }),
  }
  for (const [name, target] of Object.entries(links)) {
    const path = join(project, 'node_modules', name)
    await mkdir(dirname(path), { recursive: true })
    await symlink(target, path, 'dir')
  }
  await writeFile(join(project, 'package.json'), JSON.stringify({ type: 'module' }))
  await writeFile(join(project, 'suite.ts'), text)
  await writeFile(
    join(project, 'tsconfig.json'),
    JSON.stringify({
      compilerOptions: {
        target: 'es2023',
        lib: ['es2024', 'dom', 'dom.iterable', 'dom.asynciterable', 'esnext.disposable'],
        types: ['node'],
        strict: true,
        noEmit: true,
        ...compilerOptions,
      },
      files: ['suite.ts'],
    }),
  )
}

/** @returns What the compiler has to say; nothing when all is well. */
async function compile(project) {
  return new Promise((resolve) => {
    const compiler = join(MODULES, 'typescript', 'bin', 'tsc')
    execFile(process.execPath, [compiler, '-p', project], { cwd: project }, (error, stdout, stderr) => {
      resolve(error ? stdout + stderr || error.message : '')
    })
  })
}
