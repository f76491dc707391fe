/**
 * Random lives of the parallel job. A plan that fails is made as small as it gets and printed in one line; so it is seen again:
 *
 *   SLUICE_PLAN='<the line>' npm test -- test/simulation/lives
 *
 * SLUICE_SEEDS says how many plans (default 2,000), SLUICE_SEED which (default 1).
 */
import fc from 'fast-check'
import { live, type Report } from './life.ts'
import { parallelJob } from './parallel-job.ts'
import {
  HOUR_MS,
  NO_FAULTS,
  PARALLELISMS,
  PLACEMENTS,
  type Ask,
  type Plan,
  type ProcessPlan,
  type Strike,
} from './plan.ts'
import type { Subject } from './world.ts'

export const PLANS = Number(process.env['SLUICE_SEEDS'] ?? 2_000)
const SEED = Number(process.env['SLUICE_SEED'] ?? 1)
/** A process of the parallel job has 200 to 300 effects before its end. */
const MOST_EFFECTS = 220
const COUNTED = [
  'fired',
  'woken',
  'faults',
  'repeated',
  'facts',
  'completed',
  'added',
  'restarts',
  'rescales',
  'unsuccessful',
  'answered',
] as const

export type Counts = Record<(typeof COUNTED)[number] | 'lives', number>

const at = fc.noBias(fc.integer({ min: 1, max: MOST_EFFECTS }))
const strike: fc.Arbitrary<Strike> = fc.record({
  effect: at,
  moment: fc.constantFrom('before', 'after'),
  kind: fc.constantFrom('kill', 'kill', 'pause'),
  whom: fc.constantFrom('all', 'all', 'coordinator', 'worker', 'worker'),
})
const ask: fc.Arbitrary<Ask> = fc.record({
  effect: at,
  what: fc.constantFrom('checkpoint', 'checkpoint', 'stop', 'cancel'),
})
const process_: fc.Arbitrary<ProcessPlan> = fc.record({
  parallelism: fc.constantFrom(...PARALLELISMS),
  placement: fc.constantFrom(...PLACEMENTS),
  strikes: fc.array(strike, { minLength: 1, maxLength: 2, size: 'max' }),
  asks: fc.array(ask, { maxLength: 1 }),
})
const { store, sink, task, slow, slowMs, duplicates } = NO_FAULTS
export const plans: fc.Arbitrary<Plan> = fc.record({
  seed: fc.noShrink(fc.integer({ min: 1, max: 1_000_000 })),
  processes: fc.noBias(fc.array(process_, { maxLength: 3, size: 'max' })),
  rates: fc.record({
    store: fc.constantFrom(store, 0.01, 0.03),
    sink: fc.constantFrom(sink, 0.02, 0.08),
    task: fc.constantFrom(task, 0.001, 0.004),
    slow: fc.constantFrom(slow, 0.01, 0.03),
    slowMs: fc.constantFrom(slowMs, 100),
    controlMs: fc.constantFrom(0.5, 2, 8, 15),
    dataMs: fc.constantFrom(0.5, 2, 8),
    duplicates: fc.constantFrom(duplicates, 0.05, 0.3),
  }),
  wakeAfter: fc.constantFrom(10_000, 30, 60, 90, 120, 150, 180),
  wallJumpMs: fc.constantFrom(0, HOUR_MS, -HOUR_MS),
  appearing: fc.constantFrom([], [], [], [], [0, 1, 2], [1, 0, 3]),
})

/** A share of all plans. @throws with the smallest plan that fails */
export async function checkPlans(part: number, parts: number): Promise<Counts> {
  const lives = Math.ceil(PLANS / parts)
  const counts = Object.fromEntries([['lives', lives], ...COUNTED.map((name) => [name, 0])]) as Counts
  await holds({ seed: SEED * 1_000 + part, lives, subjectOf: (plan) => parallelJob(plan.seed), counts })
  return counts
}

export interface Holding {
  readonly seed: number
  readonly lives: number
  readonly subjectOf: (plan: Plan) => Subject
  readonly counts?: Counts
}

export async function holds({ seed, lives, subjectOf, counts }: Holding): Promise<void> {
  const property = fc.asyncProperty(plans, async (plan) => {
    const report = await live(plan, subjectOf(plan))
    if (counts !== undefined) add(counts, report)
    if (report.violations.length > 0) throw new Error(report.violations.slice(0, 5).join('\n'))
  })
  const { failed, counterexample, errorInstance } = await fc.check(property, { seed, numRuns: lives })
  if (!failed) return
  const why = errorInstance instanceof Error ? errorInstance.message : String(errorInstance)
  const line = JSON.stringify(counterexample?.[0])
  throw new Error(`${why}\nsee it again with\nSLUICE_PLAN='${line}' npm test -- test/simulation/lives`)
}

function add(counts: Counts, report: Report): void {
  for (const name of COUNTED) counts[name] += report[name]
}
