import type * as Selfsigned from 'selfsigned'
import { beforeEach, expect, test, vi } from 'vitest'

import { CertificateAuthority } from './certificate-authority.ts'

const selfsigned = vi.hoisted(() => ({ isLoaded: false, failures: 0, calls: 0 }))

vi.mock('selfsigned', async (importOriginal) => {
  selfsigned.isLoaded = true
  const original = await importOriginal<typeof Selfsigned>()
  return {
    generate: async (...parameters: Parameters<typeof original.generate>) => {
      selfsigned.calls++
      if (selfsigned.failures-- > 0) throw new Error('out of entropy')
      return await original.generate(...parameters)
    },
  }
})

const FAILURE = { code: 'MITM_CA_FAILED', message: expect.stringContaining('out of entropy') }

beforeEach(() => {
  selfsigned.failures = 0
  selfsigned.calls = 0
})

// The first test of this file, before anything needs a certificate.
test('selfsigned is not loaded before a certificate is made', async () => {
  expect(selfsigned.isLoaded).toBe(false)
  await CertificateAuthority.create()
  expect(selfsigned.isLoaded).toBe(true)
})

test('shared() tries again after a failure', async () => {
  selfsigned.failures = 1
  await expect(CertificateAuthority.shared()).rejects.toMatchObject(FAILURE)
  const made = await CertificateAuthority.shared()
  expect(await CertificateAuthority.shared()).toBe(made)
})

test('contextFor() tries again after a failure, which all who waited for it are told', async () => {
  const authority = await CertificateAuthority.create()
  selfsigned.failures = 1
  const waiting = [authority.contextFor('pay.test'), authority.contextFor('pay.test')]
  for (const { status } of await Promise.allSettled(waiting)) expect(status).toBe('rejected')
  await expect(waiting[0]).rejects.toMatchObject(FAILURE)
  expect(await authority.contextFor('pay.test')).toBe(await authority.contextFor('pay.test'))
})

test('contextFor() makes one template for all hosts of an authority, asked for at once and later', async () => {
  const authority = await CertificateAuthority.create()
  selfsigned.calls = 0
  await Promise.all(['pay.test', 'shop.test', '127.0.0.1'].map((name) => authority.contextFor(name)))
  await authority.contextFor('late.test')
  expect(selfsigned.calls).toBe(1)
})

test('an authority makes no template before it is asked for a host', async () => {
  const authority = await CertificateAuthority.create()
  expect(selfsigned.calls).toBe(1)
  await authority.contextFor('pay.test')
  expect(selfsigned.calls).toBe(2)
})

test('untrustedContextFor() tries again after a failure', async () => {
  const authority = await CertificateAuthority.create()
  selfsigned.failures = 1
  await expect(authority.untrustedContextFor('pay.test', 'EXPIRED')).rejects.toMatchObject(FAILURE)
  expect(await authority.untrustedContextFor('pay.test', 'EXPIRED')).toBeDefined()
})
