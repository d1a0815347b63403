/** What `sse()` does on the wire, by both majors of MSW. */
import '../event-source.ts'
import { describe, expect, it } from 'vitest'

import { startMitm } from '../index.ts'
import { MSW_MAJORS, NO_SSE_IN_MSW_3 } from '../testing/msw-majors.ts'
import { httpServer } from '../testing/servers.ts'

const URL_OF_EVENTS = 'https://live.test/events'
const ACCEPTING = { headers: { accept: 'text/event-stream' } }

describe.each(MSW_MAJORS)('sse() of $name', ({ name, msw: { sse } }) => {
  const isImpossible = name === 'msw 3' && NO_SSE_IN_MSW_3 !== undefined
  const title = (text: string): string => (isImpossible ? `${text} (not on this Node: ${NO_SSE_IN_MSW_3})` : text)

  it.skipIf(isImpossible)(title('sends events piece by piece, and hears that the client has gone'), async () => {
    await using mitm = await startMitm()
    let send: (data: string) => void = () => undefined
    let hasLeft: () => void = () => undefined
    const left = new Promise<void>((resolve) => (hasLeft = resolve))
    mitm.use(
      sse(URL_OF_EVENTS, ({ client, request }) => {
        send = (data) => client.send({ id: 'a', data })
        request.signal.addEventListener('abort', () => hasLeft())
        send('1')
      }),
    )
    const controller = new AbortController()
    const response = await mitm.fetch(URL_OF_EVENTS, { ...ACCEPTING, signal: controller.signal })
    expect(response.headers.get('content-type')).toBe('text/event-stream')
    const first = await mitm.waitForServerSentEvent(URL_OF_EVENTS)
    send('2')
    const second = await mitm.waitForServerSentEvent(URL_OF_EVENTS, ({ data }) => data === '2')
    expect([first.data, second.id]).toEqual(['1', 'a'])
    controller.abort()
    await left
  })

  it.skipIf(isImpossible)(title('connects to the real server, without the mark, and forwards its events'), async () => {
    const accepted: (string | undefined)[] = []
    await using origin = await httpServer((request, response) => {
      accepted.push(request.headers.accept)
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      response.write('data: real\n\n')
    })
    await using mitm = await startMitm({ hosts: { 'live.test': `http://${origin.authority}` } })
    mitm.use(
      sse(URL_OF_EVENTS, ({ client, server }) => {
        client.send({ data: 'mocked' })
        server.connect()
      }),
    )
    const controller = new AbortController()
    await mitm.fetch(URL_OF_EVENTS, { ...ACCEPTING, signal: controller.signal })
    const { data } = await mitm.waitForServerSentEvent(
      { url: URL_OF_EVENTS, not: { source: 'handler' } },
      (event) => event.data === 'real',
    )
    expect(data).toBe('real')
    expect(accepted).toEqual(['text/event-stream'])
    controller.abort()
    await expect.poll(() => mitm.exchanges.every(({ endReason }) => endReason !== undefined)).toBe(true)
    expect(mitm.errors.filter(({ code }) => code === 'MITM_HANDLER_FAILED')).toEqual([])
  })

  it.skipIf(isImpossible)(title('breaks the stream off by error(), which fails no test'), async () => {
    await using mitm = await startMitm()
    mitm.use(
      sse(URL_OF_EVENTS, ({ client }) => {
        client.send({ data: '1' })
        setTimeout(() => client.error(), 1)
      }),
    )
    const response = await mitm.fetch(URL_OF_EVENTS, ACCEPTING)
    await expect(response.text()).rejects.toThrow('terminated')
    await expect.poll(() => mitm.exchanges[0]?.error?.code).toBe('MITM_SERVER_RESET')
    expect(mitm.errors.filter(({ code }) => code === 'MITM_HANDLER_FAILED')).toEqual([])
  })

  it.skipIf(isImpossible)(title('leaves requests that want no events to others'), async () => {
    await using mitm = await startMitm()
    mitm.get(URL_OF_EVENTS).respond(200, 'no events')
    mitm.use(sse(URL_OF_EVENTS, ({ client }) => client.send({ data: 'x' })))
    expect(await (await mitm.fetch(URL_OF_EVENTS)).text()).toBe('no events')
  })
})
