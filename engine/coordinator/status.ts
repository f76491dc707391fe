/**
 * What the store says of a job, whether a process runs it or not.
 */
import { CorruptCheckpointError, type CheckpointStore, type Runtime } from '../api/index.ts'
import { sourcePositionsOf } from '../checkpoint/commit-permit.ts'
import { jobStateOf, type JobState } from '../checkpoint/job-state.ts'
import type { HolderIdentity, LogEntry, RetainedCheckpoint } from '../checkpoint/log-entry.ts'
import type { Manifest } from '../checkpoint/manifest.ts'
import { committablesByOperator } from './committing.ts'
import { JobLog } from './job-log.ts'
import { loadManifest } from './recovery.ts'
import { recordsOf, stateBytesOf } from './run-figures.ts'

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
  /** Who appended the newest entry of the log. */
  readonly holder: { readonly pid: number; readonly host: string }
  /** Of the newest entry of the log, ISO 8601: a process that runs the job appends one every few seconds. */
  readonly at: string
  readonly visible: {
    /** The newest one that the log says all sinks have committed, and that is still retained; null: none. */
    readonly checkpoint: number | null
    /**
     * When it was triggered, ISO 8601: everything that sources gave before is visible. Now minus this is the visible lag, or a little more: the
     * log hears of a commit with the next checkpoint.
     */
    readonly triggeredAt: string | null
  }
  /** Of the whole life of the job, each once; by operator. */
  readonly records: {
    /** Sources: in the newest completed checkpoint. */
    readonly read: Readonly<Record<string, number>>
    /** Sinks: in the newest one that is visible. */
    readonly visible: Readonly<Record<string, number>>
  }
  /** Oldest first. */
  readonly retained: readonly {
    readonly checkpoint: number
    readonly generation: number
    readonly at: string
    readonly final: boolean
    /** Of the blobs it refers to; null: its manifest cannot be read, or has gone meanwhile. */
    readonly stateBytes: number | null
  }[]
  /** Completed, and not known to be committed: the next start delivers them, if the running process does not. Oldest first. */
  readonly due: readonly {
    readonly checkpoint: number
    /** By sink; null: the manifest cannot be read. */
    readonly commits: Readonly<Record<string, number>> | null
  }[]
  /** What these generations may have left behind outside, hidden, and nobody has taken away yet; that of a running one is its own. */
  readonly unclean: readonly { readonly operator: string; readonly since: number; readonly generation: number }[]
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
  return log.readNewest(async (newest) => {
    if (newest === undefined) return undefined
    const alive = newest.kind === 'ended' ? false : await isHolderAlive(newest.holder)
    return statusOf(newest, await manifestsOf(store, newest), alive)
  })
}

/** By checkpoint. The newest one must be readable; of the others it is said that they are not. @throws CorruptCheckpointError */
async function manifestsOf(store: CheckpointStore, { retained }: LogEntry): Promise<ReadonlyMap<number, Manifest>> {
  const manifests = new Map<number, Manifest>()
  for (const one of retained) {
    try {
      manifests.set(one.checkpoint, (await loadManifest(store, one)).manifest)
    } catch (error) {
      if (!(error instanceof CorruptCheckpointError) || one === retained.at(-1)) throw error
    }
  }
  return manifests
}

function statusOf(newest: LogEntry, manifests: ReadonlyMap<number, Manifest>, alive: boolean | null): JobStatus {
  const { retained, committedThrough, holder } = newest
  const last = retained.at(-1)
  const visible = retained.findLast(({ checkpoint }) => checkpoint <= committedThrough)
  // What a job that has ended well went through before is no news.
  const failure = newest.end === undefined ? newest.failures.at(-1)?.message : newest.end.reason
  return {
    job: newest.job,
    lineage: newest.lineage,
    state: jobStateOf(newest),
    generation: newest.generation,
    parallelism: newest.parallelism,
    lastCompleted: last === undefined ? null : lastCompletedOf(last, manifests.get(last.checkpoint)),
    committedThrough,
    alive,
    holder: { pid: holder.pid, host: holder.host },
    at: textOf(newest.at),
    visible: {
      checkpoint: visible?.checkpoint ?? null,
      triggeredAt: visible === undefined ? null : textOf(visible.triggeredAt ?? visible.at),
    },
    records: {
      read: recordsBy(manifests.get(last?.checkpoint ?? 0), 'splits'),
      visible: recordsBy(manifests.get(visible?.checkpoint ?? 0), 'committables'),
    },
    retained: retained.map(({ checkpoint, generation, at, final }) => {
      const manifest = manifests.get(checkpoint)
      const stateBytes = manifest === undefined ? null : stateBytesOf(manifest)
      return { checkpoint, generation, at: textOf(at), final, stateBytes }
    }),
    due: retained
      .filter(({ checkpoint }) => checkpoint > committedThrough)
      .map(({ checkpoint }) => ({ checkpoint, commits: commitsOf(manifests.get(checkpoint)) })),
    unclean: newest.unclean.map(({ operator, generation, since = generation }) => ({ operator, since, generation })),
    restarts: newest.restarts,
    codeIdentity: newest.codeIdentity,
    settings: newest.settings,
    ...(failure === undefined ? {} : { failure }),
    failures: newest.failures.map((one) => ({ ...one, at: textOf(one.at) })),
  }
}

function lastCompletedOf(last: RetainedCheckpoint, manifest: Manifest | undefined): JobStatus['lastCompleted'] {
  return {
    checkpoint: last.checkpoint,
    at: textOf(last.at),
    sourcePositions: (manifest === undefined ? [] : sourcePositionsOf(manifest)).map((one) => ({
      operator: one.operator,
      split: one.splitId,
      position: one.position,
      ended: one.ended,
    })),
  }
}

/** Sources have splits, sinks have committables. */
function recordsBy(
  manifest: Manifest | undefined,
  member: 'splits' | 'committables',
): Readonly<Record<string, number>> {
  const operators = new Set(manifest?.operators.filter((one) => one[member] !== undefined).map((one) => one.operator))
  return Object.fromEntries([...operators].map((operator) => [operator, recordsOf(manifest, operator)]))
}

function commitsOf(manifest: Manifest | undefined): Readonly<Record<string, number>> | null {
  if (manifest === undefined) return null
  return Object.fromEntries([...committablesByOperator(manifest)].map(([sink, commits]) => [sink, commits.length]))
}

function textOf(at: number): string {
  return new Date(at).toISOString()
}
