/**
 * What one generation is given, and what its recovery and its attempt share.
 */
import type { CheckpointStore, Runtime } from '../api/index.ts'
import type { LogEntry } from '../checkpoint/log-entry.ts'
import type { Manifest } from '../checkpoint/manifest.ts'
import type { CheckpointPolicy } from '../checkpoint/trigger.ts'
import type { JobGraph } from '../graph/job-graph.ts'
import type { TaskHost } from '../task/host.ts'
import type { CheckpointTimes } from './attempt.ts'
import type { CheckpointRequests } from './checkpoint-requests.ts'
import type { Chores } from './chores.ts'
import type { CommitEnvironment, SinkCommitter } from './committing.ts'
import type { Entries } from './entries.ts'
import type { JobLog } from './job-log.ts'
import type { Pulse } from './pulse.ts'
import type { RunFigures } from './run-figures.ts'
import type { Savepoint } from './savepoint.ts'

export interface GenerationOptions {
  readonly job: string
  readonly graph: JobGraph
  readonly store: CheckpointStore
  readonly runtime: Runtime
  readonly log: JobLog
  readonly policy: CheckpointPolicy
  readonly retain: number
  /** Of the job; operators may name another. */
  readonly parallelism: number
  readonly maxParallelism: number
  readonly host: TaskHost
  readonly baseDirectory: string
  readonly restarts: number
  /** The entry that the preflight looked at (0: none); undefined once a start was found to be allowed. */
  readonly preflightSeq: number | undefined
  onChecked(): void
  /** Operators whose part in what this process found is given up; what it completes itself is not. */
  readonly dropped: readonly string[]
  readonly savepoint: Savepoint | undefined
  /** Graceful stop: one last checkpoint, all committed. */
  readonly stopSignal: AbortSignal
  /** All sources end where they are, and the job with them. */
  readonly drainSignal: AbortSignal
  /** No last checkpoint; what is due is left to the log if it cannot be committed soon. */
  readonly cancelSignal: AbortSignal
  readonly requests: CheckpointRequests
  readonly entries: Entries
  readonly pulse: Pulse
  readonly figures: RunFigures
  /** Somebody appended between preflight and start. @throws TerminalError when what is there now does not allow this run */
  recheck(started: LogEntry): Promise<void>
  onCompleted(manifest: Manifest, times: CheckpointTimes): void
  onRunning(generation: number, restored: number | null): void
}

/** What a generation shares with its recovery and its attempt. */
export interface GenerationScope {
  readonly started: LogEntry
  readonly sinks: readonly SinkCommitter[]
  readonly commitEnvironment: CommitEnvironment
  /** Ends everything of this generation. */
  readonly abort: AbortController
  readonly storeChores: Chores
  readonly sinkChores: Chores
  /** From now on a cancel calls this instead of ending everything at once. */
  cancelWith(act: () => void): void
}
