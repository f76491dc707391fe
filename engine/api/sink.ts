/**
 * The two-phase-commit sink: a writer that prepares, a committer that commits. Modelled on Flink's Sink V2 (FLIP-143, FLIP-191),
 * with explicit outcomes instead of exceptions.
 *
 * Life of an epoch: write… → prepareCommit (durable, invisible) → [checkpoint completes] → commit (visible) → settled → forget.
 * After a crash: commit what is completed and uncommitted → abortStale → createWriter.
 */
import type { CommitPermit, CommitterContext, ValidateContext, WriterContext } from './context.ts'
import type { CheckpointId } from './ids.ts'
import type { Codec, SinkBatch } from './record.ts'

/** What one hop can promise; the guarantee of a path is its weakest hop's. */
export type Guarantee = 'exactly-once' | 'idempotent' | 'at-least-once'

export interface Sink<In, C, W = never> {
  readonly guarantee: Guarantee
  /** One short word, for plans and logs: `file`, `kafka`. */
  readonly kind: string
  /** Versioned. Committables are self-contained bytes: another process, on another day, may commit them. Keep them small. */
  readonly committableCodec: Codec<C>
  readonly writerStateCodec?: Codec<W>
  /** Reads only; runs before anybody is fenced. @throws TerminalError with the cure */
  validate(context: ValidateContext): Promise<void>
  /** What it may leave behind outside (directory, prefix, ids, slots); logged at start, given back to `abortStale` in later ones. */
  scope(parallelism: number): Uint8Array
  /** Called once per attempt and subtask, before any write. `restored` is this subtask's share of the last checkpoint's writer state. */
  createWriter(context: WriterContext, restored: readonly W[]): Promise<SinkWriter<In, C, W>>
  /** Called once per generation. */
  createCommitter(context: CommitterContext): Promise<Committer<C, W>>
}

export interface SinkWriter<In, C, W = never> extends AsyncDisposable {
  /** Values and timestamps, in order, one call at a time. A returned promise is backpressure. A throw or rejection ends the attempt. */
  write(batch: SinkBatch<In>): void | Promise<void>
  /**
   * Called when all earlier writes have resolved, one at a time. The cut is its synchronous part: what is written later belongs to
   * the next epoch. Everything of the epoch is durable and invisible when it resolves; only the acknowledgement waits for that, and
   * later writes arrive before it only if `overlapsPrepare`. A rejection is a failure of the attempt, never a declined checkpoint.
   * An epoch without records returns an empty list. `endOfInput` may come again. `checkpoint` is for logs only, never for names.
   */
  prepareCommit(epoch: { readonly checkpoint?: CheckpointId; readonly endOfInput: boolean }): Promise<readonly C[]>
  /** May `write` be called while a `prepareCommit` is still pending? */
  readonly overlapsPrepare: boolean
  /** Taken at the same cut, right after the synchronous part of prepareCommit. Split over subtasks on rescale. */
  snapshot?(checkpoint: CheckpointId): readonly W[]
  /** Commits of all checkpoints up to here are durable facts: reuse slots, release waits. May skip numbers; may never come. */
  settled?(through: CheckpointId): void
  /** Releases handles; leaves prepared data alone (S2). */
  [Symbol.asyncDispose](): Promise<void>
}

/** Keeps no state (S1): any process can make one and commit any committable with it. */
export interface Committer<C, W = never> extends AsyncDisposable {
  /**
   * Makes prepared data visible. Idempotent: again, later, also after later ones, also at the same time from another process. One
   * outcome per request, in order; a missing one counts as `unknown`. Requests come in origin order (C6): one that cannot be committed
   * now holds up those behind it, if their order is visible. A throw counts as `unknown` for all, a TerminalError ends the job.
   */
  commit(permit: CommitPermit, requests: readonly CommitRequest<C>[]): Promise<readonly CommitOutcome[]>
  /** Settled: evidence kept for repeats (ledger rows, markers) may go. Idempotent; may never be called. */
  forget?(committables: readonly C[]): Promise<void>
  /**
   * Removes everything left in the given scopes, evidence too, for which `stale.isStale(name)` holds. Repeatable. Never called before
   * all that is due has been committed.
   */
  abortStale(permit: AbortPermit, stale: StaleScope<C, W>): Promise<AbortReport>
  /** For people and tools. */
  inspect?(committables: readonly C[]): Promise<readonly ('prepared' | 'committed' | 'gone' | 'unknown')[]>
}

/** Stamped by the engine, unique for ever. */
export interface CommitRequestId {
  readonly generation: number
  /** The checkpoint in whose epoch it was prepared (a later one may carry it). */
  readonly checkpoint: number
  readonly operator: string
  readonly subtask: number
  readonly index: number
}

export interface CommitRequest<C> {
  readonly id: CommitRequestId
  readonly committable: C
  /** 1, 2, … within this generation. */
  readonly attempt: number
}

export type CommitOutcome =
  | { readonly kind: 'committed' }
  | { readonly kind: 'already-committed' }
  | { readonly kind: 'retry'; readonly afterMs?: number; readonly cause: unknown }
  /** Prepared data is gone: the job fails loudly, output frozen (C7). */
  | { readonly kind: 'lost'; readonly reason: string }
  /** Ask again; never assumed. */
  | { readonly kind: 'unknown'; readonly cause: unknown }

declare const abortPermitted: unique symbol
/** Given once all that was due before a generation's start has been committed and `committed` is in the log. */
export interface AbortPermit {
  readonly [abortPermitted]: true
  readonly generation: number
}

export interface StaleScope<C, W = never> {
  /** `scope()` of every generation that was not cleanly aborted yet, and of this one. */
  readonly scopes: readonly Uint8Array[]
  /** Is the thing of this external name (see WriterContext.nextName) left behind for good? Unknown names are not. */
  isStale(name: string): boolean
  /** Committables and writer state that a completed checkpoint holds: never to be touched, whatever their names say. */
  readonly keep: readonly C[]
  readonly keepWriterState: readonly W[]
}

export interface AbortReport {
  /** How many things were removed. */
  readonly aborted: number
  /** False: something could not be reached or removed; the engine asks again. */
  readonly clean: boolean
}
