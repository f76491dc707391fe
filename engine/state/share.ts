/**
 * How entries that belong to no key are dealt out where an operator is restored: every entry of all old subtasks to exactly one new one.
 *
 * - Each new subtask decides alone, from the same parts, and all of them agree.
 * - C2: parts that are not one whole (a subtask missing, or there twice) are refused: something would be lost or doubled.
 */
import { CorruptCheckpointError } from '../api/index.ts'

/** One of `parallelism`. */
export interface Subtask {
  readonly subtask: number
  readonly parallelism: number
}

/** The entries of one subtask of a checkpoint. */
export interface EntriesOf<T> extends Subtask {
  readonly entries: readonly T[]
}

/**
 * What subtask `me` restores: at the parallelism of before its own entries, as they are; at another one they are dealt out in turn, in
 * the order of subtask and index. Without parts, nothing. @throws CorruptCheckpointError
 */
export function shareOf<T>(parts: readonly EntriesOf<T>[], me: Subtask): readonly T[] {
  const ordered = inOrder(parts)
  if (ordered.length === me.parallelism) return ordered[me.subtask]?.entries ?? []
  return ordered.flatMap(({ entries }) => entries).filter((_, index) => index % me.parallelism === me.subtask)
}

/** One part of each subtask, first to last; or none. @throws CorruptCheckpointError */
export function inOrder<P extends Subtask>(parts: readonly P[]): readonly P[] {
  const ordered = parts.toSorted((a, b) => a.subtask - b.subtask)
  const isWhole = ordered.every((part, index) => part.subtask === index && part.parallelism === ordered.length)
  if (isWhole) return ordered
  const held = ordered.map(({ subtask, parallelism }) => `${subtask} of ${parallelism}`).join(', ')
  throw new CorruptCheckpointError(`the checkpoint should hold one part of each subtask; it holds those of ${held}`, {
    code: 'SLUICE_CHECKPOINT_CORRUPT',
  })
}
