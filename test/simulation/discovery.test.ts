/**
 * Lives of a job whose splits appear while it runs, at changing parallelism, struck at every effect and at random: each split is read once and
 * from its beginning, wherever the crash falls between its discovery and the first checkpoint that holds it (F32).
 */
import { expect, test } from 'vitest'
import { live, type Plan } from './life.ts'
import { planOf } from './random-plan.ts'
import type { Appearing } from './simulated-source.ts'

const ALL = process.env['SLUICE_KILLS'] === 'all'
const MOMENTS = ['before', 'after'] as const
const TIMEOUT = { timeout: ALL ? 3_600_000 : 60_000 }
const LIVES = ALL ? 3_000 : 50

const appearing: Appearing = {
  c: { length: 13, behind: 1 },
  d: { length: 7, behind: 3 },
  e: { length: 9, behind: 6 },
}
const quiet: Plan = { seed: 2, strikes: [], appearing, parallelisms: [3, 1, 2] }

test(
  'splits that appear are read from their beginning, killed before and after every effect (F32)',
  TIMEOUT,
  async () => {
    const whole = await live(quiet)
    expect(whole.violations).toEqual([])
    const effects = whole.effects[0] ?? []
    const points = effects.flatMap((name, index) => (name.includes('/probe/') ? [] : [index + 1]))
    const first = effects.indexOf('source.add')
    expect(effects.filter((name) => name === 'source.add').length).toBeGreaterThanOrEqual(3)
    const total = { fired: 0, facts: 0, behind: 0 }
    for (const effect of ALL ? points : points.filter((_, index) => index % 5 === 0)) {
      for (const moment of MOMENTS) {
        const plan: Plan = { ...quiet, strikes: [{ effect, moment, kind: 'kill' }] }
        const report = await live(plan)
        expect(report.violations, `replay with ${JSON.stringify(plan)}`).toEqual([])
        total.fired += report.fired
        total.facts += report.facts
        if (effect > first) total.behind += report.fired
      }
    }
    console.log(`appearing splits: ${JSON.stringify(total)}`)
    expect(total.behind).toBeGreaterThan(25)
    expect(total.facts).toBeGreaterThan(total.fired * 250)
  },
)

test('random lives with splits that appear show every record once and in order (F23, F24, F32)', TIMEOUT, async () => {
  const total = { fired: 0, restarts: 0, faults: 0, facts: 0 }
  let added = 0
  for (let seed = 1; seed <= LIVES; seed += 1) {
    const plan: Plan = { ...planOf(seed), appearing, parallelisms: [1 + (seed % 3), 1 + (seed % 4)] }
    const report = await live(plan)
    expect(report.violations, `replay with ${JSON.stringify(plan)}`).toEqual([])
    for (const name of Object.keys(total) as (keyof typeof total)[]) total[name] += report[name]
    added += report.effects.flat().filter((name) => name === 'source.add').length
  }
  console.log(`${LIVES} lives with splits that appear: ${added} added, ${JSON.stringify(total)}`)
  expect(added).toBeGreaterThan(LIVES)
  expect(total.fired).toBeGreaterThan(LIVES)
  expect(total.restarts).toBeGreaterThan(LIVES / 4)
})
