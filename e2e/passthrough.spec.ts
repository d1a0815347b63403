/** Hosts whose TLS is passed through show the page their own certificate, and no rule sees what is in it. */
import { X509Certificate } from 'node:crypto'
import { expect } from 'playwright-mitm'
import { test } from './support/site.ts'

const CORS = { 'access-control-allow-origin': '*' }

test.use({
  answers: {
    '/price': (_, response) => {
      response.writeHead(200, { ...CORS, 'content-type': 'application/json' }).end('{"eur":42}')
    },
  },
})

test.describe('a host in passthrough', () => {
  test.use({
    // What the site shows is signed by an authority that the browser does not know.
    ignoreHTTPSErrors: true,
    mitmOptions: async ({ mitmOptions }, use) => use({ ...mitmOptions, passthrough: ['api.test'] }),
  })

  test('shows the page the certificate of the server itself', async ({ page, mitm, site, siteAuthority }) => {
    const response = await page.goto('https://api.test/')
    await expect(page.getByRole('heading')).toHaveText('Hello')
    expect(await response?.securityDetails()).toMatchObject({ subjectName: 'api.test', issuer: nameOf(siteAuthority) })
    expect(site.arrivals.map(({ method, url }) => `${method} ${url}`)).toEqual(['GET /'])

    const through = mitm.connections.filter(({ layers }) => layers.includes('tls-passthrough'))
    expect(through.length).toBeGreaterThan(0)
    for (const connection of through) {
      expect(connection).toMatchObject({
        layers: ['socks5', 'tls-passthrough'],
        server: { host: 'api.test', ip: '127.0.0.1', port: site.port },
        clientTls: { serverName: 'api.test', offeredAlpn: ['h2', 'http/1.1'], version: 'TLSv1.3' },
        errors: [],
      })
    }
    expect(through.some(({ bytesFromServer }) => bytesFromServer > 500)).toBe(true)
    expect(mitm.exchanges).toEqual([])
    await expect(mitm).not.toHaveRequested('https://api.test/**')
  })

  test('stands beside hosts that are opened', async ({ page, mitm, mitmCertificateAuthority }) => {
    const response = await page.goto('https://app.test/')
    expect(await response?.securityDetails()).toMatchObject({ issuer: nameOf(mitmCertificateAuthority) })
    expect(await page.evaluate(() => fetch('https://api.test/price').then((answer) => answer.json()))).toEqual({
      eur: 42,
    })

    await expect(mitm).toHaveRequested('https://app.test/')
    expect(mitm.exchanges.every(({ request }) => request.url.startsWith('https://app.test/'))).toBe(true)
    expect(mitm.connections.map(({ layers }) => layers.at(-1))).toContain('tls-passthrough')
  })

  test('can be cut, but not looked into', async ({ page, mitm }) => {
    expect(() => mitm.get('https://api.test/price').json({ eur: 1 })).toThrow(/passed through/)
    await page.goto('https://app.test/')
    mitm.offline()
    const failed = await page.evaluate(() => fetch('https://api.test/price').then(String, String))
    expect(failed).toContain('Failed to fetch')
  })
})

test('a browser that does not trust the mitm refuses it, and the record says so in words', async ({
  playwright,
  launchOptions,
  mitm,
  site,
}) => {
  const args = (launchOptions.args ?? []).filter((arg) => !arg.startsWith('--ignore-certificate-errors'))
  const browser = await playwright.chromium.launch({ ...launchOptions, args, proxy: { server: mitm.url } })
  const page = await browser.newPage()
  await expect(page.goto('https://app.test/')).rejects.toThrow(/ERR_CERT_AUTHORITY_INVALID/)
  await browser.close()

  const refused = mitm.connections.filter(({ errors }) => errors.length > 0)
  expect(refused.length).toBeGreaterThan(0)
  for (const { errors, endReason } of refused) {
    expect(endReason).toBe('failed')
    expect(errors.map(({ code }) => code)).toEqual(['MITM_CLIENT_TLS_FAILED'])
    expect(errors[0]?.message).toMatch(/app\.test: it refused the certificate with the alert certificate_unknown/)
    expect(errors[0]?.message).toContain('passthrough: ["app.test"]')
  }
  expect(site.arrivals).toEqual([])
})

/** The name of an authority. */
function nameOf({ certificate }: { readonly certificate: string }): string {
  return new X509Certificate(certificate).subject.replace('CN=', '')
}
