/** WebSockets go wrong as told, and the page gets what `docs/faults.md` says. */
import { expect, faults } from 'playwright-mitm'
import { echoSockets } from './support/echo-socket.ts'
import { SOCKET_CASES } from './support/fault-cases-websocket.ts'
import { test } from './support/site.ts'

/** How long a socket on which nothing more happens is listened to. */
const QUIET_MS = 700

for (const { code, fault, chromium } of SOCKET_CASES) {
  test(`${code}: ${chromium}`, async ({ page, mitm, site }) => {
    echoSockets(site)
    await page.goto('https://app.test/')
    const made = fault(faults)
    mitm.webSocket('wss://app.test/socket').fault(made)
    const heard = await page.evaluate(
      (quietMs) =>
        new Promise<string>((resolve) => {
          const events: string[] = []
          const socket = new WebSocket('wss://app.test/socket')
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
          socket.addEventListener('close', ({ code: status, wasClean }) => {
            note(`close ${status}${wasClean ? ' clean' : ''}`)
            finish()
          })
        }),
      QUIET_MS,
    )
    expect(heard).toBe(chromium)
    await expect(mitm).toHaveRequested({ url: 'https://app.test/socket', fault: made.name })
  })
}
