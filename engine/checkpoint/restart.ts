/**
 * Whether and when a failed attempt is followed by another. The strategies are Flink's (fixed-delay, failure-rate,
 * exponential-delay).
 */
import { unreachable } from '../api/index.ts'

/** Whether and when a failed attempt is followed by another. Delays are in milliseconds; what a strategy gives up on is FAILED. */
export type RestartStrategy =
  /** The first failure is the last. */
  | { readonly kind: 'none' }
  /** So many restarts of this process, each after the same delay. */
  | { readonly kind: 'fixed-delay'; readonly attempts: number; readonly delayMs: number }
  /** Given up at more than `failures` within `perMs`. */
  | { readonly kind: 'failure-rate'; readonly failures: number; readonly perMs: number; readonly delayMs: number }
  /** From `initialMs` on, each time `factor` times as long, `maxMs` at most. */
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

/** What a process remembers of its failed attempts; bounded (C8). */
export interface FailureHistory {
  /** All failures of this process. */
  readonly total: number
  /** Failures in a row, each within `resetMs` of the start of its attempt. */
  readonly inARow: number
  /** Monotonic times of the newest ones, oldest first; as many as the strategy looks back on. */
  readonly atMs: readonly number[]
}

export const NO_FAILURES: FailureHistory = { total: 0, inARow: 0, atMs: [] }

/** The longest look back of the failure-rate strategy. */
const FAILURES_REMEMBERED = 10_000

export interface RestartFacts {
  /** The latest failure included. */
  readonly history: FailureHistory
  readonly nowMs: number
  /** In [0, 1). */
  readonly random: number
}

export type RestartDecision =
  | { readonly kind: 'restart'; readonly delayMs: number }
  | { readonly kind: 'give-up'; readonly reason: string }

/** The history with one failure more, of an attempt that began at `startedAtMs`. */
export function rememberFailure(
  strategy: RestartStrategy,
  history: FailureHistory,
  { startedAtMs, nowMs }: { readonly startedAtMs: number; readonly nowMs: number },
): FailureHistory {
  const isReset = strategy.kind === 'exponential-delay' && nowMs - startedAtMs >= strategy.resetMs
  const lookBack = strategy.kind === 'failure-rate' ? Math.min(strategy.failures + 1, FAILURES_REMEMBERED) : 1
  return {
    total: history.total + 1,
    inARow: isReset ? 1 : history.inARow + 1,
    atMs: [...history.atMs, nowMs].slice(-lookBack),
  }
}

export function decideRestart(strategy: RestartStrategy, { history, nowMs, random }: RestartFacts): RestartDecision {
  switch (strategy.kind) {
    case 'none':
      return { kind: 'give-up', reason: 'restart strategy none' }
    case 'fixed-delay':
      if (history.total > strategy.attempts) {
        return { kind: 'give-up', reason: `gave up after ${strategy.attempts} restarts` }
      }
      return { kind: 'restart', delayMs: strategy.delayMs }
    case 'failure-rate': {
      const recent = history.atMs.filter((at) => nowMs - at <= strategy.perMs).length
      if (recent > strategy.failures) {
        return { kind: 'give-up', reason: `gave up: ${recent} failures within ${strategy.perMs} ms` }
      }
      return { kind: 'restart', delayMs: strategy.delayMs }
    }
    case 'exponential-delay': {
      if (history.inARow > strategy.attempts) {
        return { kind: 'give-up', reason: `gave up after ${strategy.attempts} restarts in a row` }
      }
      const plain = Math.min(strategy.maxMs, strategy.initialMs * strategy.factor ** (history.inARow - 1))
      return { kind: 'restart', delayMs: plain * (1 + strategy.jitter * (2 * random - 1)) }
    }
    default:
      return unreachable(strategy)
  }
}
