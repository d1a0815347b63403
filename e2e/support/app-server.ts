/** Starts the server of an application as a process of its own, whose calls pass through a mitm. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { TestMitm } from 'playwright-mitm'

const PROGRAM = fileURLToPath(new URL('app-server.mjs', import.meta.url))

/** A running one. */
export interface AppServer extends AsyncDisposable {
  /** `http://127.0.0.1:PORT/`. */
  readonly url: string
}

/** @param version - What it speaks to the API, where that does as well. */
export async function startAppServer(mitm: TestMitm, version: 'http1' | 'http2' = 'http1'): Promise<AppServer> {
  const child = spawn(process.execPath, [PROGRAM, version], {
    env: { ...process.env, ...mitm.env() },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [port] = await once(child.stdout, 'data')
  return {
    url: `http://127.0.0.1:${String(port).trim()}/`,
    async [Symbol.asyncDispose]() {
      const ended = once(child, 'exit')
      child.kill()
      await ended
    },
  }
}
