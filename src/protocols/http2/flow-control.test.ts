import { createHash } from 'node:crypto'
import { once } from 'node:events'
import type { ClientHttp2Stream, ServerHttp2Stream } from 'node:http2'

import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import { factsOf, heardOn, Http2Stage, WAYS } from '../../testing/http2-stage.ts'

const LARGE = Buffer.alloc(10 * 2 ** 20, 'abcdefg')

/** Sends a large body as fast as it is taken. @returns How much has been taken so far */
function pour(stream: ClientHttp2Stream | ServerHttp2Stream): { readonly takenBytes: () => number } {
  let at = 0
  const more = (): void => {
    while (at < LARGE.length) {
      const chunk = LARGE.subarray(at, at + 65_536)
      at += chunk.length
      if (!stream.write(chunk)) {
        stream.once('drain', more)
        return
      }
    }
    stream.end()
  }
  more()
  return { takenBytes: () => at - stream.writableLength }
}

/** Resolves when a number does not grow any more. */
async function stands(read: () => number): Promise<number> {
  let last = -1
  for (let same = 0; same < 5; same++) {
    await new Promise((resolve) => setTimeout(resolve, 20))
    if (read() !== last) same = 0
    last = read()
  }
  return last
}

let stage: Http2Stage
beforeAll(async () => {
  stage = await Http2Stage.open()
})
afterAll(() => stage[Symbol.asyncDispose]())

describe.each(['CONNECT', 'SOCKS5'] as const)('10 MiB inside of %s', (door) => {
  it.each(WAYS)('come down whole, and wait for a slow reader: %s', async (way) => {
    let taken = (): number => 0
    stage.handler = (stream) => {
      stream.respond({ ':status': 200 })
      taken = pour(stream).takenBytes
    }
    const session = await stage.session(way, door)
    const stream = session.request({ ':path': '/' })
    await once(stream, 'response')
    // Windows, sockets and queues hold some of it, but not all.
    expect(await stands(() => taken())).toBeLessThan(6 * 2 ** 20)
    // Others pass meanwhile.
    stage.handler = (other) => other.respond({ ':status': 204 }, { endStream: true })
    expect((await heardOn(session.request({ ':path': '/' }))).isWhole).toBe(true)
    expect((await heardOn(stream)).body).toEqual(factsOf(LARGE))
    session.close()
  })

  it.each(WAYS)('go up whole, and wait for a slow reader: %s', async (way) => {
    const accepted = new Promise<ServerHttp2Stream>((resolve) => (stage.handler = resolve))
    const session = await stage.session(way, door)
    const stream = session.request({ ':path': '/', ':method': 'POST' })
    const heard = heardOn(stream)
    const { takenBytes } = pour(stream)
    const server = await accepted
    expect(await stands(takenBytes)).toBeLessThan(6 * 2 ** 20)
    const hash = createHash('sha256')
    server.on('data', (chunk: Buffer) => hash.update(chunk))
    await once(server, 'end')
    server.respond({ ':status': 204 }, { endStream: true })
    expect((await heard).isWhole).toBe(true)
    expect(hash.digest('base64')).toBe(factsOf(LARGE).hash)
    session.close()
  })
})

it.each(['bridge', 'late bridge'] as const)(
  'a body waits at its client while a rule keeps the request: %s',
  async (way) => {
    await using small = await Http2Stage.open({ mitm: { maxBodyBytes: 100_000 } })
    const hash = createHash('sha256')
    small.handler = (stream) => {
      stream.on('data', (chunk: Buffer) => hash.update(chunk))
      stream.on('end', () => stream.respond({ ':status': 204 }, { endStream: true }))
    }
    const session = await small.session(way)
    small.mitm.post('https://api.test/').delay(500)
    const stream = session.request({ ':path': '/', ':method': 'POST' })
    const heard = heardOn(stream)
    pour(stream)
    const exchange = await small.mitm.waitForRequest('https://api.test/')
    expect(await stands(() => exchange.request.bodySize)).toBeLessThan(2 * 2 ** 20)
    expect(exchange.sentRequest ?? exchange.serverAddress).toBeUndefined()
    expect((await heard).isWhole).toBe(true)
    expect(hash.digest('base64')).toBe(factsOf(LARGE).hash)
  },
)

describe('what a server has said before it leaves', () => {
  it.each(WAYS)('comes whole, however slow its client reads: %s', async (way) => {
    stage.handler = (stream) => {
      stream.respond({ ':status': 200 })
      stream.end(LARGE.subarray(0, 60_000))
      stream.once('close', () => stage.serverSession.close())
    }
    const session = await stage.session(way, 'CONNECT', { initialWindowSize: 1000 })
    const stream = session.request({ ':path': '/' })
    await once(stream, 'response')
    expect((await heardOn(stream)).body).toEqual(factsOf(LARGE.subarray(0, 60_000)))
  })

  it.each(WAYS)('a hundred streams at once: %s', async (way) => {
    stage.handler = (stream) => {
      stream.respond({ ':status': 200 })
      stream.pipe(stream)
    }
    const session = await stage.session(way)
    const bodies = await Promise.all(
      Array.from({ length: 100 }, async (_, at) => {
        const stream = session.request({ ':path': `/${at}`, ':method': 'POST' })
        stream.end(Buffer.alloc(20_000, String(at)))
        return (await heardOn(stream)).body
      }),
    )
    expect(bodies).toEqual(bodies.map((_, at) => factsOf(Buffer.alloc(20_000, String(at)))))
    await stage.ended(100)
    expect(new Set(stage.mitm.exchanges.map(({ endReason }) => endReason))).toEqual(new Set(['complete']))
    session.close()
  })
})
