import { setImmediate } from 'node:timers/promises'

import { afterEach, describe, expect, it, vi } from 'vitest'

import { Signal } from './signal.ts'

afterEach(() => {
  vi.useRealTimers()
})

describe('fire()', () => {
  it('tells every listener once for all fires of one tick', async () => {
    const signal = new Signal()
    const told = [vi.fn(), vi.fn()]
    for (const listener of told) signal.subscribe(listener)
    signal.fire()
    signal.fire()
    expect(told[0]).not.toHaveBeenCalled()
    await setImmediate()
    expect(told[0]).toHaveBeenCalledTimes(1)
    expect(told[1]).toHaveBeenCalledTimes(1)
  })

  it('tells again of a change that a listener makes', async () => {
    const signal = new Signal()
    let calls = 0
    signal.subscribe(() => {
      if (++calls < 3) signal.fire()
    })
    signal.fire()
    await setImmediate()
    expect(calls).toBe(3)
  })

  it('does not tell a listener that was taken out, not even by one told before it', async () => {
    const signal = new Signal()
    const late = vi.fn()
    let remove = (): void => {}
    signal.subscribe(() => remove())
    remove = signal.subscribe(late)
    signal.fire()
    await setImmediate()
    expect(late).not.toHaveBeenCalled()
  })

  it('tells the others when one listener throws, and warns of the error', async () => {
    const warn = vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
    const signal = new Signal()
    const other = vi.fn()
    signal.subscribe(() => {
      throw new Error('broken listener')
    })
    signal.subscribe(other)
    signal.fire()
    await setImmediate()
    expect(other).toHaveBeenCalledTimes(1)
    expect(warn).toHaveBeenCalledWith(expect.objectContaining({ message: 'broken listener' }))
    warn.mockRestore()
  })

  it('takes one function twice, and out once', async () => {
    const signal = new Signal()
    const listener = vi.fn()
    signal.subscribe(listener)
    signal.subscribe(listener)()
    signal.fire()
    await setImmediate()
    expect(listener).toHaveBeenCalledTimes(1)
  })
})

describe('until()', () => {
  it('is met at once when the check already is', async () => {
    const check = vi.fn(() => 7)
    await expect(new Signal().until(check)).resolves.toEqual({ state: 'met', value: 7 })
    expect(check).toHaveBeenCalledTimes(1)
  })

  it('takes null, false and 0 for an answer', async () => {
    const signal = new Signal()
    await expect(signal.until(() => null)).resolves.toEqual({ state: 'met', value: null })
    await expect(signal.until(() => false)).resolves.toEqual({ state: 'met', value: false })
    await expect(signal.until(() => 0)).resolves.toEqual({ state: 'met', value: 0 })
  })

  it('checks again after each fire, and at no other time', async () => {
    const signal = new Signal()
    let value: string | undefined = undefined
    const check = vi.fn(() => value)
    const wait = signal.until(check)
    await setImmediate()
    expect(check).toHaveBeenCalledTimes(1)
    signal.fire()
    await setImmediate()
    expect(check).toHaveBeenCalledTimes(2)
    value = 'here'
    signal.fire()
    await expect(wait).resolves.toEqual({ state: 'met', value: 'here' })
    signal.fire()
    await setImmediate()
    expect(check).toHaveBeenCalledTimes(3)
  })

  it('gives up after timeoutMs, with a last check', async () => {
    vi.useFakeTimers()
    const signal = new Signal()
    let value: number | undefined = undefined
    const missed = signal.until(() => undefined, { timeoutMs: 50 })
    const lastMoment = signal.until(() => value, { timeoutMs: 50 })
    value = 1
    vi.advanceTimersByTime(50)
    await expect(missed).resolves.toEqual({ state: 'timeout' })
    await expect(lastMoment).resolves.toEqual({ state: 'met', value: 1 })
  })

  it('leaves no timer behind when it is met, ended or aborted', async () => {
    vi.useFakeTimers()
    const signal = new Signal()
    const controller = new AbortController()
    let value: number | undefined = undefined
    const met = signal.until(() => value, { timeoutMs: 1000 })
    const aborted = signal.until(() => undefined, { timeoutMs: 1000, signal: controller.signal })
    const ended = signal.until(() => undefined, { timeoutMs: 1000 })
    expect(vi.getTimerCount()).toBe(3)
    value = 1
    signal.fire()
    await met
    controller.abort(new Error('enough'))
    await expect(aborted).rejects.toThrow('enough')
    signal.end()
    await ended
    expect(vi.getTimerCount()).toBe(0)
  })

  it('does not take a timeout that no timer can hold for one of 1 ms', async () => {
    vi.useFakeTimers()
    const signal = new Signal()
    const wait = signal.until(() => undefined, { timeoutMs: Number.POSITIVE_INFINITY })
    expect(vi.getTimerCount()).toBe(0)
    signal.end()
    await expect(wait).resolves.toEqual({ state: 'ended' })
  })

  it('checks only once with a timeout of 0', async () => {
    const check = vi.fn(() => undefined)
    await expect(new Signal().until(check, { timeoutMs: 0 })).resolves.toEqual({ state: 'timeout' })
    expect(check).toHaveBeenCalledTimes(1)
  })

  it('is rejected at once by a signal that is aborted already', async () => {
    const reason = new Error('too late')
    await expect(new Signal().until(() => 1, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
  })

  it('is rejected by what its check throws, and the other waits go on', async () => {
    const signal = new Signal()
    let value: number | undefined = undefined
    const broken = signal.until(() => {
      if (value) throw new Error('broken check')
      return undefined
    })
    const other = signal.until(() => value)
    value = 2
    signal.fire()
    await expect(broken).rejects.toThrow('broken check')
    await expect(other).resolves.toEqual({ state: 'met', value: 2 })
  })
})

describe('end()', () => {
  it('settles every wait with "ended", unless its last check is met', async () => {
    const signal = new Signal()
    let value: number | undefined = undefined
    const unmet = signal.until(() => undefined)
    const met = signal.until(() => value)
    value = 3
    signal.end()
    signal.end()
    await expect(unmet).resolves.toEqual({ state: 'ended' })
    await expect(met).resolves.toEqual({ state: 'met', value: 3 })
    expect(signal.isEnded).toBe(true)
  })

  it('settles later waits after their first check', async () => {
    const signal = new Signal()
    signal.end()
    await expect(signal.until(() => undefined)).resolves.toEqual({ state: 'ended' })
    await expect(signal.until(() => 'seen')).resolves.toEqual({ state: 'met', value: 'seen' })
  })

  it('tells the listeners a last time', async () => {
    const signal = new Signal()
    const listener = vi.fn()
    signal.subscribe(listener)
    signal.end()
    await setImmediate()
    expect(listener).toHaveBeenCalledTimes(1)
  })
})
