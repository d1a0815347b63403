import { expect, test, vi } from 'vitest'

import { Connection } from '../connection.ts'
import { Exchange, HttpRequest } from '../exchange.ts'
import { Http2Facts } from '../http2-facts.ts'
import { Resends } from './resends.ts'

/** An exchange of a page, by HTTP/2. */
function ask(url: string, method = 'GET', layers: readonly string[] = ['socks5']): Exchange {
  const connection = new Connection()
  connection.layers.push(...layers)
  const request = new HttpRequest({ method, url, target: '/', httpVersion: 'HTTP/2', fields: [] })
  const exchange = new Exchange(connection, request)
  exchange.http2 = new Http2Facts(1)
  return exchange
}

const URL = 'https://a.test/'

test('the next exchange with the same method and URL is the repetition, with the faults of the first', () => {
  const resends = new Resends()
  const first = ask(URL)
  first.faults.push({ name: 'http2Reset', text: 'http2Reset 7', at: 1 })
  resends.note(first)
  resends.note(first)
  const [other, post, again, later] = [ask(`${URL}x`), ask(URL, 'POST'), ask(URL), ask(URL)]
  for (const each of [other, post, again, later]) resends.link(each)
  expect(first.isResent).toBe(true)
  expect([other, post, again, later].map(({ resentFrom }) => resentFrom)).toEqual([
    undefined,
    undefined,
    first,
    undefined,
  ])
  expect(again.faults).toEqual(first.faults)
  expect(again.faults).not.toBe(first.faults)
})

test('what does not come from a browser is none', () => {
  const resends = new Resends()
  resends.note(ask(URL))
  const server = ask(URL, 'GET', ['connect'])
  resends.link(server)
  expect(server.resentFrom).toBeUndefined()
})

test('nor is what comes much later', () => {
  vi.useFakeTimers({ toFake: ['performance'] })
  try {
    const resends = new Resends()
    resends.note(ask(URL))
    vi.advanceTimersByTime(5001)
    const late = ask(URL)
    resends.link(late)
    expect(late.resentFrom).toBeUndefined()
  } finally {
    vi.useRealTimers()
  }
})
