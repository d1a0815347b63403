import { expect, test } from 'vitest'
// @ts-expect-error: a plain script, without types
import { countPlaywright, countStep, countVitest, sum, sumLine } from './counts.mjs'

const vitestReport = { numPassedTests: 3, numFailedTests: 1, numPendingTests: 1, numTodoTests: 1, testResults: [] }
const playwrightReport = { stats: { expected: 4, flaky: 1, unexpected: 2, skipped: 3 }, errors: [] }

test('countVitest() counts pending and todo tests as skipped', () => {
  expect(countVitest(JSON.stringify(vitestReport), false)).toEqual({ passed: 3, failed: 1, skipped: 2 })
})

test('countVitest() counts a file that cannot be loaded as a failure, and one with a failed test not again', () => {
  const testResults = [
    { status: 'failed', assertionResults: [] },
    { status: 'failed', assertionResults: [{ status: 'failed' }] },
    { status: 'passed', assertionResults: [{ status: 'passed' }] },
  ]
  expect(countVitest(JSON.stringify({ ...vitestReport, testResults }), false)).toMatchObject({ failed: 2 })
})

test('countPlaywright() counts flaky tests as passed, and errors outside of tests as failed', () => {
  const report = { ...playwrightReport, errors: [{ message: 'cannot load' }] }
  expect(countPlaywright(JSON.stringify(report), false)).toEqual({ passed: 5, failed: 3, skipped: 3 })
})

test('a runner that fails without a failed test, or writes no report, has failed once', () => {
  const allPassed = { ...vitestReport, numFailedTests: 0 }
  expect(countVitest(JSON.stringify(allPassed), false)).toMatchObject({ passed: 3, failed: 1 })
  expect(countVitest(JSON.stringify(allPassed), true)).toMatchObject({ passed: 3, failed: 0 })
  expect(countVitest(undefined, true)).toEqual({ passed: 0, failed: 1, skipped: 0 })
  expect(countPlaywright(undefined, true)).toEqual({ passed: 0, failed: 1, skipped: 0 })
})

test('sumLine() names skipped tests only where there are such', () => {
  expect(sumLine(sum([countStep(true), countStep(false)]))).toBe('1 passed, 1 failed')
  expect(sumLine({ passed: 5, failed: 0, skipped: 2 })).toBe('5 passed, 0 failed, 2 skipped')
})
