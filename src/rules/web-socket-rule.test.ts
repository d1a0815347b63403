import { setTimeout as delay } from 'node:timers/promises'

import { describe, expect, it } from 'vitest'

import { startMitm } from '../test-mitm.ts'
import { webSocketServer, webSocketThrough } from '../testing/web-sockets.ts'
import type { MitmWebSocket } from '../web-socket.ts'

describe('webSocket()', () => {
  it.each(['ws://', 'http://', '**/'])('means sockets by a URL with %s, and nothing else', async (scheme) => {
    await using server = await webSocketServer()
    await using mitm = await startMitm()
    const url = scheme === '**/' ? '**/live' : `${scheme}${server.authority}/live`
    const rule = mitm.webSocket(url).onMessage((message) => `seen ${message.text()}`)
    await using client = await webSocketThrough(mitm, `ws://${server.authority}/live`)
    await client.opened()
    client.send('it')
    expect(await client.until(1)).toEqual(['seen seen it'])
    expect((await mitm.fetch(`http://${server.authority}/live`)).status).toBe(200)
    expect(rule.calls).toBe(1)
    expect(rule.explain()).toMatch(/^when .*live.*: watch, hand messages to a function; applied once$/)
    expect(mitm.exchanges[0]?.rules).toHaveLength(1)
  })

  it('takes handlers of one direction, and asks the oldest rule first', async () => {
    await using server = await webSocketServer()
    await using mitm = await startMitm()
    mitm.webSocket('**').onMessage((message) => `${message.text()} old`, { from: 'client' })
    mitm.webSocket('**').onMessage(async (message) => `${message.text()} new`, { from: 'client' })
    await using client = await webSocketThrough(mitm, `ws://${server.authority}/`)
    await client.opened()
    client.send('text')
    expect(await client.until(1)).toEqual(['text old new'])
    const [message] = mitm.exchanges[0]?.messages ?? []
    expect(message).toMatchObject({ from: 'client', outcome: 'changed' })
    expect(message?.original?.text()).toBe('text')
  })

  it('lets a message wait as long as a handler takes, and those behind it', async () => {
    await using server = await webSocketServer()
    await using mitm = await startMitm()
    let release: () => void = () => undefined
    const released = new Promise<void>((resolve) => {
      release = resolve
    })
    mitm.webSocket('**').onMessage(
      async (message) => {
        if (message.text() === 'slow') await released
      },
      { from: 'client' },
    )
    await using client = await webSocketThrough(mitm, `ws://${server.authority}/`)
    await client.opened()
    client.send('slow')
    client.send('fast')
    await mitm.waitForMessage('**', ({ outcome }) => outcome === 'held')
    await delay(20)
    expect(client.seen).toEqual([])
    release()
    expect(await client.until(2)).toEqual(['slow', 'fast'])
  })

  it('takes effect on sockets that are open, and none any more when it is removed', async () => {
    await using server = await webSocketServer()
    await using mitm = await startMitm()
    await using client = await webSocketThrough(mitm, `ws://${server.authority}/`)
    await client.opened()
    client.send('one')
    await client.until(1)
    const rule = mitm.webSocket(`ws://${server.authority}/`)
    const socket = await rule.waitForSocket()
    expect(socket.isOpen).toBe(true)
    expect(socket.url).toBe(`ws://${server.authority}/`)
    expect(rule.sockets).toEqual([socket])
    rule.onMessage(() => null, { from: 'server' })
    await delay(0)
    client.send('two')
    await mitm.waitForMessage('**', ({ outcome }) => outcome === 'dropped')
    rule.remove()
    client.send('three')
    expect(await client.until(2)).toEqual(['one', 'three'])
    expect(rule.calls).toBe(1)
  })

  it('is for sockets to come when it is limited', async () => {
    await using server = await webSocketServer()
    await using mitm = await startMitm()
    await using first = await webSocketThrough(mitm, `ws://${server.authority}/`)
    await first.opened()
    const rule = mitm
      .webSocket('**')
      .onMessage(() => 'touched', { from: 'server' })
      .once()
    await delay(0)
    await using second = await webSocketThrough(mitm, `ws://${server.authority}/`)
    await second.opened()
    await using third = await webSocketThrough(mitm, `ws://${server.authority}/`)
    await third.opened()
    for (const client of [first, second, third]) client.send('mine')
    for (const client of [first, second, third]) await client.until(1)
    expect([first.seen, second.seen, third.seen]).toEqual([['mine'], ['touched'], ['mine']])
    expect(rule.calls).toBe(1)
  })

  it('sends to either end, and closes either end or both', async () => {
    await using server = await webSocketServer({}, () => undefined)
    await using mitm = await startMitm()
    const rule = mitm.webSocket('**')
    await using client = await webSocketThrough(mitm, `ws://${server.authority}/`)
    await client.opened()
    await rule.waitForSocket()
    expect(rule.send('to the client')).toBe(1)
    expect(rule.send(Buffer.from([7]), 'server')).toBe(1)
    await client.until('to the client')
    await expect.poll(() => server.seen[0]).toEqual(['<07>'])
    expect(mitm.exchanges[0]?.messages.map(({ from, outcome }) => [from, outcome])).toEqual([
      ['server', 'sent'],
      ['client', 'sent'],
    ])
    expect(rule.close(4000, 'enough', 'server')).toBe(1)
    await client.until('close 4000 enough')
    await expect.poll(() => server.seen[0]).toContain('close 4000 enough')
    await expect.poll(() => rule.sockets).toEqual([])
    expect(rule.send('nobody')).toBe(0)
    expect(mitm.exchanges[0]?.webSocket).toMatchObject({ closeCode: 4000, closedBy: 'rule', wasClean: true })
  })

  it('closes both ends when a handler throws, and names the rule', async () => {
    await using server = await webSocketServer()
    await using mitm = await startMitm()
    mitm.webSocket('**').onMessage(function explode() {
      throw new Error('boom')
    })
    await using client = await webSocketThrough(mitm, `ws://${server.authority}/`)
    await client.opened()
    client.send('x')
    await client.until('close 1011')
    await expect.poll(() => server.seen[0]).toContain('close 1011')
    expect(mitm.errors).toHaveLength(1)
    expect(mitm.errors[0]?.message).toMatch(
      /^Cannot handle a message by the rule "when .*: watch, hand messages to explode\(\)" \(src\/rules\/web-socket-rule\.test\.ts:\d+\): boom \[MITM_RULE_FAILED\]$/,
    )
    expect(mitm.exchanges[0]?.error?.code).toBe('MITM_RULE_FAILED')
  })

  it('says what is wrong with what a handler returns', async () => {
    await using server = await webSocketServer()
    await using mitm = await startMitm()
    // A boundary: what plain JavaScript would let pass.
    mitm.webSocket('**').onMessage(() => 42 as unknown as string)
    await using client = await webSocketThrough(mitm, `ws://${server.authority}/`)
    await client.opened()
    client.send('x')
    await client.until('close 1011')
    expect(mitm.errors[0]?.message).toContain('it returned 42, expected nothing, null, a text, octets')
  })

  it('refuses what it cannot do', async () => {
    await using mitm = await startMitm()
    const rule = mitm.webSocket('wss://chat.test/**')
    const invalid = expect.objectContaining({ code: 'MITM_INVALID_RULE' })
    // Boundaries: what plain JavaScript would let pass.
    expect(() => rule.onMessage('no' as never)).toThrow(invalid)
    expect(() => rule.onMessage(() => null, { from: 'both' as never })).toThrow(invalid)
    expect(() => rule.onMessage(() => null, { form: 'client' } as never)).toThrow(invalid)
    expect(() => rule.mock(() => undefined, { protocol: 'a b' })).toThrow(invalid)
    expect(() => rule.mock().respond(403)).toThrow('it has an answer already')
    expect(() => mitm.webSocket({ status: 101 })).toThrow(invalid)
    await expect(rule.waitForSocket({ timeoutMs: 1 })).rejects.toThrow('Waited for a WebSocket of the rule')
  })

  it('answers handshakes like any other rule', async () => {
    await using mitm = await startMitm()
    mitm.webSocket('ws://chat.test/**').respond(401, 'who are you?')
    await using client = await webSocketThrough(mitm, 'ws://chat.test/live')
    expect(await client.until(2)).toEqual(['error Unexpected server response: 401', 'close 1006'])
  })
})

