/** How many tests passed, failed and were skipped, read from the JSON reports of vitest and Playwright. */

/** A suite without tests of its own: types, lint, the build. */
export function countStep(isOk) {
  return { passed: isOk ? 1 : 0, failed: isOk ? 0 : 1, skipped: 0 }
}

/** @param text - What `--reporter=json` of vitest wrote; undefined when it wrote nothing. */
export function countVitest(text, isOk) {
  if (text === undefined) return countStep(false)
  const { numPassedTests, numFailedTests, numPendingTests, numTodoTests, testResults } = JSON.parse(text)
  // A file that cannot be loaded has failed without a test in it.
  const brokenFiles = testResults.filter(({ status, assertionResults }) => {
    return status === 'failed' && assertionResults.every((result) => result.status !== 'failed')
  }).length
  return withExit(
    { passed: numPassedTests, failed: numFailedTests + brokenFiles, skipped: numPendingTests + numTodoTests },
    isOk,
  )
}

/** @param text - What the JSON reporter of Playwright wrote; undefined when it wrote nothing. */
export function countPlaywright(text, isOk) {
  if (text === undefined) return countStep(false)
  const { stats, errors } = JSON.parse(text)
  return withExit(
    { passed: stats.expected + stats.flaky, failed: stats.unexpected + errors.length, skipped: stats.skipped },
    isOk,
  )
}

export function sum(results) {
  const total = { passed: 0, failed: 0, skipped: 0 }
  for (const { passed, failed, skipped } of results) {
    total.passed += passed
    total.failed += failed
    total.skipped += skipped
  }
  return total
}

export function sumLine({ passed, failed, skipped }) {
  return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`
}

/** An unhandled rejection, or no tests at all: nothing failed by the report, and yet the runner did. */
function withExit(counts, isOk) {
  return isOk || counts.failed > 0 ? counts : { ...counts, failed: 1 }
}
