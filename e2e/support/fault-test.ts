/** `test` for the fault matrix in Chromium: with the matrix' server behind the mitm, and a browser that trusts the CA by itself. */
import { chromium } from '@playwright/test'
import type { Browser, Page } from '@playwright/test'
import { expect, test as base } from 'playwright-mitm'
import type { MitmFixtureOptions } from 'playwright-mitm'
import { CertificateAuthority, faults } from 'playwright-mitm/core'
import type { TestMitm } from 'playwright-mitm/core'
import { expectedOf } from './fault-case.ts'
import type { Client, FaultCase } from './fault-case.ts'
import { hasActed, outcome } from './fault-clients.ts'
import { HOSTS, startFaultOrigin } from './fault-origin.ts'
import { askByPage, openPage } from './fault-page.ts'
import { makeTrustingHome } from './fault-store.ts'

/** The fixtures of {@link test} that a worker has. */
export interface FaultWorkerFixtures {
  /** Lead to the matrix' server. */
  siteOptions: MitmFixtureOptions
  /** Whether that speaks HTTP/2 as well; set by `test.use()`. @defaultValue false */
  speaksHttp2: boolean
  /** Undefined where there is no `certutil`. */
  trustingBrowser: Browser | undefined
}

/** `test` of playwright-mitm, with the matrix' server as `app.test`. */
export const test: ReturnType<typeof base.extend<object, FaultWorkerFixtures>> = base.extend<
  object,
  FaultWorkerFixtures
>({
  siteOptions: [
    async ({ speaksHttp2 }, use) => {
      const authority = await CertificateAuthority.create()
      await using origin = await startFaultOrigin(authority, speaksHttp2)
      await use({ hosts: { [HOSTS]: `127.0.0.1:${origin.port}` }, upstream: { ca: authority.certificate } })
    },
    { scope: 'worker' },
  ],
  speaksHttp2: [false, { option: true, scope: 'worker' }],
  trustingBrowser: [
    async ({ launchOptions, mitmCertificateAuthority }, use) => {
      await using home = await makeTrustingHome(mitmCertificateAuthority.certificate, launchOptions.env ?? process.env)
      if (!home) return use(undefined)
      const browser = await chromium.launch({ ...launchOptions, env: home.env })
      await use(browser)
      await browser.close()
    },
    { scope: 'worker' },
  ],
  mitmOptions: async ({ siteOptions }, use) => use(siteOptions),
})

/** Asks, and sees to it that the fault has acted, that nothing else is told, and that all is well behind it. */
export async function see(page: Page, mitm: TestMitm, row: FaultCase, client: Client): Promise<void> {
  await openPage(page)
  const fault = row.fault(faults)
  const rule = mitm.when({ host: HOSTS }).fault(fault)
  const seen = await outcome(askByPage(page, row), { mitm, row, client, name: fault.name })
  expect(expectedOf(row, client)).toContain(seen)
  expect(hasActed(mitm, fault.name), `${fault.name} has acted`).toBe(true)
  rule.remove()
  expect(await page.evaluate(async () => (await fetch('/')).status)).toBe(200)
  expect(mitm.errors.map(({ code }) => code).filter((code) => !row.reports?.includes(code))).toEqual([])
}
