/**
 * Lives of a job whose splits appear while it runs, at changing parallelism, struck at every effect and at random: each split is read once and
 * from its beginning, wherever the crash falls between its discovery and the first checkpoint that holds it (F32).
 */
import { expect, test } from 'vitest'
import { live, type Report } from './life.ts'
import { parallelJob } from './parallel-job.ts'
import { planOf, type Plan, type Strike } from './plan.ts'

const ALL = process.env['SLUICE_KILLS'] === 'all'
const MOMENTS = ['before', 'after'] as const
const TIMEOUT = { timeout: ALL ? 3_600_000 : 60_000 }
const LIVES = ALL ? 3_000 : 60
/** Every effect with `ALL`, on both of its sides. */
const STEP = 3
const SEED = 2

const appearing = [0, 1, 3] as const

const plan = (strikes: readonly Strike[]): Plan => ({
  seed: SEED,
  processes: [
    { parallelism: 3, placement: 'workers', strikes },
    { parallelism: 1, placement: 'here' },
    { parallelism: 2, placement: 'apart' },
  ],
  appearing,
})

async function lived(one: Plan): Promise<Report> {
  const report = await live(one, parallelJob(one.seed))
  expect(report.violations, `replay with SLUICE_PLAN='${JSON.stringify(one)}'`).toEqual([])
  return report
}

test(
  'splits that appear are read from their beginning, killed before and after every effect (F32)',
  TIMEOUT,
  async () => {
    const whole = await lived(plan([]))
    const effects = whole.effects[0] ?? []
    expect(whole.added).toBeGreaterThanOrEqual(3)
    const first = effects.findIndex((name) => name.endsWith('.addSplits')) + 1
    const points = effects.flatMap((name, index) => (name.includes('/probe/') ? [] : [index + 1]))
    const strikes = (ALL ? points : points.filter((_, index) => index % STEP === 0)).flatMap((effect, index) =>
      (ALL ? MOMENTS : [MOMENTS[index % 2] ?? 'before']).map((moment): Strike => ({ effect, moment, kind: 'kill' })),
    )
    const total = { fired: 0, facts: 0, behind: 0 }
    for (const strike of strikes) {
      const report = await lived(plan([strike]))
      total.fired += report.fired
      total.facts += report.facts
      if (strike.effect > first) total.behind += report.fired
    }
    console.log(`appearing splits: ${JSON.stringify(total)}`)
    expect(total.fired).toBe(strikes.length)
    expect(total.behind).toBeGreaterThan(50)
    expect(total.facts).toBeGreaterThan(total.fired * 1_000)
  },
)

test('random lives with splits that appear show every record once and in order (F23, F24, F32)', TIMEOUT, async () => {
  const total = { added: 0, fired: 0, restarts: 0, faults: 0, facts: 0 }
  for (let seed = 1; seed <= LIVES; seed += 1) {
    const report = await lived({ ...planOf(seed), appearing })
    for (const name of Object.keys(total) as (keyof typeof total)[]) total[name] += report[name]
  }
  console.log(`${LIVES} lives with splits that appear: ${JSON.stringify(total)}`)
  expect(total.added).toBeGreaterThan(LIVES)
  expect(total.fired).toBeGreaterThan(LIVES)
  expect(total.restarts).toBeGreaterThan(LIVES)
  expect(total.facts).toBeGreaterThan(LIVES * 1_000)
})
