/**
 * The replayable source: splits, positions, bounded polls.
 */
import type { ReaderContext, SourceContext, ValidateContext } from './context.ts'
import type { Batch } from './record.ts'
import type { Guarantee } from './sink.ts'

/** `Split` and `Position` are plain JSON values; a split is identified by `id`, unique and stable within its source. */
export interface SplitLike {
  readonly id: string
}

/**
 * Where records come from: splits, each a sequence of records that can be read again from any position.
 *
 * Life of an attempt: discover → for each subtask, perhaps in a process of its own: createReader → assign → poll … poll, with acknowledge
 * beside it → dispose; with `discoverEveryMs` also discover … discover beside all of it, and addSplits between two polls. After a crash or
 * a failure the next attempt does the same again, from the positions of the last completed checkpoint; splits are dealt out anew each time,
 * so a split may go to another reader, and what several splits share outside (a slot, a cursor) must not be released by one reader for
 * others.
 *
 * What any of these throws or rejects with ends the attempt, and the restart strategy decides; a TerminalError ends the job. So what may
 * work a moment later (a lost connection) is tried again inside, for as long as it makes sense.
 */
export interface Source<Out, Split extends SplitLike, Position> {
  /** One short word, for plans and logs: `file`, `kafka`. */
  readonly kind: string
  /** `exactly-once`: every position can be read again, giving the same records in the same order. */
  readonly guarantee: Guarantee
  /** Reads only; runs before anybody is fenced, and not when only commits are left to deliver. @throws TerminalError with the cure */
  validate(context: ValidateContext): Promise<void>
  /**
   * The splits there are, with the position to start each at when it is new. `known` are those with a position in what was restored, ended
   * ones included. Called once when an attempt begins. A known one that has not ended is read on even if it is left out here; an ended
   * one that is left out is forgotten. Two of one id are a TerminalError.
   *
   * A new one may start at the latest (as numbers) only if `context.isFirst`: nothing is read before a checkpoint holds that. All others
   * appeared meanwhile and must start at their beginning, the same place whenever it is asked for (F32).
   */
  discover(context: SourceContext, known: readonly Split[]): Promise<readonly DiscoveredSplit<Split, Position>[]>
  /**
   * Where splits can appear: so long after each answer, `discover` is called again, by the coordinator, while the source has not ended. One
   * call at a time, beside polls; the first one after the first checkpoint of the attempt. `known` are all splits of the attempt, ended ones
   * included; what is not among them is new. After a RetryableError it is called again the next time; any other failure ends the attempt.
   *
   * Readers of such a source have `addSplits`, answer each poll soon (with `idle`, if need be), and say `ended` only when no split can come
   * any more: one that comes to such a subtask all the same ends the attempt. When all subtasks have said so, the source has ended for good:
   * it takes no new splits, in no later run either (F24).
   */
  readonly discoverEveryMs?: number
  /** Called once per attempt and subtask, after `discover`. Nothing is shared with readers of other subtasks but the job's module. */
  createReader(context: ReaderContext): Promise<SourceReader<Out, Split, Position>>
}

/** A split, and where to begin it if it is new. */
export interface DiscoveredSplit<Split, Position> {
  readonly split: Split
  readonly start: Position
}

/** Disposed of once, when no poll and no acknowledge is pending; keeps nothing: where it is, the engine knows. */
export interface SourceReader<Out, Split, Position> extends AsyncDisposable {
  /**
   * Once, before the first poll; this reader's splits, perhaps none, in the order of discovery, ended ones left out. Checks that each position
   * can be resumed.
   */
  assign(splits: readonly { readonly split: Split; readonly position: Position }[]): Promise<void>
  /**
   * Splits that appeared, to be read from `position` on beside the others. Between two polls, neither pending; barriers are served while
   * the returned promise is. Required with `discoverEveryMs`, never called without.
   */
  addSplits?(splits: readonly { readonly split: Split; readonly position: Position }[]): Promise<void>
  /**
   * The next bounded batch. One call at a time. Barriers are served while a returned promise is pending. When `signal` aborts, it
   * rejects or resolves `idle` soon, and loses nothing. Split, records and position are the engine's from then on; the position is copied.
   */
  poll(signal: AbortSignal): Promise<Polled<Out, Split, Position>> | Polled<Out, Split, Position>
  /**
   * Positions of the oldest RETAINED checkpoint, of splits of this reader: nothing before them will be asked for again. One call at a time,
   * beside polls; may skip checkpoints, or never come. After a RetryableError the next one makes up for it; any other failure ends the attempt.
   */
  acknowledge?(positions: readonly { readonly split: Split; readonly position: Position }[]): Promise<void>
}

/** The answer to one poll. */
export type Polled<Out, Split, Position> =
  /** `after` is the position behind the last of `records`; the engine keeps it once they are pushed through. May be empty. */
  | { readonly kind: 'records'; readonly split: Split; readonly records: Batch<Out>; readonly after: Position }
  /** Nothing now. The engine asks again after `retryAfterMs` (default 10). */
  | { readonly kind: 'idle'; readonly retryAfterMs?: number }
  /** This split has no more records, ever. */
  | { readonly kind: 'split-ended'; readonly split: Split }
  /** All assigned splits have ended and no new ones can come. */
  | { readonly kind: 'ended' }
