/**
 * Which key groups are written whole in this checkpoint instead of as a delta. Pure: facts in, decision out.
 *
 * A group wants it when its deltas outweigh its base, its chain is long, or half of it changed anyway. What costs more than the delta
 * would is bounded per checkpoint, so that not all groups are rebased at once; the longest chains go first, so none waits for ever.
 */
import type { Chains } from './segment-chains.ts'

const LONGEST_CHAIN = 32
/** Above this many blobs, groups are moved out of those that hold least, within the budget, until half as many are left. */
const MOST_BLOBS = 64
const LEAST_BUDGET_BYTES = 1024 * 1024
/** The share of all base bytes that one checkpoint may rewrite. */
const BUDGET_SHARE = 8

export interface GroupFacts {
  readonly keyGroup: number
  /** Lengths of the segments, base first. */
  readonly segments: readonly number[]
  readonly dirtyCount: number
  readonly entryCount: number
  /** There are too many blobs, and a segment of its lies in one of those that are cheap to leave. */
  readonly isInCheapBlob: boolean
}

export function chooseRebases(groups: readonly GroupFacts[], totalBaseBytes: number): ReadonlySet<number> {
  const chosen = new Set<number>()
  const wanting: GroupFacts[] = []
  for (const facts of groups) {
    const [base, ...deltas] = facts.segments
    if (base === undefined || (facts.dirtyCount > 0 && facts.dirtyCount * 2 >= facts.entryCount)) {
      chosen.add(facts.keyGroup)
      continue
    }
    const deltaBytes = deltas.reduce((sum, length) => sum + length, 0)
    const isHeavy = deltaBytes >= base || facts.segments.length >= LONGEST_CHAIN
    if (facts.isInCheapBlob || (isHeavy && facts.dirtyCount > 0)) wanting.push(facts)
  }
  let budget = Math.max(LEAST_BUDGET_BYTES, totalBaseBytes / BUDGET_SHARE)
  wanting.sort((one, other) => other.segments.length - one.segments.length)
  for (const { keyGroup, segments } of wanting) {
    if (budget <= 0) break
    budget -= segments[0] ?? 0
    chosen.add(keyGroup)
  }
  return chosen
}

/** The blobs that hold least, when there are too many. */
export function blobsToLeave(chains: Chains): ReadonlySet<string> {
  const held = new Map<string, number>()
  for (const chain of chains) {
    for (const { blob, length } of chain) held.set(blob.key, (held.get(blob.key) ?? 0) + length)
  }
  if (held.size <= MOST_BLOBS) return new Set()
  const byBytes = [...held].toSorted(([, one], [, other]) => one - other)
  return new Set(byBytes.slice(0, held.size - MOST_BLOBS / 2).map(([key]) => key))
}
