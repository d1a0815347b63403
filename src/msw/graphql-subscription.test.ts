/** Subscriptions of GraphQL, which MSW has from version 3 on: a protocol on a WebSocket. */
import { HttpResponse } from 'msw-3'
import { graphql } from 'msw-3/graphql'
import { expect, it } from 'vitest'

import { startMitm } from '../index.ts'
import { webSocketServer, webSocketThrough } from '../testing/web-sockets.ts'

const SUBSCRIBE = JSON.stringify({
  id: '1',
  type: 'subscribe',
  payload: { query: 'subscription OnPrice { price }', operationName: 'OnPrice' },
})

it('answers a subscription by the protocol graphql-transport-ws', async () => {
  await using mitm = await startMitm()
  const api = graphql.link('http://api.test/graphql')
  mitm.use(
    api.subscription('OnPrice', ({ subscription }) => {
      subscription.publish({ data: { price: 42 } })
      subscription.complete()
    }),
    api.query('Price', () => HttpResponse.json({ data: { price: 1 } })),
  )
  await using client = await webSocketThrough(mitm, 'ws://api.test/graphql', { protocols: ['graphql-transport-ws'] })
  await client.opened()
  client.send(JSON.stringify({ type: 'connection_init' }))
  await client.until(JSON.stringify({ type: 'connection_ack' }))
  client.send(SUBSCRIBE)
  const seen = await client.until(3)
  expect(seen.map((text): unknown => JSON.parse(text)).slice(1)).toEqual([
    { id: '1', type: 'next', payload: { data: { price: 42 } } },
    { id: '1', type: 'complete' },
  ])
  expect(mitm.exchanges[0]?.handler?.header).toContain('OnPrice')
})

it('leaves a WebSocket with another subprotocol alone', async () => {
  await using server = await webSocketServer()
  await using mitm = await startMitm({ hosts: { 'api.test': server.authority } })
  mitm.use(graphql.link('http://api.test/graphql').subscription('OnPrice', () => undefined))
  await using client = await webSocketThrough(mitm, 'ws://api.test/graphql', { protocols: ['other'] })
  await client.opened()
  client.send('to the server')
  expect(await client.until(1)).toEqual(['to the server'])
})
