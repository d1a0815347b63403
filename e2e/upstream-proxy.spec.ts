/** Where the network is reached through a proxy only, the mitm goes through it. */
import { expect, mitmFixtures } from 'playwright-mitm'
import type { MitmTestFixtures, MitmWorkerFixtures } from 'playwright-mitm'
import { test as base } from '@playwright/test'
import { CertificateAuthority } from 'playwright-mitm/core'
import { identityFor, originAuthority as proxyAuthority } from '../src/testing/identity.ts'
import { httpProxy, socksProxy } from '../src/testing/proxies.ts'
import { startOrigin } from './support/origin.ts'
import type { Origin } from './support/origin.ts'
import { startSmallProxy } from './support/small-proxy.ts'
import type { SmallProxy } from './support/small-proxy.ts'

interface CompanyFixtures {
  origin: Origin
  company: SmallProxy
}

const credentials = 'me@corp:p%ss:wörd/'

/** The proxy is known before the mitm, as one in a config would be. */
const network = base.extend<CompanyFixtures, { originAuthority: CertificateAuthority }>({
  originAuthority: [async ({}, use) => use(await CertificateAuthority.create()), { scope: 'worker' }],
  origin: async ({ originAuthority }, use) => {
    const answers = { '/': '<h1>Outside</h1><link rel="icon" href="data:,">' }
    const origin = await startOrigin({ answers, authority: originAuthority })
    await use(origin)
    await origin.close()
  },
  company: async ({ origin }, use) => {
    await using company = await startSmallProxy({ toPort: origin.port, credentials })
    await use(company)
  },
  contextOptions: async ({ company }, use) => {
    const [username = '', ...password] = credentials.split(':')
    await use({
      proxy: {
        server: `http://127.0.0.1:${company.port}`,
        username,
        password: password.join(':'),
        bypass: 'localhost, 127.0.0.1',
      },
    })
  },
})

const test = network.extend<MitmTestFixtures, MitmWorkerFixtures>(mitmFixtures).extend({
  mitmOptions: async ({ originAuthority }, use) => use({ upstream: { ca: originAuthority.certificate } }),
})

test('the proxy of the config is behind the mitm, with its password', async ({ page, request, mitm, company }) => {
  await page.goto('https://app.test/')
  await expect(page.getByRole('heading')).toHaveText('Outside')
  expect(await (await request.get('https://api.test/')).text()).toContain('Outside')

  expect(company.asked).toEqual(['app.test:443', 'api.test:443'])
  await expect(mitm).toHaveRequested('https://app.test/')
  await expect(mitm).toHaveRequested('https://api.test/')
})

test('what the config excludes is reached without it, but not without the mitm', async ({ page, mitm, company }) => {
  await using local = await startOrigin({ answers: { '/': '<h1>Inside</h1><link rel="icon" href="data:,">' } })
  await page.goto(`http://localhost:${local.port}/`)
  await expect(page.getByRole('heading')).toHaveText('Inside')

  expect(company.asked).toEqual([])
  await expect(mitm).toHaveRequested(`http://localhost:${local.port}/`)
})

test('a mocked host needs no proxy', async ({ page, mitm, company }) => {
  mitm.get('https://app.test/').respond(200, '<title>Mocked</title><link rel="icon" href="data:,">')
  await page.goto('https://app.test/')
  await expect(page).toHaveTitle('Mocked')
  expect(company.asked).toEqual([])
})

test.describe('with another proxy in mitmOptions', () => {
  test.use({
    mitmOptions: async ({ originAuthority, origin }, use) => {
      await using other = await startSmallProxy({ toPort: origin.port })
      await use({ upstream: { ca: originAuthority.certificate, proxy: `http://127.0.0.1:${other.port}` } })
      expect(other.asked).toEqual(['app.test:443'])
    },
  })

  test('that one is taken', async ({ page, company }) => {
    await page.goto('https://app.test/')
    await expect(page.getByRole('heading')).toHaveText('Outside')
    expect(company.asked).toEqual([])
  })
})

for (const scheme of ['https', 'socks5'] as const) {
  test.describe(`a proxy of the config that speaks ${scheme}`, () => {
    test.use({
      mitmOptions: async ({ originAuthority }, use) => {
        const ca = [originAuthority.certificate, (await proxyAuthority()).certificate]
        await use({ upstream: { ca } })
      },
      company: async ({ origin }, use) => {
        const options = {
          credentials,
          hosts: { 'app.test:443': `127.0.0.1:${origin.port}`, 'app.test:80': `127.0.0.1:${origin.port}` },
        }
        await using company =
          scheme === 'https'
            ? await httpProxy({ ...options, tls: await identityFor('127.0.0.1') })
            : await socksProxy(options)
        await use(company)
      },
      contextOptions: async ({ company }, use) => {
        const [username = '', ...password] = credentials.split(':')
        await use({
          proxy: { server: `${scheme}://127.0.0.1:${company.port}`, username, password: password.join(':') },
        })
      },
    })

    test('is behind the mitm, with its password', async ({ page, request, mitm, company }) => {
      await page.goto('https://app.test/')
      await expect(page.getByRole('heading')).toHaveText('Outside')
      expect(await (await request.get('https://app.test/')).text()).toContain('Outside')
      expect(company.asked).toEqual(['app.test:443', 'app.test:443'])
      await expect(mitm).toHaveRequestedTimes('https://app.test/', 2)
      expect(mitm.errors).toEqual([])
    })
  })
}
