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

export interface Source<Out, Split extends SplitLike, Position> {
  readonly kind: string
  /** `exactly-once`: every position can be read again, giving the same records in the same order. */
  readonly guarantee: Guarantee
  validate(context: ValidateContext): Promise<void>
  /**
   * The splits there are, with the position to start each at when it is new ("latest" as numbers). `known` are those with a position
   * in what was restored, ended ones included. Called once at start.
   */
  discover(context: SourceContext, known: readonly Split[]): Promise<readonly DiscoveredSplit<Split, Position>[]>
  createReader(context: ReaderContext): Promise<SourceReader<Out, Split, Position>>
}

export interface DiscoveredSplit<Split, Position> {
  readonly split: Split
  readonly start: Position
}

export interface SourceReader<Out, Split, Position> extends AsyncDisposable {
  /** Once, before the first poll; splits in the order of discovery, ended ones left out. Checks that each position can be resumed. */
  assign(splits: readonly { readonly split: Split; readonly position: Position }[]): Promise<void>
  /**
   * The next bounded batch. One call at a time. Barriers are served while a returned promise is pending. When `signal` aborts, it
   * rejects or resolves `idle` soon, and loses nothing.
   */
  poll(signal: AbortSignal): Promise<Polled<Out, Split, Position>> | Polled<Out, Split, Position>
  /** Positions of the oldest RETAINED checkpoint: nothing before them will be asked for again. */
  acknowledge?(positions: readonly { readonly split: Split; readonly position: Position }[]): Promise<void>
}

export type Polled<Out, Split, Position> =
  /** `after` is the position behind the last of `records`; the engine keeps it once they are pushed through. May be empty. */
  | { readonly kind: 'records'; readonly split: Split; readonly records: Batch<Out>; readonly after: Position }
  /** Nothing now. The engine asks again after `retryAfterMs` (default 10). */
  | { readonly kind: 'idle'; readonly retryAfterMs?: number }
  /** This split has no more records, ever. */
  | { readonly kind: 'split-ended'; readonly split: Split }
  /** All assigned splits have ended and no new ones can come. */
  | { readonly kind: 'ended' }
