import { defineConfig } from 'vitest/config'
import type { ViteUserConfig } from 'vitest/config'

const config: ViteUserConfig = defineConfig({
  test: {
    include: ['{src,matchers,fixtures,e2e,examples,scripts}/**/*.test.ts'],
    testTimeout: 20_000,
  },
})

export default config
