import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

import { describe, expect, it } from 'vitest'

import * as faults from '../../faults/faults.ts'
import { startMitm } from '../../test-mitm.ts'
import { tunnelTo } from '../../testing/clients.ts'
import { FramePeer } from '../../testing/frame-peer.ts'
import { Http2Stage } from '../../testing/http2-stage.ts'
import { wireServer } from '../../testing/servers.ts'
import { FLAG } from './frame.ts'
import { writeHeaders } from './frame-write.ts'
import { writeFieldBlock } from './hpack-encode.ts'

/** A head whose end is still to come. Its fields take memory of the session's, which Node 20 misses when it is collected. */
function begunHead(streamId: number, first: readonly (readonly [string, string])[]): Buffer {
  const frame = Buffer.from(writeHeaders(streamId, writeFieldBlock([...first, ['x-kept', 'in memory of its own']])))
  frame.writeUInt8(frame.readUInt8(4) & ~FLAG.endHeaders, 4)
  return frame
}

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

/** A bridge, and the two endpoints beside it, behind one exchange that has passed. */
async function bridged(act: (client: FramePeer, server: FramePeer) => Promise<void>): Promise<{
  readonly client: readonly string[]
  readonly server: readonly string[]
  readonly reasons: readonly unknown[]
  readonly errors: readonly string[]
}> {
  await using origin = await wireServer()
  await using mitm = await startMitm({ hosts: { 'api.test': origin.authority } })
  mitm.get('http://api.test/for-nobody').rewriteRequest({ headers: { a: 'b' } })
  const client = new FramePeer(await tunnelTo(mitm, 'api.test:80'), 'client').greet().ask(1)
  const server = new FramePeer(await origin.next(), 'server').greet()
  await server.hear('END 1')
  server.respond(1, 204, true)
  await client.hear('END 1')
  client.heard.length = 0
  server.heard.length = 0
  await act(client, server)
  await client.hear('fin')
  client.wire.end()
  await server.hear('fin')
  server.wire.end()
  const reasons = mitm.exchanges.slice(1).map(({ endReason, http2 }) => [endReason, http2?.resetName])
  return { client: client.heard, server: server.heard, reasons, errors: mitm.errors.map(({ code }) => code) }
}

describe('a frame within a field block', () => {
  it('of the server breaks its session, and no more', async () => {
    for (let round = 0; round < 4; round++) {
      const { client, server, reasons, errors } = await bridged(async (from, to) => {
        from.ask(3).ask(5)
        await to.hear('END 5')
        to.send(begunHead(3, [[':status', '200']])).data(3, 'x')
      })
      expect(client).toEqual(['RST_STREAM 3 PROTOCOL_ERROR', 'RST_STREAM 5 PROTOCOL_ERROR', 'fin'])
      expect(server).toEqual(['HEADERS 3', 'END 3', 'HEADERS 5', 'END 5', 'GOAWAY 0 PROTOCOL_ERROR', 'fin'])
      expect(reasons).toEqual([
        ['server-reset', 'PROTOCOL_ERROR'],
        ['server-reset', 'PROTOCOL_ERROR'],
      ])
      expect(errors).toEqual([])
    }
    await collectSessions()
  })

  it('of the client ends its session, which is told', async () => {
    for (let round = 0; round < 4; round++) {
      const { client, server, errors } = await bridged(async (from) => {
        const head = begunHead(3, [
          [':method', 'GET'],
          [':scheme', 'http'],
          [':authority', 'api.test'],
          [':path', '/'],
        ])
        from.send(head).data(3, 'x')
        await from.hear(/GOAWAY/)
      })
      expect(client).toEqual(['GOAWAY 1 PROTOCOL_ERROR', 'fin'])
      expect(server).toEqual(['fin'])
      expect(errors).toEqual(['MITM_HTTP2_FAILED'])
    }
    await collectSessions()
  })
})

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

it.each(['hpackGarbage', 'interruptedHeaders', 'missingStatus', 'pushPromise', 'uppercaseField'] as const)(
  'http2IllegalFrame("%s") does not abort a process with a client of Node',
  async (flaw) => {
    await flawed(Array(4).fill(flaw))
    await collectSessions()
  },
)
