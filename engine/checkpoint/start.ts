/**
 * What a start does between its `started` entry and its recovery. The entry took the next number of every older coordinator; whether
 * that number was really the log's next is only known by looking for a waymark afterwards:
 *
 *   number n was cleaned away  =>  mark k with n < (k - 1) * distance existed before  =>  mark floor(n / distance) + 2 exists now
 *
 * - C3: a start with a stale view exits; it does not commit, abort or delete.
 */
import { MARK_DISTANCE, type LogEntry } from './log-entry.ts'

/** The waymark to look for after `started` was created under `seq`. */
export function markAfterStart(seq: number, distance = MARK_DISTANCE): number {
  return Math.floor(seq / distance) + 2
}

export interface StartedFacts {
  readonly started: Pick<LogEntry, 'seq' | 'kind'>
  /** Does the waymark `markAfterStart(started.seq)` exist? Asked after the create was answered. */
  readonly markExists: boolean
  /** The entry that the preflight looked at; 0: none. */
  readonly preflightSeq: number
}

export type StartedDecision =
  | { readonly kind: 'recover' }
  /** Somebody appended between preflight and start: the preflight's questions are asked again, of what `started` carries. */
  | { readonly kind: 'recheck' }
  /** The number had been cleaned away: exit with FencedError, do not start over. */
  | { readonly kind: 'fenced' }

export function decideAfterStarted({ started, markExists, preflightSeq }: StartedFacts): StartedDecision {
  if (markExists) return { kind: 'fenced' }
  return started.seq === preflightSeq + 1 ? { kind: 'recover' } : { kind: 'recheck' }
}
