import { describe, expect, it } from 'vitest'

import { startMitm } from '../../test-mitm.ts'
import { identityFor, originAuthority } from '../../testing/identity.ts'
import { webSocketServer, webSocketThrough } from '../../testing/web-sockets.ts'
import type { SocketDoor } from '../../testing/web-sockets.ts'

const DOORS: readonly SocketDoor[] = ['CONNECT', 'SOCKS5', 'absolute-form']

describe('a WebSocket that nobody touches', () => {
  it.each(DOORS)('echoes, and is recorded (%s)', async (door) => {
    await using server = await webSocketServer()
    await using mitm = await startMitm()
    await using client = await webSocketThrough(mitm, `ws://${server.authority}/live?x=1`, { door })
    await client.opened()
    client.send('hello')
    await client.until(1)
    client.send(Buffer.from([1, 2, 3]))
    await client.until(2)
    client.close(3001, 'bye')
    expect(await client.until('close 3001 bye')).toEqual(['hello', '<010203>', 'close 3001 bye'])
    await expect.poll(() => mitm.exchanges[0]?.endReason).toBe('upgraded')
    const [exchange] = mitm.exchanges
    expect(exchange?.messages.map(String)).toEqual([
      'client-to-server text "hello"',
      'server-to-client text "hello"',
      'client-to-server binary 3 octets',
      'server-to-client binary 3 octets',
    ])
    expect(exchange?.webSocket).toMatchObject({
      closeCode: 3001,
      closeReason: 'bye',
      closedBy: 'client',
      wasClean: true,
      invalidFrames: [],
    })
    expect(exchange?.request.url).toMatch(`//${server.authority}/live?x=1`)
    expect(mitm.errors).toEqual([])
  })

  it('echoes in TLS, compressed, with contexts taken over', async () => {
    const tls = await identityFor('ws.test')
    await using server = await webSocketServer({ tls, perMessageDeflate: { threshold: 0 } })
    await using mitm = await startMitm({
      hosts: { 'ws.test': server.authority },
      upstream: { ca: (await originAuthority()).certificate },
    })
    const { certificate: ca } = await mitm.certificateAuthority()
    await using client = await webSocketThrough(mitm, 'wss://ws.test/', { ca, perMessageDeflate: { threshold: 0 } })
    await client.opened()
    for (let at = 0; at < 20; at++) client.send(`message ${at} of many alike, and alike, and alike`)
    await client.until(20)
    const [exchange] = mitm.exchanges
    expect(exchange?.webSocket?.extensions).toBe('permessage-deflate')
    expect(exchange?.messages).toHaveLength(40)
    const last = exchange?.webSocket?.fromServer.at(-1)
    expect(last?.isCompressed).toBe(true)
    expect(last?.text()).toBe('message 19 of many alike, and alike, and alike')
    expect(last?.wireBytes).toBeLessThan(20)
    expect(exchange?.webSocket?.fromClient.map((message) => message.text())).toEqual(client.seen)
  })
})
