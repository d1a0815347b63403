/** Servers that demand a certificate get that of the test, of the context, or of the mitm; and all of it is recorded. */
import { mkdir, writeFile } from 'node:fs/promises'
import { test as base } from '@playwright/test'
import { expect, mitmFixtures } from 'playwright-mitm'
import type { MitmTestFixtures, MitmWorkerFixtures } from 'playwright-mitm'
import { authorityOfOrigins, identity, startDemandingOrigin } from './support/demanding-origin.ts'
import type { DemandingOrigin } from './support/demanding-origin.ts'
import { runPlaywright } from './support/run-playwright.ts'

const origin = 'https://bank.test'

/** Settings of a context that goes past the mitm. Its type knows no undefined. */
const past = { proxy: undefined, ignoreHTTPSErrors: true } as object

/** Playwright wants Buffers. */
async function entryFor(commonName: string, where = origin): Promise<{ origin: string; cert: Buffer; key: Buffer }> {
  const { cert, key } = await identity(commonName)
  return { origin: where, cert: Buffer.from(cert), key: Buffer.from(key) }
}

const test = base
  .extend<{ bank: DemandingOrigin }>({
    bank: async ({}, use) => {
      await using bank = await startDemandingOrigin('bank.test')
      await use(bank)
    },
  })
  .extend<MitmTestFixtures, MitmWorkerFixtures>(mitmFixtures)
  .extend({
    mitmOptions: async ({ bank }, use) =>
      use({ hosts: { 'bank.test': `127.0.0.1:${bank.port}` }, upstream: { ca: await authorityOfOrigins() } }),
  })

test.describe('with clientCertificates in the options of the test', () => {
  test.use({ clientCertificates: async ({}, use) => use([await entryFor('customer')]) })

  test('the page gets in, and everything is recorded', async ({ page, mitm }) => {
    const response = await page.goto(`${origin}/`)
    expect(response?.status()).toBe(200)
    await expect(page.getByRole('heading')).toHaveText('customer')
    await expect(mitm).toHaveRequested({ url: `${origin}/`, status: 200, source: 'page' })
    expect(mitm.exchanges[0]?.connection.serverTls?.clientCertificate?.subject).toBe('CN=customer')
    expect((await response?.securityDetails())?.issuer).toContain('mitm')
  })

  test('request and page.request get in, as the same', async ({ page, request, mitm, bank }) => {
    expect(await (await request.get(`${origin}/`)).text()).toContain('customer')
    expect(await (await page.request.get(`${origin}/`)).text()).toContain('customer')
    expect(bank.seen).toEqual(['customer', 'customer'])
    await expect(mitm).toHaveRequestedTimes({ url: `${origin}/`, source: 'request' }, 2)
  })

  test('rules may still answer, and change what the server says', async ({ page, mitm }) => {
    mitm.get(`${origin}/mocked`).respond(200, '<h1>mocked</h1><link rel="icon" href="data:,">')
    mitm.get(`${origin}/`).rewriteResponse({ headers: { 'x-seen': 'yes' } })
    await page.goto(`${origin}/mocked`)
    await expect(page.getByRole('heading')).toHaveText('mocked')
    expect((await page.goto(`${origin}/`))?.headers()['x-seen']).toBe('yes')
    await expect(page.getByRole('heading')).toHaveText('customer')
  })

  test('a context made by hand may be somebody else, or nobody', async ({ browser, page, mitm, bank }) => {
    await page.goto(`${origin}/`)
    const admin = await browser.newContext({ clientCertificates: [await entryFor('admin')] })
    const adminPage = await admin.newPage()
    await adminPage.goto(`${origin}/`)
    await expect(adminPage.getByRole('heading')).toHaveText('admin')
    const same = await browser.newPage()
    await same.goto(`${origin}/`)
    await page.reload()
    expect(bank.seen).toEqual(['customer', 'admin', 'customer', 'customer'])
    await expect(mitm).toHaveRequestedTimes({ url: `${origin}/`, source: 'page' }, 4)

    const nobody = await browser.newContext({ clientCertificates: [] })
    const error = await (await nobody.newPage()).goto(`${origin}/`).catch(String)
    expect(error).toContain('net::ERR_BAD_SSL_CLIENT_AUTH_CERT')
  })

  test('request contexts made by hand may be somebody else', async ({ playwright, mitm }) => {
    const context = await playwright.request.newContext({ clientCertificates: [await entryFor('robot')] })
    expect(await (await context.get(`${origin}/`)).text()).toContain('robot')
    await context.dispose()
    expect(mitm.exchanges[0]?.connection.serverTls?.clientCertificate?.subject).toBe('CN=robot')
  })

  test('what does not come from a context shows none', async ({ mitm }) => {
    const failure = mitm.fetch(`${origin}/`).catch((error: Error) => Promise.reject(error.cause))
    await expect(failure).rejects.toThrow('alert certificate required')
  })

  test('a context that goes past the mitm shows its own in the way of Playwright', async ({ browser, bank, mitm }) => {
    const where = `https://localhost:${bank.port}`
    const context = await browser.newContext({ ...past, clientCertificates: [await entryFor('guest', where)] })
    const page = await context.newPage()
    await page.goto(`${where}/`)
    await expect(page.getByRole('heading')).toHaveText('guest')
    expect(mitm.connections).toEqual([])
  })
})

