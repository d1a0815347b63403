/** WebSockets pass, and their handshake is an exchange like any other. */
import type { Page } from '@playwright/test'
import { expect } from 'playwright-mitm'
import { echoSockets } from './support/echo-socket.ts'
import { startOrigin } from './support/origin.ts'
import { test } from './support/site.ts'

test('wss:// echoes', async ({ page, mitm, site }) => {
  echoSockets(site)
  await page.goto('https://app.test/')

  expect(await echo(page, 'wss://app.test/socket')).toEqual(['one', 'two', 'closed 1000'])
  await expect(mitm).toHaveRequestedTimes({ url: 'https://app.test/socket', status: 101 }, 1)
})

test('ws:// echoes, also to an address', async ({ page, mitm }) => {
  await using origin = await startOrigin({ answers: { '/': '<title>Plain</title><link rel="icon" href="data:,">' } })
  echoSockets(origin)
  await page.goto(`http://127.0.0.1:${origin.port}/`)

  expect(await echo(page, `ws://127.0.0.1:${origin.port}/socket`)).toEqual(['one', 'two', 'closed 1000'])
  await expect(mitm).toHaveRequestedTimes({ url: `http://127.0.0.1:${origin.port}/socket`, status: 101 }, 1)
})

test('a WebSocket that is open when the test ends does not keep it', async ({ page, mitm, site }) => {
  echoSockets(site)
  await page.goto('https://app.test/')
  await page.evaluate(`new Promise((resolve) => {
    globalThis.socket = new WebSocket('wss://app.test/socket')
    socket.onopen = () => resolve()
  })`)
  await expect(mitm).toHaveRequested({ status: 101 })
})

async function echo(page: Page, url: string): Promise<unknown> {
  return page.evaluate(`new Promise((resolve) => {
    const heard = []
    const socket = new WebSocket(${JSON.stringify(url)})
    socket.onopen = () => socket.send('one')
    socket.onmessage = ({ data }) => {
      heard.push(data)
      if (data === 'one') socket.send('two')
      else socket.close(1000)
    }
    socket.onerror = () => heard.push('error')
    socket.onclose = ({ code }) => resolve([...heard, 'closed ' + code])
  })`)
}
