import { expect, test } from 'vitest'
import type { RestartStrategy } from '../../engine/checkpoint/restart.ts'
import { JobWorld, type JobRun } from './job-run.ts'

const LONG = { a: 400, b: 300 }

/** A job whose every attempt fails, until it is given up. */
async function failing(
  restart: RestartStrategy | undefined,
): Promise<{ world: JobWorld; run: JobRun; reason: string }> {
  const world = new JobWorld(LONG)
  const run = world.start({ edit: ({ restart: _, ...rest }) => ({ ...rest, ...(restart && { restart }) }) })
  await run.completed(1)
  run.rates.task = 1
  const end = await run.ended()
  return { world, run, reason: end.state === 'FAILED' ? end.reason : `it ended ${end.state}` }
}

function delaysOf(run: JobRun): readonly number[] {
  return run.events.flatMap((event) => (event.kind === 'restarting' ? [event.delayMs] : []))
}

test('none: the first failure ends the job, and the log says why', async () => {
  const { world, run, reason } = await failing({ kind: 'none' })
  expect(delaysOf(run)).toEqual([])
  expect(reason).toMatch(/ failed.*restart strategy none/)
  expect(world.outside.truth.newest).toMatchObject({ kind: 'ended', end: { state: 'FAILED', reason } })
})

test('fixed-delay: as many restarts as it says, each after its delay', async () => {
  const { run, reason } = await failing({ kind: 'fixed-delay', attempts: 3, delayMs: 250 })
  expect(delaysOf(run)).toEqual([250, 250, 250])
  expect(reason).toMatch(/gave up after 3 restarts/)
})

test('failure-rate: failures too close to each other end the job', async () => {
  const { run, reason } = await failing({ kind: 'failure-rate', failures: 2, perMs: 60_000, delayMs: 100 })
  expect(delaysOf(run)).toEqual([100, 100])
  expect(reason).toMatch(/3 failures within 60000 ms/)
})

test('failure-rate: failures far from each other do not', async () => {
  const world = new JobWorld(LONG)
  const restart: RestartStrategy = { kind: 'failure-rate', failures: 2, perMs: 1_000, delayMs: 2_000 }
  const run = world.start({ definition: { restart }, rates: { task: 1 } })
  await world.until(() => run.count('restarting') >= 12)
  run.rates.task = 0
  expect((await run.ended()).state).toBe('FINISHED')
  expect(world.violations(true)).toEqual([])
})

test('the default: doubling delays with jitter, given up after ten in a row; the history in the log is bounded', async () => {
  const { world, run, reason } = await failing(undefined)
  const delays = delaysOf(run)
  expect(delays.length).toBe(10)
  delays.forEach((delayMs, index) => expect(Math.abs(delayMs / (100 * 2 ** index) - 1)).toBeLessThanOrEqual(0.1))
  expect(new Set(delays.map((delayMs, index) => delayMs / 2 ** index)).size).toBe(10)
  expect(reason).toMatch(/gave up after 10 restarts in a row/)
  const { failures = [], restarts } = world.outside.truth.newest ?? {}
  expect([failures.length, restarts]).toEqual([10, 10])
  expect(failures.every((one) => / failed/.test(one.message))).toBe(true)
  expect(new Set(failures.map((one) => one.generation)).size).toBe(10)
})

test('the default: an attempt that ran for long starts the series anew', async () => {
  const world = new JobWorld({ a: 4_000, b: 3_000 })
  const run = world.start({
    definition: {
      checkpoint: { intervalMs: 1_000 },
      restart: {
        kind: 'exponential-delay',
        initialMs: 10,
        maxMs: 1_000,
        factor: 2,
        resetMs: 300,
        jitter: 0,
        attempts: 3,
      },
    },
  })
  for (let failure = 1; failure <= 6; failure += 1) {
    await world.pass(400)
    run.rates.task = 1
    await world.until(() => run.count('restarting') === failure)
    run.rates.task = 0
  }
  expect(delaysOf(run)).toEqual([10, 10, 10, 10, 10, 10])
  run.cancel()
  expect((await run.ended()).state).toBe('CANCELED')
  expect(world.violations(false)).toEqual([])
})

test('as many unsuccessful checkpoints in a row as are tolerated are tolerated; one more is a failure of the attempt', async () => {
  const world = new JobWorld(LONG)
  const checkpoint = { intervalMs: 20, timeoutMs: 30, toleratedFailures: 2 }
  const run = world.start({ definition: { checkpoint, restart: { kind: 'none' } }, rates: { slowMs: 10_000 } })
  await run.completed(2)
  run.rates.slow = 1
  const end = await run.ended()
  expect(end).toMatchObject({
    state: 'FAILED',
    reason: expect.stringMatching(/3 checkpoints in a row did not complete \(2 are tolerated\).*within 30 ms/),
  })
  expect(run.process.unsuccessful).toBe(3)
  expect((await world.start().ended()).state).toBe('FINISHED')
  expect(world.violations(true)).toEqual([])
})

test('the state in the log is that of the job: starting, running, restarting, running, failed', async () => {
  const world = new JobWorld(LONG)
  const restart: RestartStrategy = { kind: 'fixed-delay', attempts: 2, delayMs: 30_000 }
  const definition = { restart, checkpoint: { intervalMs: 3_600_000 } }
  const run = world.start({ definition })
  await world.until(() => world.outside.truth.newest !== undefined)
  expect(world.state).toBe('STARTING')
  await run.completed(1)
  expect(world.state).toBe('RUNNING')
  run.rates.task = 1
  await world.until(() => run.count('restarting') === 1)
  await world.pass(100)
  expect(world.state).toBe('RESTARTING')
  expect(world.outside.truth.newest?.failures.length).toBe(1)
  run.rates.task = 0
  await run.completed(2)
  expect(world.state).toBe('RUNNING')
  run.rates.task = 1
  expect((await run.ended()).state).toBe('FAILED')
  expect(world.state).toBe('FAILED')
})
