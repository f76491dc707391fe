/**
 * Seeded random lives: several processes struck at random, slow and lost acknowledgements and replies, a store and sinks that fail,
 * attempts that fail and restart in their process, zombies that wake, a wall clock that jumps. A failing plan is printed and replays.
 */
import { expect, test } from 'vitest'
import { live, type Plan } from './life.ts'
import type { Rates } from './process.ts'
import { seeded } from './virtual-time.ts'

const ALL = process.env['SLUICE_KILLS'] === 'all'
const LIVES = ALL ? 6_000 : 200
const HOUR_MS = 3_600_000

function planOf(seed: number): Plan {
  const random = seeded(seed * 7_919)
  const below = (limit: number): number => Math.floor(random() * limit)
  const rates: Rates = {
    store: random() * 0.06,
    sink: random() * 0.15,
    task: random() * 0.03,
    slow: random() * 0.3,
    slowMs: 100,
  }
  return {
    seed,
    rates,
    strikes: Array.from({ length: below(5) }, () => ({
      effect: 1 + below(140),
      moment: random() < 0.5 ? 'before' : 'after',
      kind: random() < 0.7 ? 'kill' : 'pause',
    })),
    ...(random() < 0.6 ? { wakeAfter: 20 + below(80) } : {}),
    wallJumpMs: (below(3) - 1) * HOUR_MS,
  }
}

test('random lives show every record once and in order', { timeout: ALL ? 3_600_000 : 60_000 }, async () => {
  const total = { fired: 0, paused: 0, faults: 0, facts: 0, completed: 0, restarts: 0, unsuccessful: 0 }
  for (let seed = 1; seed <= LIVES; seed += 1) {
    const plan = planOf(seed)
    const report = await live(plan)
    expect(report.violations, `replay with ${JSON.stringify(plan)}`).toEqual([])
    for (const name of ['fired', 'paused', 'faults', 'facts', 'completed', 'restarts', 'unsuccessful'] as const)
      total[name] += report[name]
  }
  console.log(`${LIVES} lives: ${JSON.stringify(total)}`)
  expect(total.fired).toBeGreaterThan(LIVES)
  expect(total.paused).toBeGreaterThan(LIVES / 4)
  expect(total.faults).toBeGreaterThan(LIVES * 3)
  expect(total.restarts).toBeGreaterThan(LIVES / 4)
  expect(total.unsuccessful).toBeGreaterThan(LIVES / 4)
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
  const crash = { effect: 66, moment: 'before', kind: 'kill' } as const
  const plain = await live({ seed: 5, strikes: [crash] })
  const sweeps = (plain.effects[1] ?? []).flatMap((name, index) =>
    /^store\.(list|delete) job\/blob\//.test(name) ? [index + 1] : [],
  )
  expect(sweeps.length).toBeGreaterThanOrEqual(2)
  let woken = 0
  for (const effect of sweeps) {
    for (const moment of ['before', 'after'] as const) {
      for (const wakeAfter of [undefined, 30, 45, 60, 75]) {
        const plan: Plan = {
          seed: 5,
          strikes: [crash, { effect, moment, kind: 'pause' }],
          ...(wakeAfter === undefined ? {} : { wakeAfter }),
        }
        const report = await live(plan)
        expect(report.violations, `replay with ${JSON.stringify(plan)}`).toEqual([])
        woken += report.paused
      }
    }
  }
  expect(woken).toBe(sweeps.length * 10)
})
