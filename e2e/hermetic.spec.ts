/** Hermetic suites: what no rule is for does not reach the network, and the test can be made to fail for it. */
import { once } from 'node:events'
import { connect } from 'node:net'
import { expect } from 'playwright-mitm'
import { runPlaywright } from './support/run-playwright.ts'
import { startOrigin } from './support/origin.ts'
import { test as base } from './support/site.ts'

/** An application that shows what it is told, and swallows what goes wrong. */
const PAGE = `<!doctype html><link rel="icon" href="data:,"><pre id="told"></pre><script>
  fetch('https://pay.test/charge', { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"eur":42}' })
    .then((response) => response.text(), () => 'no answer')
    .then((text) => { told.textContent = text })
</script>`

const test = base.extend({
  mitmOptions: async ({ mitmOptions }, use) => {
    await use({ ...mitmOptions, unmatched: { mode: 'block', allow: ['https://app.test/**'] } })
  },
})
test.use({ answers: { '/': PAGE } })

test('a page is told why its request did not get through, and the test goes on', async ({ page, mitm }) => {
  mitm.get('https://pay.test/charge').json({})
  await page.goto('https://app.test/')
  const told = page.locator('#told')

  await expect(told).toContainText("POST https://pay.test/charge matches no rule, and unmatched is 'block'.")
  await expect(told).toContainText('- method is POST, expected GET')
  await expect(told).toContainText("mitm.post('https://pay.test/charge').json({})")
  await expect(told).toContainText('hermetic.spec.ts:')
  await expect(mitm).toHaveRequested({ method: 'POST', url: 'https://pay.test/charge', status: 502 })
  expect(mitm.errors.map(({ code }) => code)).toEqual(['MITM_UNMATCHED_REQUEST'])
})

test('a rule lets its request through, one for everything does not', async ({ page, mitm }) => {
  mitm.when('**').delay(1)
  mitm.post('https://pay.test/charge').json({ paid: true })
  await page.goto('https://app.test/')
  await expect(page.locator('#told')).toHaveText('{"paid":true}')

  const other = await mitm.fetch('https://other.test/')
  expect(other.headers.get('x-playwright-mitm-error')).toBe('MITM_UNMATCHED_REQUEST')
})

test('servers of hosts that are not allowed are never contacted', async ({ mitm }) => {
  await using server = await startOrigin({ answers: { '/': 'hello' } })
  const origin = `http://127.0.0.1:${server.port}`
  expect((await mitm.fetch(`${origin}/`)).status).toBe(502)
  expect(server.connectionCount).toBe(0)

  mitm.get(`${origin}/`).rewriteResponse({ headers: { 'x-seen': '1' } })
  expect(await (await mitm.fetch(`${origin}/`)).text()).toBe('hello')
})

test('a connection that is not HTTP is refused', async ({ mitm }) => {
  await using server = await startOrigin({ answers: {} })
  const socket = connect(mitm.port, '127.0.0.1')
  socket.on('error', () => {})
  const closed = new Promise((resolve) => socket.once('close', resolve))
  socket.write(`CONNECT 127.0.0.1:${server.port} HTTP/1.1\r\n\r\n`)
  await once(socket, 'data')
  socket.write('\x00\x01\x02 no HTTP')
  await closed
  expect(server.connectionCount).toBe(0)
  expect(mitm.errors.map(({ code }) => code)).toEqual(['MITM_UNMATCHED_REQUEST'])
})

test('fail fails the test, even where the application swallows the error', async ({}, testInfo) => {
  test.setTimeout(90_000)
  const run = await runPlaywright(
    testInfo,
    `const PAGE = ${JSON.stringify(PAGE)}
    test('blocks', async ({ page, mitm }) => {
      mitm.get('https://app.test/').respond(200, PAGE)
      await page.goto('https://app.test/')
      await expect(page.locator('#told')).toContainText('matches no rule')
    })
    test.describe('strict', () => {
      test.use({ mitmOptions: { unmatched: 'fail' } })
      test('fails', async ({ page, mitm }) => {
        mitm.get('https://app.test/').respond(200, PAGE)
        await page.goto('https://app.test/')
        await expect(page.locator('#told')).not.toBeEmpty()
      })
      test('is mocked', async ({ page, mitm }) => {
        mitm.get('https://app.test/').respond(200, PAGE)
        mitm.post('https://pay.test/charge').json({ paid: true })
        await page.goto('https://app.test/')
        await expect(page.locator('#told')).toHaveText('{"paid":true}')
      })
    })
    test.describe('misspelt', () => {
      test.use({ mitmOptions: { unmatched: 'stop' } })
      test('bad option', () => {})
    })`,
    { config: "use: { mitmOptions: { unmatched: 'block' } }" },
  )

  expect(run.result('blocks').status).toBe('passed')
  expect(run.result('is mocked').status).toBe('passed')
  expect(run.result('fails').status).toBe('failed')
  expect(run.errors('fails')).toHaveLength(1)
  const [text = ''] = run.errors('fails')
  expect(text).toContain("MitmError: POST https://pay.test/charge matches no rule, and unmatched is 'fail'.")
  expect(text).toContain('when GET https://app.test/: answer 200')
  expect(text).toContain("mitm.post('https://pay.test/charge').json({})")
  expect(text).toContain("unmatched: { mode: 'fail', allow: ['https://pay.test/**'] }")
  expect(run.errors('bad option')[0]).toContain('Cannot use option "unmatched": it is "stop"')
})
