/**
 * Whether and when a failed attempt is followed by another. The strategies are Flink's (fixed-delay, failure-rate,
 * exponential-delay).
 */
import { unreachable } from '../api/index.ts'

export type RestartStrategy =
  | { readonly kind: 'none' }
  | { readonly kind: 'fixed-delay'; readonly attempts: number; readonly delayMs: number }
  | { readonly kind: 'failure-rate'; readonly failures: number; readonly perMs: number; readonly delayMs: number }
  | {
      readonly kind: 'exponential-delay'
      readonly initialMs: number
      readonly maxMs: number
      readonly factor: number
      /** An attempt that ran this long starts the series anew. */
      readonly resetMs: number
      /** Share of the delay that chance may add or take, 0 to 1. */
      readonly jitter: number
      /** Failures in a row before giving up. */
      readonly attempts: number
    }

export const DEFAULT_RESTART_STRATEGY: RestartStrategy = {
  kind: 'exponential-delay',
  initialMs: 100,
  maxMs: 60_000,
  factor: 2,
  resetMs: 60_000,
  jitter: 0.1,
  attempts: 10,
}

export interface RestartFacts {
  /** Monotonic times of all failures of this process, oldest first, the latest included. */
  readonly failuresAtMs: readonly number[]
  readonly nowMs: number
  /** Failures in a row, each within `resetMs` of the start of its attempt, the latest included. */
  readonly inARow: number
  /** In [0, 1). */
  readonly random: number
}

export type RestartDecision =
  | { readonly kind: 'restart'; readonly delayMs: number }
  | { readonly kind: 'give-up'; readonly reason: string }

export function decideRestart(strategy: RestartStrategy, facts: RestartFacts): RestartDecision {
  switch (strategy.kind) {
    case 'none':
      return { kind: 'give-up', reason: 'restart strategy none' }
    case 'fixed-delay':
      if (facts.failuresAtMs.length > strategy.attempts) {
        return { kind: 'give-up', reason: `gave up after ${strategy.attempts} restarts` }
      }
      return { kind: 'restart', delayMs: strategy.delayMs }
    case 'failure-rate': {
      const recent = facts.failuresAtMs.filter((at) => facts.nowMs - at <= strategy.perMs).length
      if (recent > strategy.failures) {
        return { kind: 'give-up', reason: `gave up: ${recent} failures within ${strategy.perMs} ms` }
      }
      return { kind: 'restart', delayMs: strategy.delayMs }
    }
    case 'exponential-delay': {
      if (facts.inARow > strategy.attempts) {
        return { kind: 'give-up', reason: `gave up after ${strategy.attempts} restarts in a row` }
      }
      const plain = Math.min(strategy.maxMs, strategy.initialMs * strategy.factor ** (facts.inARow - 1))
      return { kind: 'restart', delayMs: plain * (1 + strategy.jitter * (2 * facts.random - 1)) }
    }
    default:
      return unreachable(strategy)
  }
}
