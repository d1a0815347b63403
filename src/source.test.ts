import { createServer } from 'node:http'
import type { IncomingHttpHeaders } from 'node:http'
import { connect } from 'node:net'
import type { AddressInfo } from 'node:net'
import { once } from 'node:events'

import { expect, it } from 'vitest'

import { isWrittenByNode, possibleSources } from './source.ts'
import { startMitm } from './test-mitm.ts'
import { connectionBy } from './testing/exchanges.ts'

it('knows by the door who may have made a connection', () => {
  expect(possibleSources(connectionBy('browser'))).toEqual(['page', 'request'])
  expect(possibleSources(connectionBy('http-proxy'))).toEqual(['server'])
  expect(possibleSources(connectionBy('test'))).toEqual(['node'])
})

it.each([
  ['a browser', ['Host', 'Connection', 'User-Agent', 'Accept'], false],
  ['a browser whose fields the test has set', ['Host', 'Connection', 'accept', 'user-agent', 'Sec-Fetch-Site'], false],
  ['Playwright', ['user-agent', 'accept', 'accept-encoding', 'X-Own', 'Host', 'Connection'], true],
  ['Playwright with a Host of its own', ['user-agent', 'accept', 'host', 'Connection'], true],
  ['nobody', [], false],
])('knows the fields of %s', (_, names, expected) => {
  expect(isWrittenByNode(names.map((name) => [name, 'x'] as const))).toBe(expected)
})

it('what mitm.fetch sends comes from the test, and the server is not told', async () => {
  const seen: IncomingHttpHeaders[] = []
  const server = createServer((request, response) => {
    seen.push(request.headers)
    response.end('ok')
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  await using mitm = await startMitm()
  // A server that listens on a port has an address with one.
  const { port } = server.address() as AddressInfo

  mitm.get('https://mocked.test/').respond(200)
  await (await mitm.fetch(`http://127.0.0.1:${port}/`)).text()
  await (await mitm.fetch('https://mocked.test/')).text()
  expect(mitm.requests({ source: 'node' }).map(String)).toEqual([
    `GET http://127.0.0.1:${port}/ -> 200`,
    'GET https://mocked.test/ -> 200',
  ])
  expect(seen).toHaveLength(1)
  expect(JSON.stringify(seen)).not.toContain('x-playwright-mitm')
  server.close()
})

it('what comes by HTTP proxying comes from a server', async () => {
  await using mitm = await startMitm()
  mitm.get('**').respond(204)
  const socket = connect(mitm.port, '127.0.0.1')
  socket.write('GET http://api.test/ HTTP/1.1\r\nHost: api.test\r\nConnection: close\r\n\r\n')
  await once(socket.resume(), 'close')
  expect(mitm.exchanges.map(({ source }) => source)).toEqual(['server'])
})
