/**
 * Evidence that sinks keep so that a commit may be repeated: it may go once the log says that the commit is a fact (F33). A sink that
 * does not answer holds up nothing.
 */
import type { Manifest } from '../checkpoint/manifest.ts'
import type { Chores } from './chores.ts'
import { committablesByOperator, decodeCommittables, type SinkCommitter } from './committing.ts'

export function forgetLater(manifest: Manifest, sinks: readonly SinkCommitter[], chores: Chores): void {
  const committables = committablesByOperator(manifest)
  for (const { operator, sink, committer } of sinks) {
    const stored = committables.get(operator)
    if (stored === undefined || committer.forget === undefined) continue
    chores.add(`forgetting the commits of checkpoint ${manifest.checkpoint} in sink "${operator}"`, async () => {
      await committer.forget?.(decodeCommittables(sink, stored))
    })
  }
}
