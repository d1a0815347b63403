import { afterEach, beforeEach, expect, test, vi } from 'vitest'

import { withDeadline } from './deadline.ts'

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

const late = (): Error => new Error('too late')

test('withDeadline() gives what the promise gives, and leaves no timer', async () => {
  await expect(withDeadline(Promise.resolve(7), 1000, late)).resolves.toBe(7)
  expect(vi.getTimerCount()).toBe(0)
})

test('withDeadline() fails as the promise fails, and leaves no timer', async () => {
  await expect(withDeadline(Promise.reject(new Error('own failure')), 1000, late)).rejects.toThrow('own failure')
  expect(vi.getTimerCount()).toBe(0)
})

test('withDeadline() fails with the made error exactly when the time is up', async () => {
  let state = 'waiting'
  const waiting = withDeadline(new Promise(() => {}), 1000, late).catch((error: unknown) => {
    state = String(error)
  })
  await vi.advanceTimersByTimeAsync(999)
  expect(state).toBe('waiting')
  await vi.advanceTimersByTimeAsync(1)
  await waiting
  expect(state).toBe('Error: too late')
})

test('a failure after the deadline is not an unhandled rejection', async () => {
  const unhandled = vi.fn<(reason: unknown) => void>()
  process.on('unhandledRejection', unhandled)
  let fail = (_error: Error): void => {}
  const work = new Promise<never>((_, reject) => (fail = reject))
  const waiting = withDeadline(work, 10, late).catch(() => {})
  await vi.advanceTimersByTimeAsync(10)
  await waiting
  fail(new Error('afterwards'))
  vi.useRealTimers()
  await new Promise((resolve) => setImmediate(resolve))
  process.off('unhandledRejection', unhandled)
  expect(unhandled).not.toHaveBeenCalled()
})
