import fc from 'fast-check'
import { expect, test } from 'vitest'
import { DEFAULT_RESTART_STRATEGY, decideRestart, type RestartStrategy } from '../../engine/checkpoint/restart.ts'

const once = { failuresAtMs: [0], nowMs: 0, inARow: 1, random: 0.5 }

test('none never restarts', () => {
  expect(decideRestart({ kind: 'none' }, once).kind).toBe('give-up')
})

test('fixed-delay restarts as often as it says, however far apart', () => {
  const strategy: RestartStrategy = { kind: 'fixed-delay', attempts: 2, delayMs: 50 }
  const after = (failures: number) =>
    decideRestart(strategy, { ...once, failuresAtMs: Array.from({ length: failures }, (_, at) => at * 1e6) })
  expect([1, 2, 3].map((failures) => after(failures).kind)).toEqual(['restart', 'restart', 'give-up'])
  expect(after(1)).toEqual({ kind: 'restart', delayMs: 50 })
})

test('failure-rate counts only what is recent', () => {
  const strategy: RestartStrategy = { kind: 'failure-rate', failures: 2, perMs: 1_000, delayMs: 5 }
  const at = (failuresAtMs: readonly number[]) => decideRestart(strategy, { ...once, failuresAtMs, nowMs: 2_000 }).kind
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
  const after = (inARow: number) => decideRestart(strategy, { ...once, inARow })
  expect([1, 2, 3, 4].map(after)).toEqual([100, 200, 350, 350].map((delayMs) => ({ kind: 'restart', delayMs })))
  expect(after(5)).toMatchObject({ kind: 'give-up', reason: 'gave up after 4 restarts in a row' })
  expect(after(1)).toEqual({ kind: 'restart', delayMs: 100 })
})

test('the default bounds every delay and ends every series (F21)', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 1_000 }), fc.double({ min: 0, max: 1, noNaN: true }), (inARow, random) => {
      const decision = decideRestart(DEFAULT_RESTART_STRATEGY, { ...once, inARow, random })
      expect(decision.kind).toBe(inARow > 10 ? 'give-up' : 'restart')
      const delayMs = decision.kind === 'restart' ? decision.delayMs : 90
      expect(delayMs).toBeGreaterThanOrEqual(90)
      expect(delayMs).toBeLessThanOrEqual(66_000)
    }),
  )
})
