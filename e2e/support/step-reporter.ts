/** A reporter that writes down every step, also those that the JSON report leaves out. */
import { writeFileSync } from 'node:fs'
import type { FullConfig, Reporter, Suite, TestCase, TestResult, TestStep } from '@playwright/test/reporter'

/** Steps by the title of their test, each as `category: title`. */
export type Steps = Record<string, string[]>

/** Writes {@link Steps} as JSON to `outputFile`. */
class StepReporter implements Reporter {
  readonly #file: string
  readonly #steps: Steps = {}

  constructor({ outputFile }: { outputFile: string }) {
    this.#file = outputFile
  }

  onBegin(_config: FullConfig, suite: Suite): void {
    for (const { title } of suite.allTests()) this.#steps[title] = []
  }

  onStepEnd(test: TestCase, _result: TestResult, step: TestStep): void {
    this.#steps[test.title]?.push(`${step.category}: ${step.title}`)
  }

  onEnd(): void {
    writeFileSync(this.#file, JSON.stringify(this.#steps))
  }
}

// Playwright wants reporters so.
// oxlint-disable-next-line import/no-default-export
export default StepReporter
