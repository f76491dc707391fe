/** Random lives, lives that are told in full, a plan that is given from outside, and what becomes of a plan that fails. */
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { value } from '../../engine/graph/descriptors.ts'
import { defineJob } from '../../engine/graph/define-job.ts'
import { sweeperPlans } from './hunt.ts'
import { live } from './life.ts'
import { parallelJob } from './parallel-job.ts'
import { HOUR_MS, type Plan } from './plan.ts'
import { holds, PLANS, type Counts } from './random-plans.ts'

const GIVEN = process.env['SLUICE_PLAN']
const MAIN = fileURLToPath(new URL('random-plans.main.ts', import.meta.url))
/** Side by side. */
const PROCESSES = 2
const run = promisify(execFile)

test.runIf(GIVEN !== undefined)('the plan that was given', async () => {
  const plan = JSON.parse(GIVEN ?? '') as Plan
  const { effects, visible: _, ...report } = await live(plan, parallelJob(plan.seed))
  for (const [index, names] of effects.entries()) console.log(`process ${index + 1}: ${names.join(', ')}`)
  console.log(report)
  expect(report.violations).toEqual([])
})

test(
  'random lives hold every invariant at every step (C1, C2, C3, C4, C5, C6, C8, T2, S1, S2)',
  { timeout: PLANS > 10_000 ? 7_200_000 : 600_000 },
  async () => {
    const total = new Map<keyof Counts, number>()
    const shares = Array.from({ length: PROCESSES }, async (_, index) => {
      const { stdout } = await run(process.execPath, [MAIN, String(index + 1), String(PROCESSES)])
      for (const [name, count] of Object.entries(JSON.parse(stdout) as Counts) as [keyof Counts, number][])
        total.set(name, (total.get(name) ?? 0) + count)
    })
    await Promise.all(shares)
    console.log(JSON.stringify(Object.fromEntries(total)))
    const count = (name: keyof Counts): number => total.get(name) ?? 0
    const lives = count('lives')
    expect(lives).toBeGreaterThanOrEqual(PLANS)
    for (const name of ['fired', 'woken', 'faults', 'repeated', 'completed', 'rescales'] as const)
      expect(count(name)).toBeGreaterThan(lives)
    expect(count('restarts')).toBeGreaterThan(lives / 2)
    expect(count('unsuccessful')).toBeGreaterThan(lives / 5)
    expect(count('added')).toBeGreaterThan(lives / 4)
    expect(count('answered')).toBeGreaterThan(lives / 10)
    expect(count('facts')).toBeGreaterThan(lives * 1_000)
  },
)

test('a clock that jumps an hour at every effect gives up nothing early and names nothing (F27)', async () => {
  const crash: Plan = { seed: 3, processes: [{ strikes: [{ effect: 120, moment: 'after', kind: 'kill' }] }] }
  const without = await live(crash, parallelJob(3))
  for (const wallJumpMs of [HOUR_MS, -HOUR_MS]) {
    const report = await live({ ...crash, wallJumpMs, jumpsAtEffects: true }, parallelJob(3))
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
    const report = await live(plan, parallelJob(plan.seed))
    expect(report.violations, `replay with ${JSON.stringify(plan)}`).toEqual([])
    total.lives += 1
    total.woken += report.woken > 0 ? 1 : 0
  }
  expect(total.lives).toBeGreaterThanOrEqual(20)
  expect(total.woken).toBe(total.lives)
})

test('a plan that fails is printed as small as it gets, in a line that replays', async () => {
  let count = 0
  const subjectOf = (): ReturnType<typeof parallelJob> => ({
    job: ({ source, sink }) =>
      defineJob({
        id: 'forgetful',
        build(flow) {
          flow
            .source('a', source([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]))
            .keyBy(() => 0)
            .process('count', {
              state: { unused: value(() => 0) },
              onRecord(one, { emit }) {
                count = one === 1 ? 1 : count + 1
                emit(count)
              },
            })
            .sink('out', sink())
        },
      }),
    compare({ truth, services }, isOver) {
      const seen = services.get('out')?.visible.join(' ')
      if (isOver) truth.expect(seen === '1 2 3 4 5 6 7 8 9 10', () => `out shows ${seen}`)
    },
  })
  const message = await holds({ seed: 1, lives: 200, subjectOf }).then(
    () => 'nothing found',
    (error: unknown) => String(error),
  )
  expect(message).toMatch(/out shows 1 2/)
  const plan = JSON.parse(/SLUICE_PLAN='(.*)'/.exec(message)?.[1] ?? '{}') as Plan
  expect(plan.processes.flatMap(({ strikes = [] }) => strikes).length).toBeLessThanOrEqual(2)
  expect((await live(plan, subjectOf())).violations.join()).toMatch(/out shows 1 2/)
})
