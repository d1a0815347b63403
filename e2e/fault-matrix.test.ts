/** What undici's fetch and node:https report of each fault. What Chromium does is in `faults.spec.ts`. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { CertificateAuthority, faults, startMitm } from '../src/index.ts'
import type { Fault, TestMitm } from '../src/index.ts'
import { expectedOf } from './support/fault-case.ts'
import type { FaultCase } from './support/fault-case.ts'
import { CASES } from './support/fault-cases.ts'
import { askByHttps, askByUndici, hasActed, outcome } from './support/fault-clients.ts'
import { HOST, HOSTS, startFaultOrigin } from './support/fault-origin.ts'
import type { Origin } from './support/origin.ts'

let authority: CertificateAuthority
let siteAuthority: CertificateAuthority
let origin: Origin

beforeAll(async () => {
  authority = await CertificateAuthority.create()
  siteAuthority = await CertificateAuthority.create()
  origin = await startFaultOrigin(siteAuthority)
})
afterAll(() => origin.close())

describe.concurrent.each(CASES)('$code ($asked)', (row) => {
  test(`undici: ${expectedOf(row, 'undici')[0]}`, async () => {
    await using mitm = await startFaultMitm()
    const { seen, signal } = await see(mitm, row, 'undici')
    expect(expectedOf(row, 'undici')).toContain(seen)
    expect(signal.aborted).toBe(true)
  })

  test(`node:https: ${expectedOf(row, 'https')[0]}`, async () => {
    await using mitm = await startFaultMitm()
    const { seen } = await see(mitm, row, 'https')
    expect(expectedOf(row, 'https')).toContain(seen)
  })
})

function startFaultMitm(): Promise<TestMitm> {
  return startMitm({
    certificateAuthority: authority,
    hosts: { [HOSTS]: `127.0.0.1:${origin.port}` },
    upstream: { ca: siteAuthority.certificate },
    // One with which something is lost.
    seed: 1,
  })
}

/** Asks, and sees to it that the fault has acted, that nothing else is told, and that all is well behind it. */
async function see(
  mitm: TestMitm,
  row: FaultCase,
  client: 'undici' | 'https',
): Promise<{ seen: string; signal: AbortSignal }> {
  const fault: Fault = row.fault(faults)
  const rule = mitm.when({ host: HOSTS }).fault(fault)
  const controller = new AbortController()
  const { signal } = controller
  const asking =
    client === 'undici' ? askByUndici(mitm, row, signal) : askByHttps(mitm, row, signal, authority.certificate)
  const seen = await outcome(asking, { mitm, row, client, name: fault.name })
  controller.abort()
  rule.remove()
  expect(hasActed(mitm, fault.name), `${fault.name} has acted; ${client} came to: ${seen}`).toBe(true)
  const reports = mitm.errors.map(({ code }) => code)
  expect((await mitm.fetch(`https://${HOST}/`)).status).toBe(200)
  expect(reports.filter((code) => !row.reports?.includes(code))).toEqual([])
  return { seen, signal }
}
