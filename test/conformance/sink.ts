/**
 * The conformance suite of exactly-once sinks for vitest: one line per sink. The checks themselves are functions, so that broken sinks can
 * show that each of them finds something.
 */
import { describe, expect, test } from 'vitest'
import { abortChecks } from './sink-abort-checks.ts'
import { commitChecks, type SinkCheck } from './sink-commit-checks.ts'
import type { SinkEnvironment } from './sink-generation.ts'
import { stateChecks } from './sink-state-checks.ts'

export type { SinkCheck } from './sink-commit-checks.ts'
export type { SinkEnvironment } from './sink-generation.ts'

/** How one kind of sink is set up for a check. */
export interface SinkUnderTest<In, C, W = never> {
  /** A new, empty outside for one check. */
  readonly create: () => Promise<SinkEnvironment<In, C, W>>
  /**
   * Epochs may be in writer state instead of committables: checks that take each epoch for one that is committed on its own are left out.
   * Run the suite again with a configuration that holds nothing back.
   */
  readonly holdsBack?: boolean
}

/** By what they say of a sink; for a runner of your own. Each rejects with what went wrong. */
export const sinkChecks: Readonly<Record<string, SinkCheck>> = { ...commitChecks, ...abortChecks, ...stateChecks }

/** Adds a test for each check to the run of vitest. */
export function testSink<In, C, W = never>(name: string, sink: SinkUnderTest<In, C, W>): void {
  describe(`sink ${name}`, () => {
    for (const [what, check] of Object.entries(sink.holdsBack === true ? stateChecks : sinkChecks)) {
      test(`${what}`, async () => {
        await using environment = await sink.create()
        await expect(check(environment)).resolves.toBeUndefined()
      })
    }
  })
}
