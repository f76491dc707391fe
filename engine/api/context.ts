/**
 * What the engine hands to sources and sinks.
 */
import type { Clock, Logger, Random } from './clock.ts'
import type { CheckpointId, Generation, JobId, LineageId, OperatorId } from './ids.ts'

/**
 * Figures of a source or a sink, told with the progress of the run; cheap enough for once per batch, too dear for once per record. At most 200
 * names for each subtask of an operator (C8). Never throws: what is no amount is passed over.
 */
export interface Metrics {
  /** Adds `delta`, above 0, to the named counter of this subtask. It goes on over restarts: what is done again counts again. */
  count(name: string, delta: number): void
  /** Sets the named gauge of this subtask, for as long as the attempt lasts. */
  gauge(name: string, value: number): void
}

/** The limits of a job's checkpoints, for sinks that size pools by them or check the timeouts of their system against them. */
export interface CheckpointBounds {
  /** From trigger to trigger. */
  readonly intervalMs: number
  /** A checkpoint that is not acknowledged by then is given up; what it prepared is carried by the next one. */
  readonly timeoutMs: number
  /** Checkpoints in a row that may be given up before the attempt fails. */
  readonly toleratedFailures: number
  /** Checkpoints that may be completed and not committed before no new one is triggered. */
  readonly maxUncommittedEpochs: number
}

/**
 * As many epochs of one writer may be unsettled at a time: completed ones, given-up ones that are carried, the one in flight and the one
 * being written. A pool of this many slots that are freed by `settled` never runs dry for long; a smaller one is backpressure.
 */
export function maxUnsettledEpochs({ toleratedFailures, maxUncommittedEpochs }: CheckpointBounds): number {
  return maxUncommittedEpochs + toleratedFailures + 2
}

/** For `validate`: reads only, before anybody is fenced; nothing may be created or changed outside. */
export interface ValidateContext {
  readonly job: JobId
  readonly operator: OperatorId
  readonly parallelism: number
  /** Relative paths of the job are meant relative to this directory (the working directory of the run). */
  readonly baseDirectory: string
  readonly logger: Logger
  readonly signal: AbortSignal
}

export interface SinkValidateContext extends ValidateContext {
  readonly checkpoint: CheckpointBounds
  /** As long as the longest name that `WriterContext.nextName` can give: to be checked against what the outside allows. */
  readonly longestName: string
}

interface TaskContext {
  readonly job: JobId
  readonly lineage: LineageId
  readonly generation: Generation
  readonly operator: OperatorId
  /** 0 to `parallelism` - 1. */
  readonly subtask: number
  /** Of this operator in this attempt; another start may have another. */
  readonly parallelism: number
  /** As many subtasks as an operator can ever have; the same for the whole life of the job. */
  readonly maxParallelism: number
  /** Relative paths of the job are meant relative to this directory. */
  readonly baseDirectory: string
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  readonly metrics: Metrics
  /**
   * Aborted when the attempt ends, however it ends. A pending `write`, `prepareCommit` or `poll` must then settle soon, one that waits for
   * `settled` too (it will not come any more): nothing is closed before it has, and a process that cannot let go exits.
   */
  readonly signal: AbortSignal
  /** Reports a failure that happened outside a call (a lost connection, a background upload); ends the attempt. */
  fail(error: unknown): void
}

/** For one writer: of one subtask, for one attempt. */
export interface WriterContext extends TaskContext {
  /**
   * job / lineage / generation / operator / subtask / counter, joined by `--` in a restricted alphabet ([A-Za-z0-9._-]). Never
   * given twice, by any process, ever (C5). Whatever is opened outside is named by it and opened exclusively. What is reused within a
   * generation (a transactional id, a slot) bears the name it was opened with. Where only a part or a hash of a name fits, `abortStale`
   * finds it by `GenerationScope.namePrefix`.
   */
  nextName(): string
  /** Begins all names that this generation gives to writers of this sink; later ones find it again in `GenerationScope.namePrefix`. */
  readonly namePrefix: string
  readonly checkpoint: CheckpointBounds
  /** What this writer may hold in memory; above it `write` must push back by returning a promise. */
  readonly memoryBudgetBytes: number
}

/** What one generation of this sink may have left behind. */
export interface GenerationScope {
  /** Its `Sink.scope()`. */
  readonly scope: Uint8Array
  /**
   * All names that it gave to writers of this sink begin with it: to ask the outside for them (a whole name is then judged by `isStale`:
   * those of an operator `a--b` begin like those of `a`), or to recognise a hash of it where a whole name does not fit.
   */
  readonly namePrefix: string
  readonly isStale: boolean
}

/** For one committer: of one sink, for one generation. */
export interface CommitterContext {
  readonly job: JobId
  readonly lineage: LineageId
  readonly generation: Generation
  readonly operator: OperatorId
  /** As in {@link WriterContext}. */
  readonly namePrefix: string
  /**
   * Generations before this one that are not clean yet; all are fenced, some may be only paused. Their sessions may be ended before the first
   * commit, and must be where they can stand in its way: a process that was stopped in the middle of a commit keeps its locks for as long
   * as its connection lives. Their data may not be touched before `abortStale`.
   */
  readonly older: readonly GenerationScope[]
  readonly baseDirectory: string
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  readonly metrics: Metrics
  readonly signal: AbortSignal
}

/** For `discover`: called in the process of the coordinator. */
export interface SourceContext {
  /** No checkpoint holds what this source discovered before: there is no "before" that a new split could have missed. */
  readonly isFirst: boolean
  readonly job: JobId
  readonly operator: OperatorId
  readonly baseDirectory: string
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  readonly signal: AbortSignal
}

/** For one reader: of one subtask, for one attempt. */
export interface ReaderContext extends TaskContext {}

declare const permitted: unique symbol
/**
 * The only value with which a committer can be called. It exists only for a checkpoint whose `completed` entry is durable (C1);
 * one module of the engine can make one (conformance kits go through it too).
 */
export interface CommitPermit {
  readonly [permitted]: true
  readonly generation: Generation
  readonly checkpoint: CheckpointId
  /** The checkpoint's source positions, for sinks that publish them (JSON values, by operator and split id). Absent under some hosts. */
  readonly sourcePositions: readonly SourcePosition[]
}

/** One split's position as a checkpoint holds it: plain JSON values. */
export interface SourcePosition {
  readonly operator: OperatorId
  readonly splitId: string
  readonly split: unknown
  readonly position: unknown
  readonly ended: boolean
}
