/**
 * Finding the newest log entry without a listing and without a mutable pointer: gallop over the waymarks (mark k exists => all lower
 * exist), then over the entries from mark k on (contiguous). About 20 small reads. Pure: says what to look at, is told what was there.
 */
import { MARK_DISTANCE } from './log-entry.ts'

export type SearchStep =
  | { readonly kind: 'probe-mark' | 'probe-entry'; readonly number: number; next(exists: boolean): SearchStep }
  /** 0: the log is empty. */
  | { readonly kind: 'found'; readonly seq: number }

export function startSearch(distance = MARK_DISTANCE): SearchStep {
  return gallop('probe-mark', 0, (mark) => gallop('probe-entry', mark * distance, (seq) => ({ kind: 'found', seq })))
}

/** The highest existing number at or above `known`, which exists (or is 0): doubling steps, then halving. */
function gallop(kind: 'probe-mark' | 'probe-entry', known: number, done: (highest: number) => SearchStep): SearchStep {
  const narrow = (low: number, high: number): SearchStep => {
    if (high - low === 1) return done(low)
    const middle = Math.floor((low + high) / 2)
    return { kind, number: middle, next: (exists) => (exists ? narrow(middle, high) : narrow(low, middle)) }
  }
  const leap = (low: number, step: number): SearchStep => {
    const number = known + step
    return { kind, number, next: (exists) => (exists ? leap(number, step * 2) : narrow(low, number)) }
  }
  return leap(known, 1)
}
