/**
 * What a sweep may delete. A sweep works from a listing, which says nothing about who still needs a name; so it touches only names of
 * generations below its own (C3). A fenced sweeper that wakes up then deletes nothing of its successor (F36). Own debris is deleted by
 * name, never by list.
 */

export interface DebrisFacts {
  readonly key: string
  /** In the name; undefined: not a name of ours. */
  readonly owner: number | undefined
  /** Generation of the sweeper. */
  readonly sweeper: number
  /** Everything that the checkpoints of the sweeper's newest entry refer to. */
  readonly referred: ReadonlySet<string>
}

export function isDebris({ key, owner, sweeper, referred }: DebrisFacts): boolean {
  return owner !== undefined && owner < sweeper && !referred.has(key)
}
