/**
 * When a committed fact gets a log entry of its own. As a rule it rides in the next `completed` entry: one durable write less for each
 * checkpoint. It does not ride for ever, since writers may wait to hear that it is settled.
 */

/** A committed fact waits this long for a checkpoint to be triggered. */
const RIDE_MS = 500
/** And this long for one in flight to complete. */
const LONG_RIDE_MS = 1_500

export interface NoteFacts {
  /** Commits of all checkpoints up to here are facts. */
  readonly committedThrough: number
  /** As the newest log entry has it. */
  readonly durableThrough: number
  readonly sinceCommittedMs: number
  readonly inFlight: boolean
  /** No `completed` entry will follow: the last checkpoint is complete, or the job is being canceled. */
  readonly isLast: boolean
}

/** 0: now. Infinity: there is nothing to note. */
export function noteWaitMs(facts: NoteFacts): number {
  if (facts.committedThrough <= facts.durableThrough) return Number.POSITIVE_INFINITY
  if (facts.isLast) return 0
  return Math.max(0, (facts.inFlight ? LONG_RIDE_MS : RIDE_MS) - facts.sinceCommittedMs)
}
