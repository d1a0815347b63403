/** Event streams through a running mitm: what is recorded of them, and when. */
import { brotliCompressSync } from 'node:zlib'

import { describe, expect, it } from 'vitest'

import { startMitm } from './test-mitm.ts'
import { tunnelTo } from './testing/clients.ts'
import { httpServer } from './testing/servers.ts'
import type { HttpServer } from './testing/servers.ts'
import { gate } from './testing/waits.ts'
import type { Gate } from './testing/waits.ts'
import type { Wire } from './testing/wire.ts'

const ask = 'GET /events HTTP/1.1\r\nHost: a.test\r\n\r\n'
const TYPE = { 'content-type': 'text/event-stream' }

/** A server of one event after the other, each but the first when its gate is opened; then the stream ends. */
function eventServer(gates: readonly Gate[], type: Readonly<Record<string, string>> = TYPE): Promise<HttpServer> {
  return httpServer((_, response) => {
    response.writeHead(200, type)
    response.write('data: 0\n\n')
    const send = async (): Promise<void> => {
      for (const [at, { opened }] of gates.entries()) {
        await opened
        response.write(`data: ${at + 1}\n\n`)
      }
      response.end()
    }
    void send()
  })
}

async function asked(port: number): Promise<Wire> {
  const client = await tunnelTo({ port }, 'a.test:80')
  client.write(ask)
  return client
}

describe('an event stream', () => {
  it('is recorded while it runs, and each event fires a change', async () => {
    const gates = [gate(), gate()]
    const end = gate()
    await using origin = await eventServer([...gates, end])
    await using mitm = await startMitm({ hosts: { 'a.test': origin.authority } })
    const client = await asked(mitm.port)
    await client.until('data: 0\n\n')
    const [exchange] = mitm.exchanges
    expect(exchange?.response?.events()).toEqual([{ data: '0' }])
    for (const [at, { open }] of gates.entries()) {
      const more = mitm.changes.until(() => (exchange?.response?.events().length === at + 2 ? true : undefined))
      open()
      expect(await more).toMatchObject({ state: 'met' })
      expect(exchange?.endReason).toBe(undefined)
      await client.until(`data: ${at + 1}\n\n`)
    }
    end.open()
    await expect.poll(() => exchange?.endReason).toBe('complete')
    expect(exchange?.response?.events()).toHaveLength(4)
  })

  it('fires nothing for what is no event stream', async () => {
    const more = gate()
    await using origin = await eventServer([more], { 'content-type': 'text/plain' })
    await using mitm = await startMitm({ hosts: { 'a.test': origin.authority } })
    const client = await asked(mitm.port)
    await client.until('data: 0\n\n')
    const sizes: (number | undefined)[] = []
    mitm.changes.subscribe(() => sizes.push(mitm.exchanges[0]?.response?.bodySize))
    more.open()
    await client.until('0\r\n\r\n')
    await expect.poll(() => mitm.exchanges[0]?.endReason).toBe('complete')
    // Once, by the end.
    expect(sizes).toEqual([18])
  })

  it('that a rule answers is recorded as it runs, too', async () => {
    await using mitm = await startMitm()
    const more = gate()
    mitm.get('**').sse(async function* events() {
      yield { data: 'a' }
      await more.opened
      yield { id: '2', data: 'b' }
    })
    await asked(mitm.port)
    expect(await mitm.waitForServerSentEvent('**')).toEqual({ data: 'a' })
    const second = mitm.waitForServerSentEvent('**/events', ({ id }) => id === '2')
    more.open()
    expect(await second).toEqual({ id: '2', data: 'b' })
  })
})

describe('waitForServerSentEvent()', () => {
  it('finds one from before, of any stream that matches', async () => {
    await using origin = await eventServer([])
    await using mitm = await startMitm({ hosts: { 'a.test': origin.authority } })
    for (let count = 0; count < 2; count++) await (await asked(mitm.port)).until('0\r\n\r\n')
    expect(await mitm.waitForServerSentEvent({ path: '/events' }, ({ data }) => data === '0')).toEqual({ data: '0' })
  })

  it('looks at no event twice', async () => {
    const more = gate()
    await using origin = await eventServer([more])
    await using mitm = await startMitm({ hosts: { 'a.test': origin.authority } })
    await asked(mitm.port)
    const seen: string[] = []
    await mitm.waitForServerSentEvent('**')
    const wait = mitm.waitForServerSentEvent('**', ({ data }) => {
      seen.push(data)
      return data === '1'
    })
    more.open()
    await wait
    expect(seen).toEqual(['0', '1'])
  })

  it('says what came instead', async () => {
    await using origin = await eventServer([])
    await using mitm = await startMitm({ hosts: { 'a.test': origin.authority } })
    await (await asked(mitm.port)).until('0\r\n\r\n')
    const none = (): boolean => false
    await expect(mitm.waitForServerSentEvent('**/events', none, { timeoutMs: 10 })).rejects.toMatchObject({
      code: 'MITM_WAIT_TIMEOUT',
      message: expect.stringContaining('event of **/events: none in 10 ms; 1 others came in 1 event streams') as string,
    })
    const wait = mitm.waitForServerSentEvent('**', none)
    await Promise.all([expect(wait).rejects.toThrow('the mitm was closed'), mitm.close()])
  })

  it('rejects with what its function throws, and for a stream that cannot be decoded', async () => {
    await using origin = await httpServer((request, response) => {
      const coding = request.url === '/events' ? 'gzip' : 'br'
      response.writeHead(200, { ...TYPE, 'content-encoding': coding })
      response.end(brotliCompressSync('data: a\n\n'))
    })
    await using mitm = await startMitm({ hosts: { 'a.test': origin.authority } })
    const client = await tunnelTo(mitm, 'a.test:80')
    client.write(ask.replace('/events', '/br'))
    const failing = mitm.waitForServerSentEvent('**', () => {
      throw new Error('ouch')
    })
    await expect(failing).rejects.toThrow('ouch')
    client.write(ask)
    await expect(mitm.waitForServerSentEvent('**/events')).rejects.toMatchObject({ code: 'MITM_BODY_UNDECODABLE' })
  })

  it('refuses what is no function, no filter and no option', async () => {
    await using mitm = await startMitm()
    const code = 'MITM_INVALID_OPTION'
    await expect(mitm.waitForServerSentEvent('**', { data: 'a' } as never)).rejects.toMatchObject({ code })
    await expect(mitm.waitForServerSentEvent('**', undefined, { timeout: 1 } as never)).rejects.toMatchObject({ code })
    await expect(mitm.waitForServerSentEvent({ status: 200, x: 1 } as never)).rejects.toMatchObject({
      code: 'MITM_INVALID_FILTER',
    })
  })
})
