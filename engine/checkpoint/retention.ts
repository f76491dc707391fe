/**
 * Which completed checkpoints a log entry goes on naming, which blobs may be deleted once it is durable, and which log entries may go.
 *
 * - C2: what is not yet committed is retained, however many there are.
 * - C3: a blob is deleted by name, only if no checkpoint that is still retained and no pinned base refers to it.
 */
import { MARK_DISTANCE, type EntryKind } from './log-entry.ts'
import { blobsOf, type Manifest } from './manifest.ts'

export interface RetentionChoice<C> {
  readonly retained: readonly C[]
  readonly retired: readonly number[]
}

/** The newest `keep` (at least one) and everything above `committedThrough`. */
export function chooseRetained<C extends { readonly checkpoint: number }>(
  completed: readonly C[],
  keep: number,
  committedThrough: number,
): RetentionChoice<C> {
  const firstKept = completed.length - Math.max(1, keep)
  const isRetained = (one: C, index: number): boolean => index >= firstKept || one.checkpoint > committedThrough
  return {
    retained: completed.filter(isRetained),
    retired: completed.filter((one, index) => !isRetained(one, index)).map((one) => one.checkpoint),
  }
}

/** A completed checkpoint and where its manifest lies; undefined: in the log entry. */
export interface StoredCheckpoint {
  readonly manifest: Manifest
  readonly manifestKey: string | undefined
}

/**
 * Keys that only `retired` checkpoints refer to. To be deleted after the entry that stopped naming them is durable. `kept` are the
 * retained ones and the base of a checkpoint in flight.
 */
export function deletableBlobs(
  retired: readonly StoredCheckpoint[],
  kept: readonly StoredCheckpoint[],
): readonly string[] {
  const needed = new Set(kept.flatMap(keysOfCheckpoint))
  return [...new Set(retired.flatMap(keysOfCheckpoint))].filter((key) => !needed.has(key))
}

/** Everything in the store that a completed checkpoint refers to. */
export function keysOfCheckpoint({ manifest, manifestKey }: StoredCheckpoint): readonly string[] {
  const blobs = manifest.operators.flatMap(blobsOf).map((blob) => blob.key)
  return manifestKey === undefined ? blobs : [manifestKey, ...blobs]
}

/** Once mark k exists, entries below this number may go, if they are cleanable. 0: none. */
export function cleanableBelow(newestMark: number, distance = MARK_DISTANCE): number {
  return Math.max(0, (newestMark - 1) * distance)
}

/**
 * Log entries that may be deleted once mark k exists: those below (k - 1) * distance that are no `started` entry (an old coordinator
 * must always collide with one).
 */
export function isCleanable(seq: number, kind: EntryKind, newestMark: number, distance = MARK_DISTANCE): boolean {
  return kind !== 'started' && seq < cleanableBelow(newestMark, distance)
}
