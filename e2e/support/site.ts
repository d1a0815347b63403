/** `test` with a site of its own behind the mitm: `https://app.test`, and the same server by other names. */
import { test as base } from 'playwright-mitm'
import type { MitmFixtureOptions } from 'playwright-mitm'
import { CertificateAuthority } from 'playwright-mitm/core'
import { startOrigin } from './origin.ts'
import type { Answer, Origin } from './origin.ts'

/** The fixtures of {@link test}. */
export interface SiteFixtures {
  /** What the site answers; set by `test.use()`. */
  answers: Readonly<Record<string, Answer>>
  /** Whether the site speaks HTTP/2 as well; set by `test.use()`. @defaultValue false */
  http2: boolean
  site: Origin
}

/** The fixtures of {@link test} that a worker has. */
export interface SiteWorkerFixtures {
  /** Signs for the site. Nobody trusts it but the mitm. */
  siteAuthority: CertificateAuthority
}

const PAGE = '<!doctype html><link rel="icon" href="data:,"><title>Site</title><h1>Hello</h1>'

/** `test` of playwright-mitm, with a site that speaks HTTPS as `app.test`, `api.test` and `other.test`. */
export const test: ReturnType<typeof base.extend<SiteFixtures, SiteWorkerFixtures>> = base.extend<
  SiteFixtures,
  SiteWorkerFixtures
>({
  answers: [{ '/': PAGE }, { option: true }],
  http2: [false, { option: true }],
  siteAuthority: [async ({}, use) => use(await CertificateAuthority.create()), { scope: 'worker' }],
  site: async ({ answers, http2, siteAuthority }, use) => {
    const site = await startOrigin({ answers: { '/': PAGE, ...answers }, authority: siteAuthority, http2 })
    await use(site)
    await site.close()
  },
  mitmOptions: async ({ site, siteAuthority }, use) => {
    await use(optionsFor(site, siteAuthority))
  },
})

/** The options with which a mitm leads the names of the site to it, and trusts it. */
function optionsFor(site: Origin, authority: CertificateAuthority): MitmFixtureOptions {
  const address = `127.0.0.1:${site.port}`
  return {
    hosts: { 'app.test': address, 'api.test': address, 'other.test': address },
    upstream: { ca: authority.certificate },
  }
}
