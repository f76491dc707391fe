/** What the log says of places outside that generations may not have left clean, as a sink is told of it. */
import type { GenerationScope } from '../api/index.ts'
import type { LogEntry } from '../checkpoint/log-entry.ts'
import { generationPrefix } from '../task/external-name.ts'

type Unclean = Pick<LogEntry, 'job' | 'lineage' | 'unclean'>

/** Of one sink: all generations that the entry does not call clean; those below `below` are stale. */
export function scopesOf(entry: Unclean, operator: string, below: number): readonly GenerationScope[] {
  return entry.unclean
    .filter((one) => one.operator === operator)
    .flatMap(({ generation: last, since = last, scope, lineage = entry.lineage }) =>
      Array.from({ length: last - since + 1 }, (_, index) => ({
        scope: Buffer.from(scope, 'base64'),
        namePrefix: generationPrefix({ job: entry.job, lineage, generation: since + index, operator }),
        isStale: since + index < below,
      })),
    )
}

/** Histories of the job in this log: another store may hold a job of the same id, whose names are not ours. */
export function lineagesOf({ lineage, unclean }: Unclean): ReadonlySet<string> {
  return new Set([lineage, ...unclean.map((one) => one.lineage ?? lineage)])
}
