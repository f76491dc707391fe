/**
 * The boundary between a coordinator and whatever runs its tasks: this process, worker processes, or another runtime. Plain data crosses
 * it, no closure; each request has an outcome. One HostPort is for one attempt: what an old one still says reaches nobody. Key groups
 * follow from subtask and parallelism (engine/state/key-group.ts).
 */
import type { CheckpointBounds } from '../api/index.ts'
import type { BlobReference, Manifest } from '../checkpoint/manifest.ts'
import type { Figures } from './figures.ts'
import type { FromTask, ToTask } from './messages.ts'
import type { SplitState } from './source-port.ts'

/** One parallel instance of a vertex of the task graph. */
export interface TaskId {
  readonly vertex: string
  readonly subtask: number
}

/** Everything a host needs to open the tasks of an attempt, besides the job's module and its settings. */
export interface AttemptSpec {
  readonly names: { readonly job: string; readonly lineage: string; readonly generation: number }
  /** Of the job; operators may name another. With `nodes` of the job it gives the task graph. */
  readonly parallelism: number
  readonly maxParallelism: number
  readonly baseDirectory: string
  readonly checkpoint: CheckpointBounds
  readonly restored: Manifest | null
  /** Operators whose part of `restored` is given up. */
  readonly dropped: readonly string[]
  /** By source and subtask: what it reads, and from where; ended splits included. */
  readonly splits: Readonly<Record<string, readonly SourceShare[]>>
}

export interface SourceShare {
  readonly splits: readonly SplitState[]
  /** Some split has no position in what was restored: nothing is polled before a checkpoint that holds it has completed (F32). */
  readonly hasNewSplits: boolean
  /** The source as a whole had ended in what was restored: it stays so. */
  readonly hasEnded: boolean
}

/** What a host asks of the coordinator. */
export interface HostPort {
  /** At any time between `start` and the end of `dispose`; `failed` also of a task that cannot be opened, at once. Must not throw. */
  send(task: TaskId, message: FromTask): void
  /** Blobs of this attempt; named by the coordinator's generation. */
  readonly store: BlobPort & BlobNames
  /** Of the run: what tasks count goes here, at once or about once a second. */
  readonly figures: Figures
  /** Ends the attempt; `dispose` must still be called. */
  readonly signal: AbortSignal
}

export interface BlobPort {
  /** Durable when it resolves. */
  putBlob(operator: string, bytes: Uint8Array): Promise<BlobReference>
  /** Checked. @throws CorruptCheckpointError */
  getBlob(reference: BlobReference): Promise<Uint8Array>
}

/** For hosts whose tasks write their blobs themselves: no blob is written under a name that the coordinator does not know (C3). */
export interface BlobNames {
  /** The name is known from here on; what is written under it and no checkpoint refers to is deleted once it is settled. */
  announceBlob(operator: string): AnnouncedBlob
}

export interface AnnouncedBlob {
  readonly key: string
  /** Nothing is on its way under it any more. Idempotent. */
  settled(): void
}

/** The tasks of one attempt, opened and running. */
export interface TaskGroup {
  readonly tasks: readonly TaskId[]
  /** To each of them; those that it does not concern pass it over. Never throws: a task that is gone says `failed`. */
  tell(message: ToTask): void
  /** Stops them, and resolves when nothing of them is at work any more (S2). Idempotent. */
  dispose(): Promise<void>
}

export interface TaskHost extends AsyncDisposable {
  /** All tasks are open when it resolves; what was opened is closed again when one cannot be. @throws TaskFailure, TerminalError, … */
  start(spec: AttemptSpec, port: HostPort): Promise<TaskGroup>
}
