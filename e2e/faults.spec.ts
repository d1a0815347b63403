/**
 * What Chromium reports of each fault by HTTP/1; `http2-faults.spec.ts` has what it does by HTTP/2. What Node's clients do is in
 * `fault-matrix.test.ts`.
 */
import { expectedOf } from './support/fault-case.ts'
import type { Client, FaultCase } from './support/fault-case.ts'
import { CASES } from './support/fault-cases.ts'
import { see, test } from './support/fault-test.ts'

for (const row of CASES.filter(({ layer }) => layer !== 'http2')) {
  test(titleOf(row, 'chromium'), async ({ page, mitm }) => {
    await see(page, mitm, row, 'chromium')
  })

  if (row.layer === 'reach') {
    test(titleOf(row, 'connect'), async ({ browser, mitm }) => {
      await using context = await browser.newContext({ proxy: { server: mitm.url } })
      await see(await context.newPage(), mitm, row, 'connect')
    })
  }

  if (row.layer === 'certificate') {
    test(titleOf(row, 'ignoring'), async ({ browser, mitm }) => {
      await using context = await browser.newContext({ ignoreHTTPSErrors: true })
      await see(await context.newPage(), mitm, row, 'ignoring')
    })

    test(titleOf(row, 'trusting'), async ({ trustingBrowser, mitm }) => {
      test.skip(!trustingBrowser, 'there is no certutil (libnss3-tools)')
      const server = mitm.url.replace('http:', 'socks5:')
      await using context = await trustingBrowser?.newContext({ proxy: { server } })
      if (context) await see(await context.newPage(), mitm, row, 'trusting')
    })
  }
}

function titleOf(row: FaultCase, client: Client): string {
  return `${row.code}${row.asked ? ` of a response ${row.asked}` : ''}, ${client}: ${expectedOf(row, client)[0]}`
}
