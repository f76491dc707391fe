/**
 * What the engine hands to sources and sinks.
 */
import type { Clock, Logger, Random } from './clock.ts'
import type { CheckpointId, Generation, JobId, LineageId, OperatorId } from './ids.ts'

/** Counters by name; cheap enough for once per batch, too dear for once per record. */
export interface Metrics {
  /** Adds `delta` to the named counter of this subtask. */
  count(name: string, delta: number): void
  /** Sets the named gauge of this subtask. */
  gauge(name: string, value: number): void
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

interface TaskContext {
  readonly job: JobId
  readonly lineage: LineageId
  readonly generation: Generation
  readonly operator: OperatorId
  readonly subtask: number
  readonly parallelism: number
  readonly maxParallelism: number
  readonly baseDirectory: string
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  readonly metrics: Metrics
  /** Aborted when the attempt ends, however it ends. */
  readonly signal: AbortSignal
  /** Reports a failure that happened outside a call (a lost connection, a background upload); ends the attempt. */
  fail(error: unknown): void
}

export interface WriterContext extends TaskContext {
  /**
   * job / lineage / generation / operator / subtask / counter, joined by `--` in a restricted alphabet ([A-Za-z0-9._-]). Never
   * given twice, by any process, ever (C5). Whatever is opened outside is named by it and opened exclusively. The name starts
   * with `namePrefix` + generation + `--`.
   */
  nextName(): string
  /** job--lineage--: common to all names of this lineage. */
  readonly namePrefix: string
  /** What this writer may hold in memory; above it `write` must push back by returning a promise. */
  readonly memoryBudgetBytes: number
}

export interface CommitterContext {
  readonly job: JobId
  readonly lineage: LineageId
  readonly generation: Generation
  readonly operator: OperatorId
  readonly namePrefix: string
  readonly baseDirectory: string
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  readonly metrics: Metrics
  readonly signal: AbortSignal
}

export interface SourceContext {
  readonly job: JobId
  readonly operator: OperatorId
  readonly baseDirectory: string
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  readonly signal: AbortSignal
}

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
