import { describe, expect, it } from 'vitest'

import type { Middleware } from '../../middleware.ts'
import { startMitm } from '../../test-mitm.ts'
import type { TestMitm } from '../../test-mitm.ts'
import { webSocketServer, webSocketThrough } from '../../testing/web-sockets.ts'
import type { MitmWebSocket, WebSocketHandler } from '../../web-socket.ts'
import { MitmError } from '../../errors.ts'

/** Lets handlers touch every WebSocket. */
function touching(handler: Omit<WebSocketHandler, 'blame'>): Middleware {
  const blame = (what: string, cause: unknown): MitmError =>
    new MitmError('MITM_RULE_FAILED', `Cannot ${what}: ${String(cause)}`, { cause })
  return { name: 'touching', intercept: () => ({ webSocket: [{ ...handler, blame }] }) }
}

function messagesOf(mitm: TestMitm): string[] {
  return mitm.exchanges.flatMap(({ messages }) => messages.map(String))
}

describe.each([
  ['plain', false],
  ['compressed', { threshold: 0 }],
  ['compressed without takeover', { threshold: 0, serverNoContextTakeover: true, clientNoContextTakeover: true }],
] as const)('a handler (%s)', (_, perMessageDeflate) => {
  it('changes, drops, doubles and passes', async () => {
    await using server = await webSocketServer({ perMessageDeflate })
    await using mitm = await startMitm({
      middlewares: [
        touching({
          from: 'client',
          message: (message) => {
            const text = message.text()
            if (text === 'drop') return null
            if (text === 'double') return [message, message]
            if (text === 'change') return 'changed'
            if (text === 'octets') return Buffer.from([1, 2])
            return undefined
          },
        }),
      ],
    })
    await using client = await webSocketThrough(mitm, `ws://${server.authority}/`, { perMessageDeflate })
    await client.opened()
    for (const text of ['pass', 'drop', 'double', 'change', 'octets', 'pass again']) client.send(text)
    expect(await client.until(6)).toEqual(['pass', 'double', 'double', 'changed', '<0102>', 'pass again'])
    client.close(1000)
    await client.until('close 1000')
    await expect.poll(() => mitm.exchanges[0]?.endReason).toBe('upgraded')
    expect(messagesOf(mitm).filter((text) => text.startsWith('client'))).toEqual([
      'client-to-server text "pass"',
      'client-to-server text "drop" (dropped)',
      'client-to-server text "double"',
      'client-to-server text "double" (sent)',
      'client-to-server text "changed" (changed)',
      'client-to-server binary 2 octets (changed)',
      'client-to-server text "pass again"',
    ])
    expect(mitm.errors).toEqual([])
    expect(mitm.exchanges[0]?.webSocket).toMatchObject({ closeCode: 1000, wasClean: true, closedBy: 'client' })
  })

  it('touches both directions with large messages, in order', async () => {
    await using server = await webSocketServer({ perMessageDeflate })
    await using mitm = await startMitm({ middlewares: [touching({ message: async () => undefined })] })
    await using client = await webSocketThrough(mitm, `ws://${server.authority}/`, { perMessageDeflate })
    await client.opened()
    const large = 'x'.repeat(3_000_000)
    client.send(large)
    client.send('small')
    client.ping('are you there')
    const seen = await client.until(3)
    expect(seen.filter((text) => text !== 'pong are you there').map((text) => text.length)).toEqual([3_000_000, 5])
    expect(mitm.exchanges[0]?.messages.map(({ size }) => size).toSorted()).toEqual([3_000_000, 3_000_000, 5, 5])
  })

  it('streams a message that is larger than maxBodyBytes on, unseen', async () => {
    await using server = await webSocketServer({ perMessageDeflate })
    const seen: number[] = []
    await using mitm = await startMitm({
      maxBodyBytes: 100_000,
      middlewares: [touching({ from: 'client', message: (message) => void seen.push(message.size) })],
    })
    await using client = await webSocketThrough(mitm, `ws://${server.authority}/`, { perMessageDeflate })
    await client.opened()
    const large = Buffer.alloc(2_000_000, 'abcdefghijk')
    client.send(large)
    client.send('small')
    const events = await client.until(2)
    expect(events[0]).toHaveLength(4_000_002)
    expect(events[0]).toBe(`<${large.toString('hex')}>`)
    expect(events[1]).toBe('small')
    expect(seen).toEqual([5])
    expect(mitm.errors.map(({ code }) => code)).toEqual(['MITM_BODY_TOO_LARGE'])
    const [first] = mitm.exchanges[0]?.messages ?? []
    expect(first).toMatchObject({ size: 2_000_000, isTruncated: true, outcome: 'passed' })
  })

  it('can be added late', async () => {
    await using server = await webSocketServer({ perMessageDeflate })
    await using mitm = await startMitm()
    await using client = await webSocketThrough(mitm, `ws://${server.authority}/`, { perMessageDeflate })
    await client.opened()
    for (let at = 0; at < 5; at++) client.send(`the same text again and again ${at}`)
    await client.until(5)
    let late: MitmWebSocket | undefined
    mitm.use({
      lateWebSocket: () => [
        {
          opened: (socket) => void (late = socket),
          from: 'server',
          message: (message) => `late: ${message.text()}`,
          blame: (what, cause) => new MitmError('MITM_RULE_FAILED', what, { cause }),
        },
      ],
    })
    tellOfFaults(mitm)
    expect(late?.isOpen).toBe(true)
    client.send('the same text again and again 5')
    client.send('the same text again and again 6')
    await client.until(7)
    expect(client.seen.slice(5)).toEqual([
      'late: the same text again and again 5',
      'late: the same text again and again 6',
    ])
    late?.send('injected')
    late?.server.send('to the server')
    await client.until('late: to the server')
    expect(client.seen).toContain('injected')
    late?.close(3000, 'over')
    await client.until('close 3000 over')
    await expect.poll(() => server.seen[0]).toContain('close 3000 over')
    await late?.whenClosed()
    expect(mitm.exchanges[0]?.webSocket).toMatchObject({ closeCode: 3000, closeReason: 'over', closedBy: 'rule' })
    expect(mitm.errors).toEqual([])
  })
})

function tellOfFaults(mitm: TestMitm): void {
  // A boundary: it is what rules call.
  ;(mitm as unknown as { tellOfFaults(): void }).tellOfFaults()
}
