/**
 * What pages and workers of Chromium get of each fault of WebSockets. What the clients of Node do is in
 * `websocket-fault-matrix.test.ts`.
 */
import type { Page } from '@playwright/test'
import { expect, faults } from 'playwright-mitm'
import { QUIET_MS, SOCKET_CASES } from './support/fault-cases-websocket.ts'
import { serveSockets } from './support/serve-sockets.ts'
import { test } from './support/site.ts'

const URL_OF_SOCKET = 'wss://app.test/socket'

for (const { code, fault, chromium, orChromium = chromium, quietMs = QUIET_MS } of SOCKET_CASES) {
  test(`${code}: ${chromium}`, async ({ page, mitm, site }) => {
    serveSockets(site)
    await page.goto('https://app.test/')
    const made = fault(faults)
    const rule = mitm.webSocket(URL_OF_SOCKET).fault(made)
    const listening = { url: URL_OF_SOCKET, quietMs }

    expect([chromium, orChromium]).toContain(await page.evaluate(listen, listening))
    const script = `(${String(listen)})(${JSON.stringify(listening)}).then((heard) => postMessage(heard))`
    expect([chromium, orChromium]).toContain(await inWorker(page, script))
    expect(rule.calls).toBe(2)
    await expect(mitm).toHaveRequestedTimes({ url: URL_OF_SOCKET, fault: made.name }, 2)
    expect(mitm.errors).toEqual([])
  })
}

/** What a worker posts. */
function inWorker(page: Page, script: string): Promise<unknown> {
  return page.evaluate(`new Promise((resolve) => {
    const worker = new Worker(URL.createObjectURL(new Blob([${JSON.stringify(script)}])))
    worker.onmessage = ({ data }) => resolve(data)
  })`)
}

/** Runs in the page, or in a worker: opens a socket, and tells what it hears up to its close, or until it has heard nothing for a while. */
function listen({ url, quietMs }: { url: string; quietMs: number }): Promise<string> {
  return new Promise((resolve) => {
    const events: string[] = []
    const socket = new WebSocket(url)
    const finish = (): void => resolve(events.join(', ') || 'nothing')
    let timer = setTimeout(finish, quietMs)
    const note = (event: string): void => {
      events.push(event)
      clearTimeout(timer)
      timer = setTimeout(finish, quietMs)
    }
    socket.addEventListener('open', () => {
      note('open')
      for (const text of ['one', 'two', 'three']) socket.send(text)
    })
    socket.addEventListener('message', ({ data }) => note(String(data)))
    socket.addEventListener('error', () => note('error'))
    socket.addEventListener('close', ({ code, wasClean }) => {
      note(`close ${code}${wasClean ? ' clean' : ''}`)
      finish()
    })
  })
}
