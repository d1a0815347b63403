/** What Chromium reports of each fault where it speaks HTTP/2. */
import { expectedOf } from './support/fault-case.ts'
import { CASES } from './support/fault-cases.ts'
import { see, test } from './support/fault-test.ts'

test.use({ speaksHttp2: true })

for (const row of CASES.filter(({ layer }) => layer === 'http2')) {
  const of = row.asked ? ` of a response ${row.asked}` : ''
  test(`${row.code}${of}: ${expectedOf(row, 'chromium')[0]}`, async ({ page, mitm }) => {
    await see(page, mitm, row, 'chromium')
  })
}
