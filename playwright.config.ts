import { defineConfig } from '@playwright/test'
import type { PlaywrightTestConfig } from '@playwright/test'
import { findBrowser } from './e2e/support/browser.ts'

const isCI = Boolean(process.env['CI'])
// The first process unpacks the browser where that is needed; the workers load this file too, and find it.
const { source: _, ...launchOptions } = await findBrowser()

const config: PlaywrightTestConfig = defineConfig({
  // The *.test.ts files are vitest's.
  testMatch: '**/*.spec.ts',
  fullyParallel: true,
  workers: 2,
  // Some tests race a browser against timers and the kernel, which no test can steer.
  retries: isCI ? 1 : 0,
  forbidOnly: isCI,
  reporter: isCI ? 'list' : [['list'], ['html', { open: 'never' }]],
  outputDir: 'test-results',
  use: { launchOptions },
  projects: [
    { name: 'e2e', testDir: 'e2e' },
    { name: 'examples', testDir: 'examples' },
  ],
})

export default config
