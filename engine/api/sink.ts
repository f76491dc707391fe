/**
 * The two-phase-commit sink: a writer that prepares, a committer that commits. Modelled on Flink's Sink V2 (FLIP-143, FLIP-191),
 * with explicit outcomes instead of exceptions.
 */
import type { CommitPermit, CommitterContext, GenerationScope, SinkValidateContext, WriterContext } from './context.ts'
import type { CheckpointId } from './ids.ts'
import type { Codec, SinkBatch } from './record.ts'

/** What one hop can promise; the guarantee of a path is its weakest hop's. */
export type Guarantee = 'exactly-once' | 'idempotent' | 'at-least-once'

/**
 * Where records leave the job: a factory of writers and a committer. Its methods keep nothing between calls; any process may make its own.
 *
 * Life of an epoch: write… → prepareCommit (durable, invisible) → [checkpoint completes] → commit (visible) → settled → forget.
 * After a crash: commit what is completed and uncommitted → abortStale → createWriter.
 */
export interface Sink<In, C, W = never> {
  readonly guarantee: Guarantee
  /** One short word, for plans and logs: `file`, `kafka`. */
  readonly kind: string
  /** Versioned. Committables are self-contained bytes: another process, on another day, may commit them. Keep them small. */
  readonly committableCodec: Codec<C>
  readonly writerStateCodec?: Codec<W>
  /**
   * True: writer state says all by itself and names nothing outside, so that a savepoint can hold it, for another job too. Left out: it may
   * name what only this history of the job has (an open file, an upload), and is not restored from a savepoint.
   */
  readonly isWriterStatePortable?: boolean
  /** Reads only; runs before anybody is fenced. @throws TerminalError with the cure */
  validate(context: SinkValidateContext): Promise<void>
  /**
   * Where it may leave something behind outside (directory, prefix, table); logged at start, given back to `abortStale` in later ones.
   * Other bytes mean another place, and a start is refused while the old one is not clean: nothing in it may change without that (a
   * pool's size, a list of brokers, a password).
   */
  scope(parallelism: number): Uint8Array
  /** Called once per attempt and subtask, before any write. `restored` is this subtask's share of the last checkpoint's writer state. */
  createWriter(context: WriterContext, restored: readonly W[]): Promise<SinkWriter<In, C, W>>
  /**
   * Called once per generation, before anything is committed, aborted or written: the place to make what both halves need outside (a ledger
   * table), as only now others are fenced. A rejection ends the attempt, as one of `createWriter` does.
   */
  createCommitter(context: CommitterContext): Promise<Committer<C, W>>
}

/** One subtask of a sink, for one attempt: takes records, and makes them durable and invisible at each checkpoint. */
export interface SinkWriter<In, C, W = never> extends AsyncDisposable {
  /**
   * Values and timestamps, in order, one call at a time. A returned promise is backpressure; `settled` may come while it is pending. A throw
   * or rejection ends the attempt: a FencedError the process (only when sure that a newer generation did it: a transaction that timed out
   * is not that), a TerminalError the job, anything else is followed by a restart.
   */
  write(batch: SinkBatch<In>): void | Promise<void>
  /**
   * Called when all earlier writes have resolved, one at a time. The cut is its synchronous part: what is written later belongs to
   * the next epoch. Everything of the epoch is durable and invisible when it resolves; only the acknowledgement waits for that, and
   * later writes arrive before it only if `overlapsPrepare`. A rejection is a failure of the attempt, never a declined checkpoint.
   * An epoch without records returns an empty list. `endOfInput` may come again. `checkpoint` is never for names: numbers of unfinished
   * attempts come again. What it prepared is settled once `settled` says this number or a higher one. A host that leaves it out never
   * calls `settled`: nothing may be reused or waited for then.
   */
  prepareCommit(epoch: { readonly checkpoint?: CheckpointId; readonly endOfInput: boolean }): Promise<readonly C[]>
  /** May `write` be called while a `prepareCommit` is still pending? */
  readonly overlapsPrepare: boolean
  /** Taken at the same cut, right after the synchronous part of prepareCommit. Split over subtasks on rescale. */
  snapshot?(checkpoint: CheckpointId): readonly W[]
  /**
   * Durable fact: all that this writer prepared with a `checkpoint` up to here is committed. Reuse slots, release waits. May skip numbers.
   * May come during a pending `write` or `prepareCommit`; must not block.
   */
  settled?(through: CheckpointId): void
  /**
   * Releases handles; leaves prepared data alone (S2). What was written since the last `prepareCommit` may be discarded, and should be where it
   * holds others up: an open transaction stalls readers until it times out.
   */
  [Symbol.asyncDispose](): Promise<void>
}

/** Keeps no state (S1): any process can make one and commit any committable with it. */
export interface Committer<C, W = never> extends AsyncDisposable {
  /**
   * Makes prepared data visible. Idempotent: again, later, also after later ones, also at the same time from another process. One
   * outcome per request, in order; a missing one counts as `unknown`. `committed`: nobody can take it back and no further call is needed;
   * consumers may see it a moment later. Requests come in origin order, and nothing may become visible
   * behind one that could not be committed (C6): the outcomes of those behind it are `retry`, unless they were committed before. A throw
   * counts as `unknown` for all and is asked again, for ever; a TerminalError ends the job (rights that are missing), a FencedError the
   * process.
   */
  commit(permit: CommitPermit, requests: readonly CommitRequest<C>[]): Promise<readonly CommitOutcome[]>
  /**
   * Settled: evidence kept for repeats (ledger rows, markers) may go, of exactly these. Idempotent; may never be called. At a start it
   * comes before `abortStale`, for all that is in `keep` then. A later `commit` of these may answer anything, but changes nothing.
   */
  forget?(committables: readonly C[]): Promise<void>
  /**
   * Removes everything left in the given scopes, evidence too, for which `stale.isStale(name)` holds, and keeps the writers of stale
   * generations from leaving more, as far as the outside can (fence, sessions ended). Called at a start when older generations may have
   * left something, after all that was due has been committed and before a writer is created; again after the first checkpoint of
   * this generation completed, with writers at work; and once more at a clean end, own things included (the committer's sessions are
   * not among them). Checkpoints go on meanwhile; one without an answer for some seconds is asked again later, as `forget` is. Repeatable. Not every start
   * calls it, and a generation whose call was not clean works on: writers must not depend on it.
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

/** One committable to be made visible. */
export interface CommitRequest<C> {
  readonly id: CommitRequestId
  readonly committable: C
  /** 1, 2, … within this generation. */
  readonly attempt: number
}

/** What became of one request. Outcomes are values: what is thrown counts as `unknown`. */
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

/** What `abortStale` is to look through, and what of it must stay. */
export interface StaleScope<C, W = never> {
  /** Of every generation that was not cleanly aborted yet, this one included; oldest first. */
  readonly scopes: readonly GenerationScope[]
  /**
   * Is the thing of this external name (see WriterContext.nextName) left behind for good, by this very sink? Unknown names are not, nor those
   * of another sink, nor those of a job of the same id in another store.
   */
  isStale(name: string): boolean
  /**
   * Committables and writer state that a completed checkpoint holds: never to be touched, whatever their names say. Where something is
   * reused (a transactional id), this is about the use that the committable names, not about later ones.
   */
  readonly keep: readonly C[]
  readonly keepWriterState: readonly W[]
}

/** What `abortStale` did. */
export interface AbortReport {
  /** How many things were removed. */
  readonly aborted: number
  /** False: something could not be reached or removed; the engine asks again. */
  readonly clean: boolean
}
