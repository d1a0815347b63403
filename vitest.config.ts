import { defineConfig } from 'vitest/config'
import type { ViteUserConfig } from 'vitest/config'

const config: ViteUserConfig = defineConfig({
  test: {
    include: ['{src,matchers,fixtures,e2e,examples,scripts}/**/*.test.ts'],
    testTimeout: 20_000,
    // Some tests race resets against octets in the kernel, which no test can steer.
    retry: process.env['CI'] ? 1 : 0,
  },
})

export default config
