import { once } from 'node:events'
import type { ClientHttp2Session, ClientHttp2Stream, ServerHttp2Stream } from 'node:http2'

import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import { heardBy, heardOn, Http2Stage, WAYS } from '../../testing/http2-stage.ts'
import type { Heard, Way } from '../../testing/http2-stage.ts'

/** RFC 9113 section 7, and one that nobody has defined. */
const CODES = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 0xbeef]

/** What is under way when something ends. */
type State = 'before the head' | 'in the body' | 'in the upload'

const STATES: readonly State[] = ['before the head', 'in the body', 'in the upload']

/** One stream in this state, and what both ends hear of its end. */
interface UnderWay {
  readonly client: ClientHttp2Stream
  readonly server: ServerHttp2Stream
  readonly atClient: Promise<Heard>
  readonly atServer: Promise<Heard>
}

async function underWay(stage: Http2Stage, session: ClientHttp2Session, state: State): Promise<UnderWay> {
  const accepted = new Promise<{ server: ServerHttp2Stream; atServer: Promise<Heard> }>((resolve) => {
    stage.handler = (server, raw) => {
      const atServer = heardBy(server, raw)
      if (state === 'in the body') {
        server.respond({ ':status': 200 }, { waitForTrailers: true })
        server.write('some')
      }
      resolve({ server, atServer })
    }
  })
  const client = session.request({ ':path': '/', ':method': 'POST' }, { endStream: state !== 'in the upload' })
  const atClient = heardOn(client)
  if (state === 'in the upload') client.write('some')
  const { server, atServer } = await accepted
  if (state === 'in the upload') await once(server, 'data')
  if (state === 'in the body') await once(client, 'data')
  return { client, server, atClient, atServer }
}

/** What is heard of an end: of a body only how long it was. */
const told = ({ heads, body, code, isWhole }: Heard): unknown => ({
  heads: heads.map(([kind]) => kind),
  length: body.length,
  code,
  isWhole,
})

let stage: Http2Stage
beforeAll(async () => {
  stage = await Http2Stage.open()
})
afterAll(() => stage[Symbol.asyncDispose]())

/** Whether another stream still passes. */
async function goesOn(session: ClientHttp2Session): Promise<boolean> {
  stage.handler = (stream) => stream.respond({ ':status': 204 }, { endStream: true })
  const heard = await heardOn(session.request({ ':path': '/' }))
  return heard.isWhole
}

describe.each(['server', 'client'] as const)('RST_STREAM of the %s', (by) => {
  describe.each(STATES)('%s', (state) => {
    const play = async (way: Way): Promise<unknown> => {
      const session = await stage.session(way)
      const heard: unknown[] = []
      for (const code of CODES) {
        const one = await underWay(stage, session, state)
        one[by].close(code)
        const other = by === 'server' ? await one.atClient : await one.atServer
        // Node's server takes a stream that was reset without an error for one that has ended, or not, as it comes.
        heard.push(by === 'client' && code === 0 ? other.code : told(other))
      }
      heard.push(await goesOn(session))
      session.close()
      return heard
    }

    it.each(WAYS)('has the same code as without a mitm: %s', async (way) => {
      const direct = await play('direct')
      expect(await play(way)).toEqual(direct)
      await stage.ended(CODES.length)
      const ends = stage.mitm.exchanges
        .slice(0, CODES.length)
        .map(({ endReason, http2 }) => [endReason, http2?.resetCode])
      expect(ends).toEqual(CODES.map((code) => [`${by}-reset`, code]))
    })
  })
})
