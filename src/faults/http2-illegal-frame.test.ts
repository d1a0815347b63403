import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

import { expect, it } from 'vitest'

import * as faults from './faults.ts'
import { Http2Stage } from '../testing/http2-stage.ts'

/** Collects garbage until sessions that are over are gone: where one is not clean, that aborts the process. */
async function collectSessions(): Promise<void> {
  setFlagsFromString('--expose-gc')
  const collect: unknown = runInNewContext('gc')
  if (typeof collect !== 'function') throw new TypeError('There is no gc()')
  for (let round = 0; round < 5; round++) {
    collect()
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

/** Lets a client of Node have a fault of each kind, in a session of its own. */
async function flawed(flaws: readonly faults.Http2FrameFlaw[]): Promise<void> {
  await using stage = await Http2Stage.open()
  for (const flaw of flaws) {
    const session = await stage.session('late bridge')
    const rule = stage.mitm.get('https://api.test/').fault(faults.http2IllegalFrame(flaw))
    const stream = session.request({ ':path': '/' })
    stream.on('error', () => undefined).resume()
    await expect.poll(() => rule.calls).toBe(1)
    // Clients of Node tell nothing of some of them.
    await new Promise((resolve) => setTimeout(resolve, 30))
    session.destroy()
  }
}

it.each([
  'hpackGarbage',
  'interruptedHeaders',
  'missingStatus',
  'pushPromise',
  'strayContinuation',
  'uppercaseField',
  'connectionField',
] as const)('http2IllegalFrame("%s") does not abort a process with a client of Node', async (flaw) => {
  await flawed(Array(4).fill(flaw))
  await collectSessions()
})
