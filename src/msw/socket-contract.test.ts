/** What handlers of WebSockets do on the wire, by both majors of MSW. */
import { describe, expect, it } from 'vitest'

import { startMitm } from '../index.ts'
import { MSW_MAJORS } from '../testing/msw-majors.ts'
import { webSocketServer, webSocketThrough } from '../testing/web-sockets.ts'
import type { TestWebSocket } from '../testing/web-sockets.ts'
import type { TestMitm } from '../test-mitm.ts'

const CHAT = 'ws://chat.test/live'

describe.each(MSW_MAJORS)('ws of $name', ({ msw: { ws, http, HttpResponse } }) => {
  const connect = (mitm: TestMitm, options: Parameters<typeof webSocketThrough>[2] = {}): Promise<TestWebSocket> =>
    webSocketThrough(mitm, CHAT, options)

  it('mocks a server that does not exist: texts, octets, blobs, in their order, and the end', async () => {
    await using mitm = await startMitm()
    mitm.use(
      ws.link('ws://chat.test/:room').addEventListener('connection', ({ client, params }) => {
        client.send(`welcome to ${String(params['room'])}`)
        client.send(new Blob(['blob']))
        client.send(new Uint8Array([1, 2]))
        client.addEventListener('message', (event) => {
          if (event.data === 'bye') client.close(3001, 'see you')
          else client.send(`you said ${typeof event.data === 'string' ? event.data : 'octets'}`)
        })
      }),
    )
    await using client = await connect(mitm)
    await client.until(3)
    client.send('hello')
    client.send(Buffer.from([9]))
    client.send('bye')
    expect(await client.until('close 3001 see you')).toEqual([
      'welcome to live',
      '<626c6f62>',
      '<0102>',
      'you said hello',
      'you said octets',
      'close 3001 see you',
    ])
    const [exchange] = mitm.exchanges
    expect(exchange?.answeredBy).toBe('handler')
    expect(exchange?.handler?.header).toBe('ws.link(ws://chat.test/:room)')
    expect(exchange?.messages.length).toBe(8)
    expect(mitm.connections[0]?.servers).toEqual([])
  })

  it('connects to the real server once, and forwards what no listener prevents', async () => {
    await using server = await webSocketServer({}, (socket, request) => {
      socket.send(`cookie ${request.headers.cookie}`)
      socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }))
    })
    await using mitm = await startMitm({ hosts: { 'chat.test': server.authority }, unmatched: 'fail' })
    mitm.use(
      ws.link('ws://chat.test/*').addEventListener('connection', ({ client, server: real }) => {
        real.connect()
        client.addEventListener('message', (event) => {
          if (event.data !== 'change me') return
          event.preventDefault()
          real.send('changed')
        })
        real.addEventListener('message', (event) => {
          if (event.data !== 'drop me') return
          event.preventDefault()
          client.send('dropped one')
        })
      }),
    )
    await using client = await connect(mitm, { protocols: ['chat'], headers: { cookie: 'a=1' } })
    await client.until('cookie a=1')
    for (const text of ['pass', 'change me', 'drop me']) client.send(text)
    client.send(Buffer.from([7]))
    expect(await client.until('<07>')).toEqual(['cookie a=1', 'pass', 'changed', 'dropped one', '<07>'])
    expect(client.protocol).toBe('chat')
    client.close(3002, 'done')
    const [real] = server.sockets
    await expect.poll(() => server.seen[0]?.at(-1)).toBe('close 3002 done')
    expect(real?.protocol).toBe('chat')
    expect(server.sockets).toHaveLength(1)
    expect(mitm.exchanges.map(({ source, answeredBy }) => [source, answeredBy])).toEqual([
      ['server', 'handler'],
      ['handler', 'server'],
    ])
    expect(mitm.errors).toEqual([])
  })

  it('sends what the page sends before the real server is open, when that is', async () => {
    await using server = await webSocketServer()
    await using mitm = await startMitm({ hosts: { 'chat.test': server.authority } })
    mitm.use(
      ws.link(CHAT).addEventListener('connection', ({ server: real }) => {
        real.connect()
        real.send('first')
        real.addEventListener('open', () => real.send('opened'))
      }),
    )
    await using client = await connect(mitm)
    await client.opened()
    client.send('mine')
    expect((await client.until(3)).toSorted()).toEqual(['first', 'mine', 'opened'])
  })

  it('closes the page with the real server, and with an error where that cannot be reached', async () => {
    await using server = await webSocketServer({}, (socket) => socket.close(4001, 'enough'))
    for (const [hosts, close] of [
      [{ 'chat.test': server.authority }, 'close 4001 enough'],
      [{ 'chat.test': '127.0.0.1:1' }, 'close 1011'],
    ] as const) {
      await using mitm = await startMitm({ hosts })
      mitm.use(ws.link(CHAT).addEventListener('connection', ({ server: real }) => real.connect()))
      await using client = await connect(mitm)
      expect(await client.until(close)).toEqual([close])
    }
  })

  it('broadcasts to all that are open, and passes over those that have gone', async () => {
    await using mitm = await startMitm()
    const chat = ws.link(CHAT)
    mitm.use(
      chat.addEventListener('connection', ({ client }) => {
        client.addEventListener('message', (event) => chat.broadcast(event.data))
      }),
    )
    await using one = await connect(mitm)
    await using other = await connect(mitm)
    const gone = await connect(mitm)
    await Promise.all([one, other, gone].map((client) => client.opened()))
    gone.close()
    await gone.until('close 1005')
    one.send('to all')
    await Promise.all([one.until('to all'), other.until('to all')])
    expect(gone.seen).toEqual(['close 1005'])
    expect(mitm.errors).toEqual([])
  })

  it('gives the connection to all handlers that are for it, and one can keep an event from the others', async () => {
    await using mitm = await startMitm()
    const link = ws.link(CHAT)
    mitm.use(
      link.addEventListener('connection', ({ client }) => {
        client.addEventListener('message', (event) => {
          client.send(`first ${String(event.data)}`)
          if (event.data === 'stop') event.stopPropagation()
        })
      }),
      link.addEventListener('connection', ({ client }) => {
        client.addEventListener('message', (event) => client.send(`second ${String(event.data)}`))
      }),
    )
    await using client = await connect(mitm)
    await client.opened()
    client.send('go')
    client.send('stop')
    client.send('end')
    expect(await client.until('second end')).toEqual(['first go', 'second go', 'first stop', 'first end', 'second end'])
    expect(mitm.exchanges[0]?.rules).toHaveLength(2)
  })

  it('leaves a WebSocket to its server that no handler is for, and to newer rules', async () => {
    await using server = await webSocketServer()
    await using mitm = await startMitm({ hosts: { 'chat.test': server.authority } })
    mitm.use(
      ws.link('ws://chat.test/other').addEventListener('connection', ({ client }) => client.send('mocked')),
      http.get('http://chat.test/*', () => HttpResponse.text('no WebSocket')),
    )
    await using client = await connect(mitm)
    await client.opened()
    client.send('to the server')
    expect(await client.until(1)).toEqual(['to the server'])
    expect(mitm.exchanges).toHaveLength(1)
    mitm.use(ws.link(CHAT).addEventListener('connection', ({ client: page }) => page.send('handler')))
    mitm.webSocket(CHAT).mock((socket) => socket.send('rule'))
    await using next = await connect(mitm)
    expect(await next.until(1)).toEqual(['rule'])
  })

  it('means the path without the prefix of Socket.IO, as MSW does', async () => {
    await using mitm = await startMitm()
    mitm.use(ws.link('ws://chat.test/').addEventListener('connection', ({ client }) => client.send('mocked')))
    await using client = await webSocketThrough(mitm, 'ws://chat.test/socket.io/?EIO=4')
    expect(await client.until(1)).toEqual(['mocked'])
  })

  it('closes both ends with 1011 where a listener throws, and reports that', async () => {
    await using server = await webSocketServer()
    await using mitm = await startMitm({ hosts: { 'chat.test': server.authority } })
    mitm.use(
      ws.link(CHAT).addEventListener('connection', ({ client, server: real }) => {
        real.connect()
        client.addEventListener('message', function breaks() {
          throw new Error('oops')
        })
      }),
    )
    await using client = await connect(mitm)
    await server.next()
    client.send('x')
    await client.until('close 1011')
    expect(mitm.errors).toMatchObject([{ code: 'MITM_HANDLER_FAILED', cause: { message: 'oops' } }])
    await expect.poll(() => server.seen[0]?.at(-1)).toMatch(/^close/)
  })

  it('tells its listeners when the page has gone without a word', async () => {
    await using mitm = await startMitm()
    const seen: [number, boolean][] = []
    mitm.use(
      ws.link(CHAT).addEventListener('connection', ({ client }) => {
        client.addEventListener('close', ({ code, wasClean }) => seen.push([code, wasClean]))
      }),
    )
    const client = await connect(mitm)
    await client.opened()
    client.terminate()
    await expect.poll(() => seen).toEqual([[1006, false]])
    await client[Symbol.asyncDispose]()
  })
})
