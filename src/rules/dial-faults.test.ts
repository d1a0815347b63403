import { expect, it } from 'vitest'

import * as faults from '../faults/faults.ts'
import { startMitm } from '../test-mitm.ts'

it('a fault of dialling whose filter needs a request acts when that comes, and only then', async () => {
  await using mitm = await startMitm()
  mitm.when({ host: 'api.test' }).json({})
  const rule = mitm.post('https://api.test/x').fault(faults.dnsFailure()).once()

  expect((await mitm.fetch('https://api.test/x')).status).toBe(200)
  const failed = await mitm.fetch('https://api.test/x', { method: 'POST', body: '1' })
  expect([failed.status, failed.headers.get('x-playwright-mitm-error')]).toEqual([502, 'MITM_DNS_FAILED'])
  expect((await mitm.fetch('https://api.test/x', { method: 'POST', body: '1' })).status).toBe(200)
  expect([rule.calls, mitm.requests({ fault: 'dnsFailure' }).length, mitm.errors]).toEqual([1, 1, []])
})

it('a fault of connections that is added to a kept one is met by the very next fetch', async () => {
  await using mitm = await startMitm()
  mitm.when({ host: 'api.test' }).json({})
  expect((await mitm.fetch('https://api.test/')).status).toBe(200)
  const rule = mitm.when({ host: 'api.test' }).fault(faults.refuseConnection()).once()

  await expect(mitm.fetch('https://api.test/')).rejects.toThrow('fetch failed')
  expect(rule.calls).toBe(1)
  expect((await mitm.fetch('https://api.test/')).status).toBe(200)
})

it('explain() of a mitm says what came nearest to a rule that was never applied', async () => {
  await using mitm = await startMitm()
  mitm.when('**').json({})
  mitm.get('https://api.test/price').json({})
  await mitm.fetch('https://api.test/price?c=1')
  expect(mitm.explain()).toContain(
    'applied 0 times; nearest was GET https://api.test/price?c=1, but url is https://api.test/price?c=1, expected https://api.test/price',
  )
})
