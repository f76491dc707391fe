/**
 * Takes everything, writes nothing: for measuring what comes before a sink. Exactly-once, as there is no output that could be wrong.
 */
import { sinkWithoutCommits } from '../../clients/sink-without-commits.ts'
import type { Sink } from '../../engine/api/index.ts'

/** Takes every batch and does nothing with it. */
export function discardSink<T = unknown>(): Sink<T, never> {
  return sinkWithoutCommits({ kind: 'discard', guarantee: 'exactly-once', write: () => undefined })
}
