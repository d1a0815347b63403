import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['{src,matchers,fixtures,e2e,scripts}/**/*.test.ts'],
    testTimeout: 20_000,
  },
})
