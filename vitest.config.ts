import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'

/** Our own name resolves to the sources, in tests, in what they import and in the processes they start. */
const ours = 'sluice-source'

export default defineConfig({
  resolve: { conditions: [ours, 'module', 'node', 'development|production'] },
  ssr: {
    resolve: {
      conditions: [ours, 'module', 'node', 'development|production'],
      // These reach Node as --conditions and hold for `require` too: no 'import' here.
      externalConditions: [ours, 'node', 'module-sync'],
    },
  },
  test: {
    include: ['test/**/*.test.ts'],
    // Integration tests need a service, which starts by itself where Java and Maven are; SLUICE_INTEGRATION=0 leaves them out.
    exclude: ['node_modules/**', ...(process.env['SLUICE_INTEGRATION'] === '0' ? ['**/*.integration.test.ts'] : [])],
    globalSetup: fileURLToPath(new URL('./test/services/global-setup.ts', import.meta.url)),
    pool: 'forks',
    execArgv: [`--conditions=${ours}`],
    testTimeout: 60_000,
    // A service may start in one, on a machine that does much else.
    hookTimeout: 180_000,
  },
})
