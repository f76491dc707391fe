/**
 * When a checkpoint is triggered. One in flight (C8); none while too many wait for their commit.
 */
import { unreachable } from '../api/index.ts'

/** When a job takes checkpoints, and how many may go wrong. */
export interface CheckpointPolicy {
  /** From trigger to trigger, default 1,000: so long does output wait to become visible. */
  readonly intervalMs: number
  /** From the end of one (completed or not) to the trigger of the next. */
  readonly minPauseMs: number
  /** One that is not complete by then is given up, default 600,000; what it prepared is carried by the next. */
  readonly timeoutMs: number
  /** This many unsuccessful ones in a row are tolerated. */
  readonly toleratedFailures: number
  /** Completed and not committed yet: with so many, default 4, none is triggered. */
  readonly maxUncommittedEpochs: number
}

export const DEFAULT_CHECKPOINT_POLICY: CheckpointPolicy = {
  intervalMs: 1_000,
  minPauseMs: 0,
  timeoutMs: 600_000,
  toleratedFailures: 3,
  maxUncommittedEpochs: 4,
}

export interface TriggerFacts {
  readonly inFlight: boolean
  readonly sinceTriggerMs: number
  readonly sinceResolvedMs: number
  readonly uncommitted: number
  /** Somebody wants one now: after a restore, at the end of input, on demand, for a stop. */
  readonly wanted: boolean
}

export type TriggerDecision =
  | { readonly kind: 'trigger' }
  | { readonly kind: 'wait'; readonly for: 'in-flight' | 'commits' | 'pause' | 'interval' }

export function decideTrigger(policy: CheckpointPolicy, facts: TriggerFacts): TriggerDecision {
  if (facts.inFlight) return { kind: 'wait', for: 'in-flight' }
  if (facts.uncommitted >= policy.maxUncommittedEpochs) return { kind: 'wait', for: 'commits' }
  if (facts.sinceResolvedMs < policy.minPauseMs) return { kind: 'wait', for: 'pause' }
  if (facts.wanted || facts.sinceTriggerMs >= policy.intervalMs) return { kind: 'trigger' }
  return { kind: 'wait', for: 'interval' }
}

/** When to look again by itself; what is waited for otherwise says so when it happens (a busy wait would hold the loop, T3). */
export function triggerWaitMs(policy: CheckpointPolicy, facts: TriggerFacts): number {
  const decision = decideTrigger(policy, facts)
  if (decision.kind === 'trigger') return 0
  switch (decision.for) {
    case 'in-flight':
    case 'commits':
      return Number.POSITIVE_INFINITY
    case 'pause':
      return policy.minPauseMs - facts.sinceResolvedMs
    case 'interval':
      return policy.intervalMs - facts.sinceTriggerMs
    default:
      return unreachable(decision.for)
  }
}

export interface FlightFacts {
  readonly ageMs: number
  /** Checkpoints in a row that did not complete, this one not counted. */
  readonly failuresInARow: number
  /** The tasks said no. */
  readonly isDeclined: boolean
}

export type FlightDecision =
  | { readonly kind: 'wait' }
  /** Given up; what it prepared rides in the next one (F12). */
  | { readonly kind: 'abandon'; readonly why: 'declined' | 'timeout' }
  /** Given up, and one too many: the attempt fails. */
  | { readonly kind: 'fail'; readonly why: 'declined' | 'timeout' }

/** What becomes of the checkpoint in flight while acknowledgements are missing. */
export function decideFlight(policy: CheckpointPolicy, facts: FlightFacts): FlightDecision {
  const why = facts.isDeclined ? 'declined' : 'timeout'
  if (!facts.isDeclined && facts.ageMs < policy.timeoutMs) return { kind: 'wait' }
  return { kind: facts.failuresInARow < policy.toleratedFailures ? 'abandon' : 'fail', why }
}
