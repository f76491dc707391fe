/**
 * The conformance suite of exactly-once sinks for vitest: one line per sink. The checks themselves are functions, so that broken sinks can
 * show that each of them finds something.
 */
import { describe, expect, test } from 'vitest'
import { abortChecks } from './sink-abort-checks.ts'
import { commitChecks, type SinkCheck } from './sink-commit-checks.ts'
import type { SinkEnvironment } from './sink-generation.ts'

export type { SinkCheck } from './sink-commit-checks.ts'
export type { SinkEnvironment } from './sink-generation.ts'

export interface SinkUnderTest<In, C, W = never> {
  /** A new, empty outside for one check. */
  readonly create: () => Promise<SinkEnvironment<In, C, W>>
}

export const sinkChecks: Readonly<Record<string, SinkCheck>> = { ...commitChecks, ...abortChecks }

export function testSink<In, C, W = never>(name: string, sink: SinkUnderTest<In, C, W>): void {
  describe(`sink ${name}`, () => {
    for (const [what, check] of Object.entries(sinkChecks)) {
      test(`${what}`, async () => {
        await using environment = await sink.create()
        await expect(check(environment)).resolves.toBeUndefined()
      })
    }
  })
}
