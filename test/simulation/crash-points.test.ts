/**
 * Every crash point of one life: the process is killed, or paused and woken later, before and after each outside effect, and again at an
 * effect of the recovery that follows. CI takes all single strikes and a seeded sample of pairs; SLUICE_KILLS=all takes every pair.
 */
import { expect, test } from 'vitest'
import { live, type Plan, type Report } from './life.ts'
import type { Strike } from './process.ts'

const ALL = process.env['SLUICE_KILLS'] === 'all'
const MOMENTS = ['before', 'after'] as const
/** Effects of a start that come before anything of it is in the log are the same in every process. */
const PAIRS_SAMPLED = 200

const quiet = { seed: 1, strikes: [] } as const satisfies Plan

async function check(plans: Iterable<Plan>): Promise<{ lives: number; fired: number; facts: number }> {
  const total = { lives: 0, fired: 0, facts: 0 }
  for (const plan of plans) {
    const report = await live(plan)
    expect(report.violations, `replay with ${JSON.stringify(plan)}`).toEqual([])
    total.lives += 1
    total.fired += report.fired
    total.facts += report.facts
  }
  return total
}

/** All but the probe, whose sixteen contenders are all alike. */
function pointsOf(report: Report): readonly number[] {
  return (report.effects[0] ?? []).flatMap((name, index) => (name.includes('/probe/') ? [] : [index + 1]))
}

test('a life without faults completes checkpoints and shows everything once', async () => {
  const report = await live(quiet)
  expect(report.violations).toEqual([])
  expect(report.completed).toBeGreaterThanOrEqual(4)
  expect(report.facts).toBeGreaterThan(250)
  expect(pointsOf(report).length).toBeGreaterThan(70)
})

test.each(['kill', 'pause'] as const)('%s before and after every effect of a life', async (kind) => {
  const points = pointsOf(await live(quiet))
  const total = await check(
    points.flatMap((effect) => MOMENTS.map((moment): Plan => ({ ...quiet, strikes: [{ effect, moment, kind }] }))),
  )
  console.log(`${kind}: ${total.fired} crash points fired in ${total.lives} lives, ${total.facts} facts compared`)
  expect(total.fired).toBe(points.length * 2)
  expect(total.facts).toBeGreaterThan(total.lives * 250)
})

test('struck a second time in the recovery, at every effect of it', { timeout: ALL ? 3_600_000 : 60_000 }, async () => {
  const points = pointsOf(await live(quiet))
  const firsts = points.flatMap((effect) => MOMENTS.map((moment) => ({ effect, moment })))
  const pairs = firsts.flatMap((first, index) => {
    const strikes: Strike[] = Array.from({ length: 90 }, (_, second) => ({
      effect: second + 1,
      moment: (index + second) % 2 === 0 ? 'before' : 'after',
      kind: 'kill',
    }))
    return strikes.map((second): Plan => ({ ...quiet, strikes: [{ ...first, kind: 'kill' }, second] }))
  })
  const step = Math.floor(pairs.length / PAIRS_SAMPLED)
  const total = await check(ALL ? pairs : pairs.filter((_, index) => index % step === 7))
  console.log(`pairs: ${total.fired} crash points fired in ${total.lives} lives, ${total.facts} facts compared`)
  expect(total.fired).toBeGreaterThan(total.lives * 1.4)
  expect(total.facts).toBeGreaterThan(total.lives * 250)
})

test('a process paused at every effect and woken while its successor works hurts nothing', async () => {
  const points = pointsOf(await live(quiet))
  const plans = points.flatMap((effect, index) =>
    (ALL ? [20, 30, 40, 50, 60, 70, 80] : [22 + (index % 7) * 9]).map((wakeAfter): Plan => {
      const moment = MOMENTS[(effect + wakeAfter) % 2] ?? 'before'
      return { ...quiet, strikes: [{ effect, moment, kind: 'pause' }], wakeAfter }
    }),
  )
  const total = await check(plans)
  console.log(`woken: ${total.fired} pauses in ${total.lives} lives, ${total.facts} facts compared`)
  expect(total.fired).toBe(plans.length)
})
