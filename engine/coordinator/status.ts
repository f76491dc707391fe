/**
 * What the store says of a job, whether a process runs it or not.
 */
import type { CheckpointStore, Runtime } from '../api/index.ts'
import { jobStateOf, type JobState } from '../checkpoint/job-state.ts'
import type { HolderIdentity, LogEntry } from '../checkpoint/log-entry.ts'
import { sourcePositionsOf } from '../checkpoint/commit-permit.ts'
import { JobLog } from './job-log.ts'
import { loadManifest } from './recovery.ts'

export interface JobStatus {
  readonly job: string
  readonly lineage: string
  readonly state: JobState
  readonly generation: number
  readonly parallelism: number
  readonly lastCompleted: {
    readonly checkpoint: number
    /** ISO 8601 */
    readonly at: string
    readonly sourcePositions: readonly {
      readonly operator: string
      readonly split: string
      readonly position: unknown
      readonly ended: boolean
    }[]
  } | null
  /** 0: nothing yet. */
  readonly committedThrough: number
  /** null: cannot be known from here. */
  readonly alive: boolean | null
  readonly restarts: number
  readonly codeIdentity: string
  readonly settings: Readonly<Record<string, string>>
  /** Why the job failed, or, while it has not ended, its newest failure. */
  readonly failure?: string
  /** The newest failures of attempts, oldest first, at most ten; of all processes that have run the job. */
  readonly failures: readonly {
    /** ISO 8601 */
    readonly at: string
    readonly generation: number
    readonly message: string
  }[]
}

/** Undefined: the store knows no such job. @throws CorruptCheckpointError */
export async function readStatus(
  store: CheckpointStore,
  job: string,
  runtime: Runtime,
  isHolderAlive: (holder: HolderIdentity) => Promise<boolean | null>,
): Promise<JobStatus | undefined> {
  const log = await JobLog.open(store, job, runtime)
  return log.readNewest(async (newest) => (newest === undefined ? undefined : statusOf(newest, store, isHolderAlive)))
}

async function statusOf(
  newest: LogEntry,
  store: CheckpointStore,
  isHolderAlive: (holder: HolderIdentity) => Promise<boolean | null>,
): Promise<JobStatus> {
  const last = newest.retained.at(-1)
  // What a job that has ended well went through before is no news.
  const failure = newest.end === undefined ? newest.failures.at(-1)?.message : newest.end.reason
  return {
    job: newest.job,
    lineage: newest.lineage,
    state: jobStateOf(newest),
    generation: newest.generation,
    parallelism: newest.parallelism,
    lastCompleted:
      last === undefined
        ? null
        : {
            checkpoint: last.checkpoint,
            at: new Date(last.at).toISOString(),
            sourcePositions: sourcePositionsOf((await loadManifest(store, last)).manifest).map((one) => ({
              operator: one.operator,
              split: one.splitId,
              position: one.position,
              ended: one.ended,
            })),
          },
    committedThrough: newest.committedThrough,
    alive: newest.kind === 'ended' ? false : await isHolderAlive(newest.holder),
    restarts: newest.restarts,
    codeIdentity: newest.codeIdentity,
    settings: newest.settings,
    ...(failure === undefined ? {} : { failure }),
    failures: newest.failures.map((one) => ({ ...one, at: new Date(one.at).toISOString() })),
  }
}
