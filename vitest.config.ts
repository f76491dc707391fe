import { defineConfig } from 'vitest/config'

/** Our own name resolves to the sources, in tests, in what they import and in the processes they start. */
const conditions = ['sluice-source', 'node', 'import', 'module', 'default']

export default defineConfig({
  resolve: { conditions },
  ssr: { resolve: { conditions, externalConditions: conditions } },
  test: {
    include: ['test/**/*.test.ts'],
    exclude: process.env['SLUICE_INTEGRATION']
      ? ['node_modules/**']
      : ['node_modules/**', 'test/**/*.integration.test.ts'],
    pool: 'forks',
    execArgv: ['--conditions=sluice-source'],
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
})
