/** A reader that is slow, on either side, slows the other side down: the proxy holds little of what is between them. */
import { once } from 'node:events'
import type { Duplex } from 'node:stream'
import { setTimeout as wait } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import type { Connection } from './connection.ts'
import { startMitm } from './test-mitm.ts'
import type { TestMitm } from './test-mitm.ts'
import type { End } from './testing/conversation.ts'
import { enter, Origin, ORIGIN_NAME } from './testing/doors.ts'
import type { Door } from './testing/doors.ts'
import { CertificateAuthority } from './tls/certificate-authority.ts'

const MIB = 1024 * 1024
const BODY_SIZE = 50 * MIB
/** What the streams of the mitm may hold; the buffers of the operating system are not the mitm's. */
const MAX_HELD = MIB
const piece = Buffer.alloc(64 * 1024, 'a')

let authority: CertificateAuthority
let origins: Record<'connect' | 'socks5-tls', Origin>
let mitms: Record<'connect' | 'socks5-tls', TestMitm>
const connections: Connection[] = []

beforeAll(async () => {
  authority = await CertificateAuthority.create()
  origins = { connect: new Origin(), 'socks5-tls': new Origin(authority) }
  await Promise.all(Object.values(origins).map((origin) => origin.listen()))
  const start = (door: 'connect' | 'socks5-tls'): Promise<TestMitm> =>
    startMitm({
      certificateAuthority: authority,
      upstream: { ca: authority.certificate },
      hosts: { [ORIGIN_NAME]: `127.0.0.1:${origins[door].port}` },
      middlewares: [{ clientConnected: (connection) => void connections.push(connection) }],
    })
  mitms = { connect: await start('connect'), 'socks5-tls': await start('socks5-tls') }
})

afterAll(async () => {
  await Promise.all(Object.values(mitms).map((mitm) => mitm.close()))
  for (const origin of Object.values(origins)) origin.close()
})

async function open(door: 'connect' | 'socks5-tls'): Promise<{ client: End; server: End; connection: Connection }> {
  const accepted = origins[door].accept()
  const client = await enter(door satisfies Door, mitms[door].port, authority)
  const connection = connections.at(-1)
  if (!connection) throw new Error('The mitm has seen no connection')
  return { client, server: await accepted, connection }
}

/** Writes as fast as the stream takes it; tells how much it has taken so far. */
function pour(stream: Duplex, size: number): { readonly taken: number; readonly isDone: Promise<void> } {
  let written = 0
  const run = async (): Promise<void> => {
    while (written < size) {
      written += piece.length
      if (!stream.write(piece)) await once(stream, 'drain')
    }
  }
  const isDone = run()
  return {
    get taken() {
      return written - stream.writableLength
    },
    isDone,
  }
}

/** Resolves when a number has not grown for a while. */
async function standstill(count: () => number): Promise<void> {
  for (let before = -1; before !== count();) {
    before = count()
    // There is no event for what does not happen.
    await wait(150)
  }
}

/** Reads a stream until so many octets of a body have come; tells whether they are those of `pour`. */
async function drink(stream: Duplex, size: number): Promise<boolean> {
  let left = size
  let isRight = true
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    isRight &&= piece.subarray(0, Math.min(piece.length, chunk.length)).equals(chunk.subarray(0, piece.length))
    left -= chunk.length
    if (left <= 0) break
  }
  return isRight && left === 0
}

async function readHead(stream: Duplex, end: string): Promise<void> {
  let text = ''
  while (!text.endsWith(end)) {
    const chunk: unknown = stream.read(1)
    if (chunk instanceof Buffer) text += chunk.toString('latin1')
    else await once(stream, 'readable')
  }
}

/** Puts something in the way of the octets; returns what takes it out. */
const WAYS: Record<string, (mitm: TestMitm) => () => void> = {
  'a bare relay': () => () => undefined,
  'asynchronous hooks': (mitm) => {
    const registration = mitm.use({
      clientData: (_, data) => Promise.resolve(data),
      serverData: (_, data) => Promise.resolve(data),
    })
    return () => registration.dispose()
  },
  'transforms by a rule': (mitm) => {
    const rule = mitm.when(() => true)
    rule.clientData((data) => data).serverData((data) => Promise.resolve(data))
    return () => rule.remove()
  },
}

describe.each(['connect', 'socks5-tls'] as const)('through the door %s', (door) => {
  describe.each(Object.entries(WAYS))('with %s', (_, putInPlace) => {
    it('a client that does not read stalls the server, and gets all when it reads', async () => {
      const remove = putInPlace(mitms[door])
      const { client, server, connection } = await open(door)
      client.stream.write('GET / HTTP/1.1\r\nHost: origin.test\r\n\r\n')
      await readHead(server.stream, '\r\n\r\n')
      server.stream.write(`HTTP/1.1 200 OK\r\nContent-Length: ${BODY_SIZE}\r\n\r\n`)
      const flood = pour(server.stream, BODY_SIZE)
      await standstill(() => flood.taken)
      expect(connection.client.writer?.writableLength).toBeLessThan(MAX_HELD)
      expect(flood.taken).toBeLessThan(BODY_SIZE / 2)
      await readHead(client.stream, '\r\n\r\n')
      expect(await drink(client.stream, BODY_SIZE)).toBe(true)
      await flood.isDone
      const response = mitms[door].exchanges.at(-1)?.response
      expect([response?.bodySize, response?.body.length]).toEqual([BODY_SIZE, 10 * MIB])
      client.raw.destroy()
      server.raw.destroy()
      remove()
      mitms[door].reset()
    })

    it('a server that does not read stalls the client, and gets all when it reads', async () => {
      const remove = putInPlace(mitms[door])
      const { client, server, connection } = await open(door)
      client.stream.write(`PUT / HTTP/1.1\r\nHost: origin.test\r\nContent-Length: ${BODY_SIZE}\r\n\r\n`)
      const flood = pour(client.stream, BODY_SIZE)
      await standstill(() => flood.taken)
      expect(connection.server.writer?.writableLength).toBeLessThan(MAX_HELD)
      expect(flood.taken).toBeLessThan(BODY_SIZE / 2)
      await readHead(server.stream, '\r\n\r\n')
      expect(await drink(server.stream, BODY_SIZE)).toBe(true)
      await flood.isDone
      client.raw.destroy()
      server.raw.destroy()
      remove()
      mitms[door].reset()
    })
  })
})
