/**
 * What coordinator and task say to each other: plain data, no closures, so that a task can live in another process.
 */
import type { Manifest, OperatorSnapshot } from '../checkpoint/manifest.ts'

export type ToTask =
  /** Take a snapshot. `base` is the newest completed checkpoint (null before the first): deltas are everything since it. */
  | { readonly kind: 'trigger'; readonly checkpoint: number; readonly base: number | null; readonly final: boolean }
  /** `checkpoint` has completed: committables it holds need not be carried any more; sources without positions may poll. */
  | { readonly kind: 'completed'; readonly checkpoint: number }
  | { readonly kind: 'settled'; readonly through: number }
  /** Positions of the oldest retained checkpoint. */
  | { readonly kind: 'retained'; readonly oldest: Manifest }

export type FromTask =
  | { readonly kind: 'acknowledged'; readonly checkpoint: number; readonly operators: readonly OperatorSnapshot[] }
  /** The snapshot could not be stored (disk full …): the job goes on, its committables ride in the next checkpoint. */
  | { readonly kind: 'declined'; readonly checkpoint: number; readonly error: unknown }
  /** All inputs have ended and everything was pushed through; barriers are still answered. */
  | { readonly kind: 'input-ended' }
  /** The attempt is over. */
  | { readonly kind: 'failed'; readonly error: unknown }
