/**
 * Seeded random lives: several processes struck at random, slow and lost acknowledgements and replies, a store and sinks that fail,
 * attempts that fail and restart in their process, zombies that wake, a wall clock that jumps. A failing plan is printed and replays.
 */
import { expect, test } from 'vitest'
import { sweeperPlans } from './hunt.ts'
import { live } from './life.ts'
import { HOUR_MS, planOf } from './random-plan.ts'

const ALL = process.env['SLUICE_KILLS'] === 'all'
const LIVES = ALL ? 6_000 : 200

test('random lives show every record once and in order', { timeout: ALL ? 3_600_000 : 60_000 }, async () => {
  const total = { fired: 0, paused: 0, faults: 0, facts: 0, completed: 0, restarts: 0, unsuccessful: 0, answered: 0 }
  for (let seed = 1; seed <= LIVES; seed += 1) {
    const plan = planOf(seed)
    const report = await live(plan)
    expect(report.violations, `replay with ${JSON.stringify(plan)}`).toEqual([])
    for (const name of [
      'fired',
      'paused',
      'faults',
      'facts',
      'completed',
      'restarts',
      'unsuccessful',
      'answered',
    ] as const)
      total[name] += report[name]
  }
  console.log(`${LIVES} lives: ${JSON.stringify(total)}`)
  expect(total.fired).toBeGreaterThan(LIVES)
  expect(total.paused).toBeGreaterThan(LIVES / 4)
  expect(total.faults).toBeGreaterThan(LIVES * 3)
  expect(total.restarts).toBeGreaterThan(LIVES / 4)
  expect(total.unsuccessful).toBeGreaterThan(LIVES / 4)
  expect(total.answered).toBeGreaterThan(LIVES / 2)
  expect(total.facts).toBeGreaterThan(LIVES * 300)
})

test('a clock that jumps an hour at every effect gives up nothing early and names nothing (F27)', async () => {
  const without = await live({ seed: 3, strikes: [{ effect: 60, moment: 'after', kind: 'kill' }] })
  for (const wallJumpMs of [HOUR_MS, -HOUR_MS]) {
    const report = await live({
      seed: 3,
      strikes: [{ effect: 60, moment: 'after', kind: 'kill' }],
      wallJumpMs,
      jumpsAtEffects: true,
    })
    expect(report.violations).toEqual([])
    expect(report.jumps).toBeGreaterThan(100)
    expect(report.unsuccessful + report.restarts).toBe(0)
    // Same names, same effects, in the same order.
    expect(report.effects).toEqual(without.effects)
  }
})

test('a sweeper paused at every listing and delete deletes nothing of its successor (F36)', async () => {
  const total = { lives: 0, woken: 0 }
  for await (const plan of sweeperPlans()) {
    const report = await live(plan)
    expect(report.violations, `replay with ${JSON.stringify(plan)}`).toEqual([])
    total.lives += 1
    total.woken += report.paused
  }
  expect(total.lives).toBeGreaterThanOrEqual(20)
  expect(total.woken).toBe(total.lives)
})
