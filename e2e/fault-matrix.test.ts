/**
 * What undici's fetch and node:https report of each fault, and by HTTP/2 undici's and node:http2. What Chromium does is in
 * `faults.spec.ts` and `http2-faults.spec.ts`.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { CertificateAuthority, faults, startMitm } from '../src/index.ts'
import type { Fault, TestMitm } from '../src/index.ts'
import { expectedOf } from './support/fault-case.ts'
import type { FaultCase } from './support/fault-case.ts'
import { CASES } from './support/fault-cases.ts'
import { askByHttps, askByUndici, hasActed, outcome } from './support/fault-clients.ts'
import { askByHttp2, askByUndiciHttp2 } from './support/fault-clients-http2.ts'
import { HOST, HOSTS, startFaultOrigin } from './support/fault-origin.ts'
import type { Origin } from './support/origin.ts'

let authority: CertificateAuthority
let siteAuthority: CertificateAuthority
let origin: Origin
let http2Origin: Origin

beforeAll(async () => {
  authority = await CertificateAuthority.create()
  siteAuthority = await CertificateAuthority.create()
  origin = await startFaultOrigin(siteAuthority)
  http2Origin = await startFaultOrigin(siteAuthority, true)
})
afterAll(async () => {
  await origin.close()
  await http2Origin.close()
})

describe.concurrent.each(CASES)('$code ($asked)', (row) => {
  test(`undici: ${expectedOf(row, 'undici')[0]}`, async () => {
    await using mitm = await startFaultMitm(row)
    const { seen, signal } = await see(mitm, row, 'undici')
    expect(expectedOf(row, 'undici')).toContain(seen)
    expect(signal.aborted).toBe(true)
  })

  const client = row.layer === 'http2' ? 'http2' : 'https'
  test(`node:${client}: ${expectedOf(row, client)[0]}`, async () => {
    await using mitm = await startFaultMitm(row)
    const { seen } = await see(mitm, row, client)
    expect(expectedOf(row, client)).toContain(seen)
  })
})

async function startFaultMitm(row: FaultCase): Promise<TestMitm> {
  const { port } = row.layer === 'http2' ? http2Origin : origin
  const mitm = await startMitm({
    certificateAuthority: authority,
    hosts: { [HOSTS]: `127.0.0.1:${port}` },
    upstream: { ca: siteAuthority.certificate },
    // One with which something is lost.
    seed: 1,
  })
  if (row.layer !== 'http2') return mitm
  // As a page would have asked before: it is known now what the server speaks.
  await askByHttp2(mitm, { ...row, uploads: 0 }, AbortSignal.timeout(5000), authority.certificate).seen
  return mitm
}

const ASKERS = { undici: askByUndici, https: askByHttps, http2: askByHttp2 } as const

/** Asks, and sees to it that the fault has acted, that nothing else is told, and that all is well behind it. */
async function see(
  mitm: TestMitm,
  row: FaultCase,
  client: keyof typeof ASKERS,
): Promise<{ seen: string; signal: AbortSignal }> {
  const fault: Fault = row.fault(faults)
  const rule = mitm.when({ host: HOSTS }).fault(fault)
  const controller = new AbortController()
  const { signal } = controller
  const ask = client === 'undici' && row.layer === 'http2' ? askByUndiciHttp2 : ASKERS[client]
  const asking = ask(mitm, row, signal, authority.certificate)
  const seen = await outcome(asking, { mitm, row, client, name: fault.name })
  controller.abort()
  rule.remove()
  expect(hasActed(mitm, fault.name), `${fault.name} has acted; ${client} came to: ${seen}`).toBe(true)
  const reports = mitm.errors.map(({ code }) => code)
  expect((await mitm.fetch(`https://${HOST}/`)).status).toBe(200)
  expect(reports.filter((code) => !row.reports?.includes(code))).toEqual([])
  return { seen, signal }
}
