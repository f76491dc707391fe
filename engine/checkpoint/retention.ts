/**
 * Which completed checkpoints a log entry goes on naming: the newest `keep`, and everything not yet committed (C2).
 */

export interface RetentionChoice<C> {
  readonly retained: readonly C[]
  readonly retired: readonly number[]
}

export function chooseRetained<C extends { readonly checkpoint: number }>(
  completed: readonly C[],
  keep: number,
  committedThrough: number,
): RetentionChoice<C> {
  const firstKept = completed.length - Math.max(1, keep)
  const retained = completed.filter((one, index) => index >= firstKept || one.checkpoint > committedThrough)
  const retired = completed.filter((one) => !retained.includes(one)).map((one) => one.checkpoint)
  return { retained, retired }
}

/**
 * Log entries that may be deleted once mark k exists: those below (k - 1) * distance that are no `started` entry (an old coordinator
 * must always collide with one).
 */
export function isCleanable(seq: number, kind: string, newestMark: number, distance: number): boolean {
  return kind !== 'started' && seq < (newestMark - 1) * distance
}
