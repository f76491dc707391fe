/**
 * What coordinator and task say to each other: plain data, no closures, so that a task can live in another process.
 */
import type { OperatorSnapshot } from '../checkpoint/manifest.ts'
import type { SplitState } from './source-port.ts'

export type ToTask =
  /**
   * To source tasks: take a snapshot and send its barrier on. `base` is the newest completed checkpoint (null before the first): deltas are
   * everything since it.
   */
  | { readonly kind: 'trigger'; readonly checkpoint: number; readonly base: number | null; readonly final: boolean }
  /** `checkpoint` will not complete: nothing needs to wait for its barrier any more. */
  | { readonly kind: 'given-up'; readonly checkpoint: number }
  /** `checkpoint` has completed: committables it holds need not be carried any more; sources without positions may poll. */
  | { readonly kind: 'completed'; readonly checkpoint: number }
  /** All subtasks of this source are exhausted. Said while no checkpoint is in flight: each holds the end of all of them, or of none (F24). */
  | { readonly kind: 'end'; readonly source: string }
  /**
   * All sources end where they are, exhausted or not. Said to all tasks while no checkpoint is in flight, so the next one holds the end of
   * every source (C4). No `splits` follow.
   */
  | { readonly kind: 'drain' }
  /** New ones, to be read by this subtask from their beginning. Never said to one that has told of its exhaustion. */
  | {
      readonly kind: 'splits'
      readonly source: string
      readonly subtask: number
      readonly splits: readonly SplitState[]
    }
  | { readonly kind: 'settled'; readonly through: number }
  /** Positions of the oldest retained checkpoint, by source; of all subtasks, as they were then. */
  | { readonly kind: 'retained'; readonly splits: Readonly<Record<string, NonNullable<OperatorSnapshot['splits']>>> }

export type FromTask =
  | {
      readonly kind: 'acknowledged'
      readonly checkpoint: number
      readonly operators: readonly OperatorSnapshot[]
      /** From the first barrier to the cut: so long some input of this task was blocked. 0: it has one input, or none. */
      readonly alignedMs: number
    }
  /** The snapshot could not be stored (disk full …): the job goes on, its committables ride in the next checkpoint. */
  | { readonly kind: 'declined'; readonly checkpoint: number; readonly error: unknown }
  /** The reader of this source's subtask has nothing more to give; it goes on with `end`. */
  | { readonly kind: 'source-exhausted'; readonly source: string }
  /** All inputs have ended and everything was pushed through; barriers are still answered. */
  | { readonly kind: 'input-ended' }
  /** The attempt is over. */
  | { readonly kind: 'failed'; readonly error: unknown }