describe('mock()', () => {
  it('stands in for a server that does not exist', async () => {
    await using mitm = await startMitm()
    const closed: unknown[] = []
    const rule = mitm.webSocket('ws://nowhere.test/live').mock((socket) => {
      socket.send('welcome')
      socket.onMessage((message) => (message.text() === 'quiet' ? undefined : `you said ${message.text()}`))
      socket.onClose((code, reason) => closed.push([code, reason]))
    })
    await using client = await webSocketThrough(mitm, 'ws://nowhere.test/live', { protocols: ['v2', 'v1'] })
    await client.opened()
    expect(client.protocol).toBe('v2')
    client.send('quiet')
    client.send('hello')
    client.ping('x')
    expect(await client.until(3)).toEqual(['welcome', 'you said hello', 'pong x'])
    client.close(3000, 'bye')
    await client.until('close 3000 bye')
    await expect.poll(() => mitm.exchanges[0]?.endReason).toBe('upgraded')
    expect(closed).toEqual([[3000, 'bye']])
    expect(mitm.exchanges[0]?.answeredBy).toBe('rule')
    expect(mitm.exchanges[0]?.webSocket).toMatchObject({
      subprotocol: 'v2',
      closeCode: 3000,
      closedBy: 'client',
      wasClean: true,
    })
    expect(mitm.exchanges[0]?.messages.map(String)).toEqual([
      'server-to-client text "welcome" (sent)',
      'client-to-server text "quiet"',
      'client-to-server text "hello"',
      'server-to-client text "you said hello" (sent)',
    ])
    expect(rule.calls).toBe(1)
    expect(mitm.errors).toEqual([])
    await expect.poll(() => mitm.connections[0]?.endReason).toBe('server-closed')
  })

  it('may close, behind what it has sent', async () => {
    await using mitm = await startMitm()
    mitm.webSocket('ws://nowhere.test/').mock((socket) => {
      socket.send('last words')
      socket.close(4001, 'done')
      expect(socket.send('too late')).toBe(false)
    })
    await using client = await webSocketThrough(mitm, 'ws://nowhere.test/')
    expect(await client.until('close 4001 done')).toEqual(['last words', 'close 4001 done'])
    await expect.poll(() => mitm.exchanges[0]?.endReason).toBe('upgraded')
    expect(mitm.exchanges[0]?.webSocket).toMatchObject({ closeCode: 4001, closedBy: 'rule', wasClean: true })
  })

  it('lets messages wait until its function has settled', async () => {
    await using mitm = await startMitm()
    mitm.webSocket('ws://nowhere.test/').mock(async (socket) => {
      await delay(30)
      socket.onMessage((message) => message.octets)
    })
    await using client = await webSocketThrough(mitm, 'ws://nowhere.test/')
    await client.opened()
    client.send('early')
    expect(await client.until(1)).toEqual([`<${Buffer.from('early').toString('hex')}>`])
  })

  it('is asked by other rules about its messages', async () => {
    await using mitm = await startMitm()
    const sockets: MitmWebSocket[] = []
    mitm.webSocket('ws://nowhere.test/').mock((socket) => {
      sockets.push(socket)
      socket.onMessage((message) => message.text())
    })
    mitm.webSocket('**').onMessage((message) => `${message.text()}!`)
    await using client = await webSocketThrough(mitm, 'ws://nowhere.test/')
    await client.opened()
    client.send('a')
    expect(await client.until(1)).toEqual(['a!!'])
    expect(sockets[0]?.server.send('nobody')).toBe(false)
  })

  it('closes with 1011 when its function throws', async () => {
    await using mitm = await startMitm()
    mitm.webSocket('ws://nowhere.test/').mock(() => {
      throw new Error('boom')
    })
    await using client = await webSocketThrough(mitm, 'ws://nowhere.test/')
    await client.until('close 1011')
    expect(mitm.errors.map(({ code }) => code)).toEqual(['MITM_RULE_FAILED'])
  })

  it('answers 400 to what is no handshake', async () => {
    await using mitm = await startMitm()
    mitm.when('http://nowhere.test/').respond(200)
    mitm.webSocket('ws://nowhere.test/').mock()
    expect((await mitm.fetch('http://nowhere.test/')).status).toBe(200)
    await using client = await webSocketThrough(mitm, 'ws://nowhere.test/', { protocolVersion: 8 })
    expect(await client.until(2)).toEqual(['error Unexpected server response: 400', 'close 1006'])
  })

  it('chooses the subprotocol it is told to', async () => {
    await using mitm = await startMitm()
    mitm.webSocket('ws://nowhere.test/**').mock(() => undefined, { protocol: (offered) => offered.at(-1) })
    await using client = await webSocketThrough(mitm, 'ws://nowhere.test/', { protocols: ['a', 'b'] })
    await client.opened()
    expect(client.protocol).toBe('b')
    client.terminate()
    await expect.poll(() => mitm.exchanges[0]?.webSocket?.closeCode).toBe(1006)
  })
})