test.describe('with a certificate of the mitm', () => {
  test.use({
    mitmOptions: async ({ mitmOptions }, use) =>
      use({
        ...mitmOptions,
        upstream: {
          ...mitmOptions.upstream,
          clientCertificates: [{ host: '*.test', ...(await identity('everybody')) }],
        },
      }),
  })

  test('all show it, but for contexts that have one for that server', async ({ page, browser, mitm, bank }) => {
    await page.goto(`${origin}/`)
    expect(await (await mitm.fetch(`${origin}/`)).text()).toContain('everybody')
    const context = await browser.newContext({ clientCertificates: [await entryFor('admin')] })
    await (await context.newPage()).goto(`${origin}/`)
    expect(bank.seen).toEqual(['everybody', 'everybody', 'admin'])
  })
})

test.describe('where the TLS of the server is only relayed', () => {
  test.use({
    ignoreHTTPSErrors: true,
    clientCertificates: async ({}, use) => use([await entryFor('customer')]),
    mitmOptions: async ({ mitmOptions }, use) => use({ ...mitmOptions, passthrough: ['bank.test'] }),
  })

  test('Playwright shows it', async ({ page, mitm, bank }) => {
    await page.goto(`${origin}/`)
    await expect(page.getByRole('heading')).toHaveText('customer')
    expect(bank.seen).toEqual(['customer'])
    expect(mitm.exchanges).toEqual([])
    expect(mitm.connections[0]?.layers).toContain('tls-passthrough')
  })
})

test('without one the page sees what it would see without the mitm', async ({ page, browser, request, mitm, bank }) => {
  const direct = await browser.newContext(past)
  const there = await (await direct.newPage()).goto(`https://localhost:${bank.port}/`).catch(String)
  // In TLS 1.3 the server refuses after the handshake: what is said of that depends on what Chromium is doing just then.
  expect(there).toMatch(/net::ERR_(?:BAD_SSL_CLIENT_AUTH_CERT|SOCKET_NOT_CONNECTED|CONNECTION_CLOSED)/)

  expect(await page.goto(`${origin}/`).catch(String)).toContain('net::ERR_BAD_SSL_CLIENT_AUTH_CERT')
  await expect(request.get(`${origin}/`)).rejects.toThrow('alert certificate required')
  expect(bank.seen).toEqual([])
  expect(new Set(mitm.errors.map(({ code }) => code))).toEqual(new Set(['MITM_SERVER_TLS_FAILED']))
})

test('files are found beside the config, and what is wrong with them is said', async ({ bank }, testInfo) => {
  test.setTimeout(90_000)
  const { cert, key } = await identity('filed.test')
  const folder = testInfo.outputPath('project')
  await mkdir(folder, { recursive: true })
  await writeFile(`${folder}/me.pem`, cert)
  await writeFile(`${folder}/me-key.pem`, key)
  const run = await runPlaywright(
    testInfo,
    `test.use({ mitmOptions: { hosts: { 'bank.test': '127.0.0.1:${bank.port}' }, upstream: { ca: ${JSON.stringify(await authorityOfOrigins())} } } })
    test('config', async ({ page, request, mitm }) => {
      await page.goto('${origin}/')
      await expect(page.getByRole('heading')).toHaveText('filed.test')
      await request.get('${origin}/')
      await expect(mitm).toHaveRequestedTimes({ url: '${origin}/', status: 200 }, 2)
    })
    test.describe('inner', () => {
      test.use({ clientCertificates: [[{ origin: '${origin}', certPath: 'gone.pem', keyPath: 'me-key.pem' }], { scope: 'test' }] })
      test('gone', async ({ page }) => page.goto('${origin}/'))
    })
    test('by hand', async ({ browser }) => {
      await browser.newContext({ clientCertificates: [{ origin: '${origin}', certPath: 'gone.pem', keyPath: 'me-key.pem' }] })
    })`,
    { config: `use: { clientCertificates: [{ origin: '${origin}', certPath: 'me.pem', keyPath: 'me-key.pem' }] }` },
  )
  expect(run.result('config').status).toBe('passed')
  expect(run.errors('gone').join()).toContain(
    `"clientCertificates[0].certPath": it names "${folder}/gone.pem", which cannot be read (ENOENT)`,
  )
  expect(run.errors('by hand').join()).toContain('"clientCertificates[0].certPath": it names "gone.pem"')
})
