/**
 * What a new generation does before any task starts, in this order (architecture.md, "Fence before abort"): commit what is completed
 * and uncommitted, from the log alone; append `committed`; forget; only then abort what older generations left behind. Every step can
 * be repeated after a crash (F11).
 */
import { messageOf, type AbortPermit, type CommitPermit, type GenerationScope, type Logger } from '../api/index.ts'
import type { LogEntry } from '../checkpoint/log-entry.ts'
import type { Manifest } from '../checkpoint/manifest.ts'
import { generationPrefix } from '../task/external-name.ts'
import {
  commitCheckpoint,
  committablesByOperator,
  decodeCommittables,
  type CommitEnvironment,
  type SinkCommitter,
} from './committing.ts'

export interface DueCheckpoint {
  readonly permit: CommitPermit
  readonly manifest: Manifest
}

/** Commits in order; C6 over checkpoints, origin order within. */
export async function commitDue(
  due: readonly DueCheckpoint[],
  sinks: readonly SinkCommitter[],
  environment: CommitEnvironment,
): Promise<void> {
  for (const one of due) await commitCheckpoint(one.permit, one.manifest, sinks, environment)
}

/** Evidence of settled commits may go. A failure is only logged: `abortStale` removes evidence of older generations, too. */
export async function forgetCommitted(
  manifests: readonly Manifest[],
  sinks: readonly SinkCommitter[],
  logger: Logger,
): Promise<void> {
  for (const manifest of manifests) {
    const stored = committablesByOperator(manifest)
    for (const sink of sinks) {
      const mine = stored.get(sink.operator)
      if (mine === undefined || sink.committer.forget === undefined) continue
      try {
        await sink.committer.forget(decodeCommittables(sink.sink, mine))
      } catch (error) {
        logger.warn(
          `sink "${sink.operator}" could not forget checkpoint ${manifest.checkpoint}; evidence stays until the next start`,
          {
            error: messageOf(error),
          },
        )
      }
    }
  }
}

/** What each sink may have outside of all generations that the entry does not call clean; those below `below` are stale. */
export function scopesByOperator(
  { job, lineage, unclean }: Pick<LogEntry, 'job' | 'lineage' | 'unclean'>,
  below: number,
): ReadonlyMap<string, readonly GenerationScope[]> {
  const scopes = new Map<string, GenerationScope[]>()
  for (const { operator, generation, scope, ...own } of unclean) {
    const list = scopes.get(operator) ?? []
    list.push({
      scope: Buffer.from(scope, 'base64'),
      namePrefix: generationPrefix({ job, lineage: own.lineage ?? lineage, generation, operator }),
      isStale: generation < below,
    })
    scopes.set(operator, list)
  }
  return scopes
}

export interface StaleFacts {
  readonly permit: AbortPermit
  /** Scopes of all generations not cleanly aborted, by sink operator. */
  readonly scopes: ReadonlyMap<string, readonly GenerationScope[]>
  readonly isStale: (operator: string, name: string) => boolean
  /** Every manifest whose commits could still be asked for. */
  readonly keep: readonly Manifest[]
}

/** True when every sink reports that nothing of older generations is left. */
export async function abortStale(facts: StaleFacts, sinks: readonly SinkCommitter[], logger: Logger): Promise<boolean> {
  let clean = true
  for (const sink of sinks) {
    const stored = facts.keep.flatMap((manifest) => committablesByOperator(manifest).get(sink.operator) ?? [])
    try {
      const report = await sink.committer.abortStale(facts.permit, {
        scopes: facts.scopes.get(sink.operator) ?? [],
        isStale: (name) => facts.isStale(sink.operator, name),
        keep: decodeCommittables(sink.sink, stored),
        keepWriterState: facts.keep.flatMap((manifest) => writerStateOf(manifest, sink)),
      })
      if (report.aborted > 0)
        logger.info(`sink "${sink.operator}" aborted ${report.aborted} leftovers of older generations`)
      clean &&= report.clean
    } catch (error) {
      clean = false
      logger.warn(`sink "${sink.operator}" could not abort all leftovers of older generations; it is asked again`, {
        error: messageOf(error),
      })
    }
  }
  return clean
}

function writerStateOf(manifest: Manifest, sink: SinkCommitter): readonly unknown[] {
  const codec = sink.sink.writerStateCodec
  if (codec === undefined) return []
  return manifest.operators
    .filter((snapshot) => snapshot.operator === sink.operator)
    .flatMap((snapshot) =>
      (snapshot.writerState?.entries ?? []).map((entry) =>
        codec.decode(Buffer.from(entry, 'base64'), snapshot.writerState?.version ?? 1),
      ),
    )
}
