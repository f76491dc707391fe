/**
 * A drain at every moment of a life: all sources end where they are, between the same two checkpoints, closing output comes once, and what
 * is visible is what lies before those positions. A process that dies before that is complete is no drain: the next one reads everything.
 */
import { expect, test } from 'vitest'
import { live, type Report } from './life.ts'
import { parallelJob } from './parallel-job.ts'
import { placeOf, planOf, type Ask, type Placement, type Plan, type ProcessPlan } from './plan.ts'

const ALL = process.env['SLUICE_KILLS'] === 'all'
const STEP = ALL ? 1 : 7
const RANDOM = ALL ? 5_000 : 40
const SEED = 1
/** All records of both sources. */
const RECORDS = 28

const nextPlan: ProcessPlan = { parallelism: 3, placement: 'here' }

async function check(plan: Plan): Promise<Report> {
  const report = await live(plan, parallelJob(plan.seed))
  expect(report.violations, `replay with SLUICE_PLAN='${JSON.stringify(plan)}'`).toEqual([])
  return report
}

function plainOf({ visible }: Report): number {
  return visible['plain']?.length ?? 0
}

function asked(asks: readonly Ask[], placement: Placement = 'workers'): Plan {
  return { seed: SEED, processes: [{ parallelism: 2, placement, asks }, nextPlan] }
}

test('asked for at any effect of a life, in whichever workers, what was read is visible, and the job has finished (C4, F24)', async () => {
  let early = 0
  let lives = 0
  for (const placement of ['here', 'workers', 'apart'] as const) {
    const length = (await check(asked([], placement))).effects[0]?.length ?? 0
    expect(length).toBeGreaterThan(150)
    for (let effect = 1; effect < length; effect += STEP) {
      const report = await check(asked([{ effect, what: 'drain' }], placement))
      lives += 1
      // One that ended, and the one that says that there is nothing more to do.
      expect(report.processes).toBe(2)
      if (plainOf(report) < RECORDS) early += 1
    }
  }
  console.log(`drains: ${lives}, of which ${early} before the end of the input`)
  expect(early).toBeGreaterThan(lives / 2)
})

test('killed at any effect behind it, the job is drained if the last checkpoint is complete, and else reads everything (C2, C4)', async () => {
  const ended = { drained: 0, undrained: 0 }
  for (const effect of [90, 130]) {
    const length = (await check(asked([{ effect, what: 'drain' }]))).effects[0]?.length ?? 0
    expect(length).toBeGreaterThan(effect + 20)
    for (let at = effect + 1; at <= length; at += STEP) {
      const moment = at % 2 === 0 ? 'before' : 'after'
      const first = {
        ...asked([{ effect, what: 'drain' }]).processes[0],
        strikes: [{ effect: at, moment, kind: 'kill' }],
      }
      const report = await check({ seed: SEED, processes: [first as ProcessPlan, nextPlan] })
      ended[plainOf(report) < RECORDS ? 'drained' : 'undrained'] += 1
    }
  }
  console.log(JSON.stringify(ended))
  expect(ended.drained).toBeGreaterThan(1)
  expect(ended.undrained).toBeGreaterThan(5)
})

test('with a stop, a cancel or another drain beside it no record is lost or doubled, whoever comes first (C2)', async () => {
  let fired = 0
  for (const what of ['stop', 'cancel', 'drain', 'checkpoint'] as const) {
    for (let effect = 60; effect < 150; effect += ALL ? 1 : 30) {
      for (const later of [0, 3, 20]) {
        const both: readonly Ask[] = [
          { effect, what: 'drain' },
          { effect: effect + later, what },
        ]
        fired += (await check(asked(both))).answered
        fired += (
          await check(asked(both.toReversed().map((ask, index) => ({ ...ask, effect: effect + index * later }))))
        ).answered
      }
    }
  }
  expect(fired).toBeGreaterThan(25)
})

test('in random lives, with faults, zombies and splits that appear, it holds every invariant (C1, C2, C4, F24, F32, F37)', async () => {
  const total = { lives: 0, fired: 0, restarts: 0, drained: 0 }
  for (let seed = 1; seed <= RANDOM; seed += 1) {
    const plan = planOf(seed)
    const processes = plan.processes.map((one, index) => ({
      ...one,
      asks: [...(one.asks ?? []), { effect: 20 + ((seed * 37 + index * 61) % 200), what: 'drain' } as const],
    }))
    const last: ProcessPlan = { ...placeOf(plan, 9), asks: [{ effect: 40 + ((seed * 13) % 180), what: 'drain' }] }
    const report = await check({ ...plan, processes: [...processes, last] })
    total.lives += 1
    total.fired += report.fired
    total.restarts += report.restarts
    if (plainOf(report) < RECORDS) total.drained += 1
  }
  console.log(JSON.stringify(total))
  expect(total.drained).toBeGreaterThan(RANDOM / 4)
  expect(total.fired).toBeGreaterThan(RANDOM / 2)
})
