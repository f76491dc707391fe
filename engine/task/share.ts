/**
 * What each subtask gets of what a checkpoint holds, where it belongs to no key: splits, entries of state, and whether the end was reached.
 * Pure; all processes of a generation come to the same answer.
 */
import type { Subtask } from '../state/share.ts'
import { inOrder } from '../state/share.ts'
import type { SplitState } from './source-port.ts'

export { shareOf } from '../state/share.ts'

/**
 * Splits by subtask. In the order of discovery those that are still read go to the subtasks in turn, first to last, those that have ended
 * last to first: the numbers of each kind, and of all, differ by at most one. Within a subtask the order is that of discovery.
 */
export function dealSplits(splits: readonly SplitState[], parallelism: number): readonly (readonly SplitState[])[] {
  const shares: SplitState[][] = Array.from({ length: parallelism }, () => [])
  let open = 0
  let ended = 0
  for (const split of splits) {
    const subtask = split.ended ? parallelism - 1 - (ended % parallelism) : open % parallelism
    if (split.ended) ended += 1
    else open += 1
    shares[subtask]?.push(split)
  }
  return shares
}

/**
 * New splits, in the order of discovery, each to the subtask with the fewest open ones, the lowest number of several. `open` counts them,
 * these included; undefined: this one takes no more. Nothing is dealt when no subtask does.
 */
export function dealNewSplits(
  splits: readonly SplitState[],
  open: (number | undefined)[],
): ReadonlyMap<number, readonly SplitState[]> {
  const shares = new Map<number, SplitState[]>()
  for (const split of splits) {
    const fewest = Math.min(...open.filter((count) => count !== undefined))
    const subtask = open.indexOf(fewest)
    if (subtask < 0) return shares
    open[subtask] = fewest + 1
    shares.set(subtask, [...(shares.get(subtask) ?? []), split])
  }
  return shares
}

/**
 * Has `onEnd` been called by this subtask of an operator, or its closing output been given otherwise, before the checkpoint? Only subtask 0
 * ever does that, so only its part is asked, at whatever parallelism (F24). It does not say that there is nothing to read: with other
 * splits than before, the inputs may go on.
 *
 * `parts` are those of one operator; none: it was not in the checkpoint. @throws CorruptCheckpointError
 */
export function endedOf(parts: readonly (Subtask & { readonly ended: boolean })[], subtask: number): boolean {
  return subtask === 0 && inOrder(parts)[0]?.ended === true
}
