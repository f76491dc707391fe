import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  DEFAULT_RESTART_STRATEGY,
  decideRestart,
  NO_FAILURES,
  rememberFailure,
  type FailureHistory,
  type RestartStrategy,
} from '../../engine/checkpoint/restart.ts'

const once = { history: { total: 1, inARow: 1, atMs: [0] }, nowMs: 0, random: 0.5 }

/** Failures at these times, of attempts that began with the failure before (the first one at 0). */
function historyOf(strategy: RestartStrategy, atMs: readonly number[]): FailureHistory {
  return atMs.reduce(
    (history, nowMs, index) => rememberFailure(strategy, history, { startedAtMs: atMs[index - 1] ?? 0, nowMs }),
    NO_FAILURES,
  )
}

test('none never restarts', () => {
  expect(decideRestart({ kind: 'none' }, once).kind).toBe('give-up')
})

test('fixed-delay restarts as often as it says, however far apart', () => {
  const strategy: RestartStrategy = { kind: 'fixed-delay', attempts: 2, delayMs: 50 }
  const after = (failures: number) =>
    decideRestart(strategy, {
      ...once,
      history: historyOf(
        strategy,
        Array.from({ length: failures }, (_, at) => at * 1e6),
      ),
    })
  expect([1, 2, 3].map((failures) => after(failures).kind)).toEqual(['restart', 'restart', 'give-up'])
  expect(after(1)).toEqual({ kind: 'restart', delayMs: 50 })
})

test('failure-rate counts only what is recent', () => {
  const strategy: RestartStrategy = { kind: 'failure-rate', failures: 2, perMs: 1_000, delayMs: 5 }
  const at = (failuresAtMs: readonly number[]) =>
    decideRestart(strategy, { ...once, history: historyOf(strategy, failuresAtMs), nowMs: 2_000 }).kind
  expect(at([0, 500, 999, 1_500, 2_000])).toBe('restart')
  expect(at([1_000, 1_500, 2_000])).toBe('give-up')
})

test('exponential-delay doubles to its bound, starts anew after a reset, and gives up in the end', () => {
  const strategy: RestartStrategy = {
    kind: 'exponential-delay',
    initialMs: 100,
    maxMs: 350,
    factor: 2,
    resetMs: 1_000,
    jitter: 0.1,
    attempts: 4,
  }
  const after = (inARow: number) => decideRestart(strategy, { ...once, history: { ...once.history, inARow } })
  expect([1, 2, 3, 4].map(after)).toEqual([100, 200, 350, 350].map((delayMs) => ({ kind: 'restart', delayMs })))
  expect(after(5)).toMatchObject({ kind: 'give-up', reason: 'gave up after 4 restarts in a row' })
  expect(after(1)).toEqual({ kind: 'restart', delayMs: 100 })
})

test('the default bounds every delay and ends every series (F21)', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 1_000 }), fc.double({ min: 0, max: 1, noNaN: true }), (inARow, random) => {
      const decision = decideRestart(DEFAULT_RESTART_STRATEGY, {
        ...once,
        history: { ...once.history, inARow },
        random,
      })
      expect(decision.kind).toBe(inARow > 10 ? 'give-up' : 'restart')
      const delayMs = decision.kind === 'restart' ? decision.delayMs : 90
      expect(delayMs).toBeGreaterThanOrEqual(90)
      expect(delayMs).toBeLessThanOrEqual(66_000)
    }),
  )
})

test('an attempt that ran long enough starts the series anew; no other strategy has series', () => {
  const strategy = { ...DEFAULT_RESTART_STRATEGY, resetMs: 1_000 } as RestartStrategy
  expect(historyOf(strategy, [10, 20, 1_019]).inARow).toBe(3)
  expect(historyOf(strategy, [10, 20, 1_020]).inARow).toBe(1)
  expect(historyOf(strategy, [10, 20, 1_020, 1_030]).inARow).toBe(2)
  expect(historyOf({ kind: 'fixed-delay', attempts: 9, delayMs: 0 }, [10, 1e9]).inARow).toBe(2)
})

test('a hundred thousand failures are remembered in bounded memory, and still counted (C8)', () => {
  const fixed: RestartStrategy = { kind: 'fixed-delay', attempts: 20_000, delayMs: 0 }
  const rate: RestartStrategy = { kind: 'failure-rate', failures: 5, perMs: 1_000, delayMs: 0 }
  let [ofFixed, ofRate] = [NO_FAILURES, NO_FAILURES]
  for (let nowMs = 0; nowMs < 20_001; nowMs += 1) {
    ofFixed = rememberFailure(fixed, ofFixed, { startedAtMs: nowMs, nowMs })
    ofRate = rememberFailure(rate, ofRate, { startedAtMs: nowMs, nowMs })
  }
  expect(ofFixed.atMs.length).toBe(1)
  expect(ofRate.atMs.length).toBe(6)
  expect(decideRestart(fixed, { ...once, history: ofFixed }).kind).toBe('give-up')
  expect(decideRestart(rate, { ...once, history: ofRate, nowMs: 20_000 }).kind).toBe('give-up')
})
