/**
 * Every crash point of one life: the process, its coordinator or one of its workers is killed, or paused and woken later, at each outside
 * effect, and again at an effect of the recovery that follows, at another parallelism. CI takes every effect,
 * every other one for coordinator and worker, and a sample of pairs; SLUICE_KILLS=all takes both sides of each effect, and every pair.
 */
import { expect, test } from 'vitest'
import { live, type Report } from './life.ts'
import { parallelJob } from './parallel-job.ts'
import type { Plan, ProcessPlan, Strike } from './plan.ts'

const ALL = process.env['SLUICE_KILLS'] === 'all'
const TIMEOUT_MS = ALL ? 3_600_000 : 120_000
const MOMENTS = ['before', 'after'] as const
const PAIRS_SAMPLED = 60
const SEED = 1

/** Two subtasks, one of each vertex in each worker; what comes after it has three, then one. */
const plan = (first: readonly Strike[], second: readonly Strike[] = [], wakeAfter?: number): Plan => ({
  seed: SEED,
  processes: [
    { parallelism: 2, placement: 'workers', strikes: first },
    { parallelism: 3, placement: 'here', strikes: second },
    { parallelism: 1, placement: 'together' },
  ] satisfies readonly ProcessPlan[],
  ...(wakeAfter === undefined ? {} : { wakeAfter }),
})

/** At every effect (without `ALL` at each `step`th), on one side of it; with `ALL` on both. */
async function strikes(kind: Strike['kind'], whom: NonNullable<Strike['whom']>, step = 1): Promise<readonly Strike[]> {
  const points = pointsOf(await live(plan([]), parallelJob(SEED))).filter((_, index) => ALL || index % step === 0)
  return points.flatMap((effect, index) =>
    (ALL ? MOMENTS : [MOMENTS[index % 2] ?? 'before']).map((moment): Strike => ({ effect, moment, kind, whom })),
  )
}

/** All but the probe, whose sixteen contenders are all alike. */
function pointsOf(report: Report): readonly number[] {
  return (report.effects[0] ?? []).flatMap((name, index) => (name.includes('/probe/') ? [] : [index + 1]))
}

async function check(
  plans: Iterable<Plan>,
): Promise<Record<'lives' | 'fired' | 'woken' | 'facts' | 'rescales', number>> {
  const total = { lives: 0, fired: 0, woken: 0, facts: 0, rescales: 0 }
  for (const one of plans) {
    const report = await live(one, parallelJob(SEED))
    expect(report.violations, `replay with SLUICE_PLAN='${JSON.stringify(one)}'`).toEqual([])
    total.lives += 1
    for (const name of ['fired', 'woken', 'facts', 'rescales'] as const) total[name] += report[name]
  }
  console.log(JSON.stringify(total))
  return total
}

test('a life without faults completes checkpoints and shows everything once', async () => {
  const report = await live(plan([]), parallelJob(SEED))
  expect(report.violations).toEqual([])
  expect(report.completed).toBeGreaterThanOrEqual(3)
  expect(report.facts).toBeGreaterThan(500)
  expect(pointsOf(report).length).toBeGreaterThan(150)
})

test.each([
  ['kill', 'all', 1],
  ['kill', 'coordinator', 2],
  ['kill', 'worker', 2],
  ['pause', 'worker', 2],
] as const)(
  '%s of %s at every effect of a life (C1, C2, F2, F5, F23)',
  { timeout: TIMEOUT_MS },
  async (kind, whom, step) => {
    const all = await strikes(kind, whom, step)
    const total = await check(all.map((one) => plan([one])))
    expect(total.fired).toBe(all.length)
    expect(total.facts).toBeGreaterThan(total.lives * 500)
  },
)

test('struck a second time in the recovery, at any effect of it (F11, F23)', { timeout: TIMEOUT_MS }, async () => {
  const firsts = await strikes('kill', 'all')
  const pairs = firsts.flatMap((first, index) =>
    Array.from({ length: 240 }, (_, second) => {
      const moment = MOMENTS[(index + second) % 2] ?? 'before'
      return plan([first], [{ effect: second + 1, moment, kind: 'kill', whom: second % 3 === 0 ? 'worker' : 'all' }])
    }),
  )
  const step = Math.floor(pairs.length / PAIRS_SAMPLED)
  const total = await check(
    ALL ? pairs.filter((_, index) => index % 7 === 3) : pairs.filter((_, index) => index % step === 7),
  )
  expect(total.fired).toBeGreaterThan(total.lives * 1.4)
})

test(
  'paused at every effect and woken while its successor works, it hurts nothing (C3, F14)',
  { timeout: TIMEOUT_MS },
  async () => {
    const all = await strikes('pause', 'all')
    const wakes = (index: number): readonly number[] => (ALL ? [40, 80, 120, 160, 200] : [30 + (index % 9) * 20])
    const plans = all.flatMap((one, index) => wakes(index).map((wakeAfter) => plan([one], [], wakeAfter)))
    const total = await check(plans)
    expect(total.fired).toBe(plans.length)
    expect(total.woken).toBeGreaterThanOrEqual(plans.length)
  },
)

test('parallelism 3, then 5, killed before its first checkpoint, then 1: nothing of subtasks 3 and 4 is left outside (F34)', async () => {
  const at = (effect: number): Strike => ({ effect, moment: 'after', kind: 'kill' })
  const placement = 'together' as const
  const plans = Array.from({ length: 20 }, (_, index): Plan => ({
    seed: index + 1,
    processes: [
      { parallelism: 3, placement, strikes: [at(150)] },
      { parallelism: 5, placement, strikes: [at(120 + index * 6)] },
      { parallelism: 1, placement },
    ],
  }))
  const total = await check(plans)
  expect(total.fired).toBeGreaterThanOrEqual(30)
})
