/**
 * The conformance suite of checkpoint stores for vitest: one line per store.
 */
import { describe, expect, test } from 'vitest'
import { storeChecks, type StoreUnderTest } from './store-checks.ts'

export { storeChecks, type StoreCheck, type StoreUnderTest } from './store-checks.ts'

/** Adds a test for each check to the run of vitest; all of them use one store, under prefixes of their own. */
export function testCheckpointStore(name: string, store: StoreUnderTest): void {
  describe(`checkpoint store ${name}`, () => {
    for (const [index, [what, check]] of Object.entries(storeChecks).entries()) {
      test(`${what}`, async () => {
        await expect(check(store, `conformance-${process.pid}/check-${index}/`)).resolves.toBeUndefined()
      })
    }
  })
}
