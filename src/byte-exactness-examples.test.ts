/** Conversations in which a proxy once showed: what each side hears is what it hears over a direct connection. */
import { once } from 'node:events'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import { wordsOf } from './testing/conversation.ts'
import type { Line, Script, Turn } from './testing/conversation.ts'
import { DOORS, enter } from './testing/doors.ts'
import { Passages } from './testing/passages.ts'
import type { Touch } from './testing/passages.ts'

const UPGRADE = 'GET / HTTP/1.1\r\nHost: origin.test\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n'
const GET = 'GET / HTTP/1.1\r\nHost: origin.test\r\n\r\n'

function say(octets: string, after: Turn['after'] = 0, cuts: readonly number[] = []): Turn {
  return { octets, after, cuts }
}
function fin(endAfter: Line['endAfter'], ...turns: Turn[]): Line {
  return { turns, ending: 'fin', endAfter }
}
function reset(endAfter: Line['endAfter'], ...turns: Turn[]): Line {
  return { turns, ending: 'reset', endAfter }
}

const EXAMPLES: readonly { readonly name: string; readonly script: Script; readonly touch?: Touch }[] = [
  {
    name: 'a FIN behind a request for an upgrade reaches the server before its answer',
    script: {
      client: fin(0, say(UPGRADE)),
      server: fin('end', say('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n', 'end')),
    },
  },
  {
    name: 'a FIN behind a request for an upgrade that can never be answered reaches the server',
    script: {
      client: fin(0, say(GET), say(UPGRADE)),
      server: fin('end', say('HTTP/1.1 200 OK\r\n\r\nbody', GET.length)),
    },
  },
  {
    name: 'a server that speaks while the client has said no whole word is heard',
    script: { client: fin(0, say('abc'), say('def', 3)), server: fin('end', say('xyz')) },
  },
  {
    name: 'a server that answers and closes before a request head is whole is heard',
    script: { client: fin('end', say('GET / HTTP/1.1\r\nHost')), server: fin(0, say('HTTP/1.1 408 Timeout\r\n\r\n')) },
  },
  {
    name: 'a reset before the first octet reaches the server as a reset',
    script: { client: reset(0), server: fin('end') },
  },
  {
    name: 'a reset before the first octet reaches the client as a reset',
    script: { client: fin('end'), server: reset(0) },
  },
  {
    name: 'a reset in the midst of a request head reaches the server as a reset',
    script: { client: reset(1, say('GET / HTTP/1.1\r\nHo')), server: fin('end', say('x')) },
  },
  {
    name: 'a request that comes after the end of the server, and what is behind it, reaches the server',
    script: {
      client: fin('end', say(GET), say(GET, 'end'), say(GET, 'end')),
      server: fin(0, say('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok', GET.length)),
    },
    touch: 'rule-transforms',
  },
  {
    name: 'octets behind a response that cannot be framed are not lost where the client has ended',
    script: { client: fin(0, say(GET)), server: fin('end', say('Bad', GET.length, [1]), say('more', 'end')) },
    touch: 'rule-transforms',
  },
  {
    name: 'a server that speaks and resets while the first word is in a hook resets the client',
    script: { client: fin('end', say(GET, 0, [1, 16])), server: reset(0, say('GET ')) },
    touch: 'async-hooks',
  },
  {
    name: 'a FIN behind a request that was answered before it was whole reaches the server',
    script: {
      client: fin(0, say(`${GET}GET `, 0, [10, 21])),
      server: fin('end', say('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')),
    },
    touch: 'rule-transforms',
  },
]

describe('as without a proxy', () => {
  let passages: Passages
  beforeAll(async () => {
    passages = await Passages.open()
  })
  afterAll(() => passages.close())

  describe.each(EXAMPLES)('$name', ({ script, touch }) => {
    it.each(DOORS)('through the door %s', async (door) => {
      const direct = await passages.direct(door, script)
      const proxied = await passages.proxied(door, script, touch)
      expect(proxied.isOver).toBe(true)
      if (script.client.ending === 'fin' && script.server.ending === 'fin') expect(proxied).toEqual(direct)
      // Octets that are under way when a connection is reset may be lost.
      expect(wordsOf(script.server).startsWith(proxied.client.octets)).toBe(true)
      expect(wordsOf(script.client).startsWith(proxied.server.octets)).toBe(true)
      if (direct.client.end === 'reset') expect(proxied.client.end).toBe('reset')
      if (direct.server.end === 'reset') expect(proxied.server.end).toBe('reset')
    })
  })

  it.each(DOORS)('octets and a reset at once are a reset, through the door %s', async (door) => {
    const server = reset(0, say('HTTP/1.1 200 OK\r\n\r\nabcde', 0, [1, 2]))
    const script = { client: fin('end', say('PUT / HTTP/1.1\r\nContent-Length: 9\r\n\r\n123456789', 0, [1])), server }
    for (let round = 0; round < 10; round++) expect((await passages.proxied(door, script)).client.end).toBe('reset')
  })

  it.each(DOORS)(
    'a side that sends without end is stopped when the other has closed, through the door %s',
    async (door) => {
      for (const pouring of ['client', 'server'] as const) {
        const { origin, mitm } = passages.behind(door)
        const accepted = origin.accept()
        const ends = { client: await enter(door, mitm.port, passages.authority), server: await accepted }
        ends.client.stream.write('PUT / HTTP/1.1\r\nHost: origin.test\r\nContent-Length: 1000000000\r\n\r\n')
        ends.server.stream.write('HTTP/1.1 200 OK\r\n\r\n')
        const { stream, raw } = ends[pouring]
        const other = ends[pouring === 'client' ? 'server' : 'client']
        const isStopped = new Promise<void>((resolve) => void raw.once('close', () => resolve()))
        stream.on('error', () => undefined).resume()
        const pour = setInterval(() => stream.writable && stream.write(Buffer.alloc(1000)), 1)
        const heard = once(other.stream, 'data')
        other.stream.resume()
        await heard
        other.raw.destroy()
        await isStopped
        clearInterval(pour)
      }
    },
  )
})
