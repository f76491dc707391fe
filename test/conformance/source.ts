/**
 * The conformance suite of sources for vitest: one line per source.
 */
import { describe, expect, test } from 'vitest'
import type { Source, SplitLike } from '../../engine/api/index.ts'
import { sourceChecks, type SourceUnderTest } from './source-checks.ts'

export { sourceChecks, type AnySourceUnderTest, type SourceCheck, type SourceUnderTest } from './source-checks.ts'

/** Adds a test for each check to the run of vitest. */
export function testSource<Out, Split extends SplitLike, Position>(
  name: string,
  source: SourceUnderTest<Out, Split, Position>,
): void {
  describe(`source ${name}`, () => {
    for (const [what, check] of Object.entries(sourceChecks)) {
      test(`${what}`, async () => {
        await source.renew?.()
        await expect(check(untyped(source))).resolves.toBeUndefined()
      })
    }
  })
}

/** The checks give a source only splits and positions of its own, as the engine does. */
export function untyped<Out, Split extends SplitLike, Position>(
  source: SourceUnderTest<Out, Split, Position>,
): SourceUnderTest<unknown, SplitLike, unknown> {
  return { ...source, open: (variant) => source.open(variant) as unknown as Source<unknown, SplitLike, unknown> }
}
