/** What a run tells of its progress, in virtual time, with faults that are switched on and off. */
import { expect, test } from 'vitest'
import type { Progress } from '../../engine/coordinator/progress.ts'
import type { RunEvent } from '../../engine/coordinator/run-job.ts'
import { RunFigures } from '../../engine/coordinator/run-figures.ts'
import type { Manifest } from '../../engine/checkpoint/manifest.ts'
import { discardSink } from '../../sinks/discard/sink.ts'
import { generatorSource } from '../../sources/generator/source.ts'
import { graphOf } from '../task/attempt.ts'
import { JobWorld, type JobRun } from './job-run.ts'

const LONG = { a: 4_000, b: 3_000 }
const SHORT = { a: 17, b: 11 }
const RUN = { progressEveryMs: 100 }

function told(run: JobRun): readonly Progress[] {
  return run.events.flatMap((event) => (event.kind === 'progress' ? [event.progress] : []))
}

function last(run: JobRun): Progress {
  const progress = told(run).at(-1)
  if (progress === undefined) throw new Error('nothing was told')
  return progress
}

test('it is told as often as was asked for, and once more when the job has ended, before the run says so', async () => {
  const world = new JobWorld(SHORT)
  const run = world.start({ run: RUN })
  expect((await run.ended()).state).toBe('FINISHED')
  const { state, sources, sinks, checkpoints, commits } = last(run)
  expect(state).toBe('FINISHED')
  expect(sources).toEqual([
    { operator: 'source', read: 28, readPerSecond: expect.any(Number), skipped: 0, confirmed: 28 },
  ])
  // One closing record.
  expect(sinks.map(({ operator, written, visible }) => ({ operator, written, visible }))).toEqual([
    { operator: 'plain', written: 28, visible: 28 },
    { operator: 'counts', written: 29, visible: 29 },
  ])
  expect(checkpoints).toMatchObject({ completed: run.count('completed'), notCompleted: 0, uncommitted: 0 })
  expect(commits).toMatchObject({ alreadyCommitted: 0, retried: 0 })
  const times = told(run).map(({ uptimeMs }) => uptimeMs)
  for (const [index, uptimeMs] of times.slice(0, -1).entries()) expect(uptimeMs - (times[index - 1] ?? 0)).toBe(100)
})

test('nobody who listens: nothing is told, and no timer runs', async () => {
  const world = new JobWorld(SHORT)
  const run = world.start({ run: { progressEveryMs: 0 } })
  await run.ended()
  expect(told(run)).toEqual([])
})

test('who listens and fails does not hurt the run, and is told nothing more', async () => {
  const world = new JobWorld(SHORT)
  let calls = 0
  const onEvent = ({ kind }: RunEvent): void => {
    if (kind !== 'progress') return
    calls += 1
    throw new Error('no more paper')
  }
  const run = world.start({ run: { progressEveryMs: 5, onEvent } })
  expect((await run.ended()).state).toBe('FINISHED')
  expect(calls).toBe(1)
  expect(world.violations(true)).toEqual([])
})

test('rates are what came since the last report', async () => {
  const world = new JobWorld(LONG)
  const run = world.start({ run: RUN })
  await world.until(() => told(run).length >= 4)
  run.stop()
  await run.ended()
  const all = told(run)
  const expected = all.map((now, index) => {
    const before = all[index - 1]
    const seconds = (now.uptimeMs - (before?.uptimeMs ?? 0)) / 1_000
    const read = (now.sources[0]?.read ?? 0) - (before?.sources[0]?.read ?? 0)
    return Math.round(read / seconds)
  })
  // The last one is told when the run ends, in the middle of a millisecond.
  expect(all.slice(0, -1).map(({ sources }) => sources[0]?.readPerSecond)).toEqual(expected.slice(0, -1))
  expect(Math.max(...expected)).toBeGreaterThan(0)
})

test('the lag of what is visible grows while a sink is down, and falls when it is back; restarts and repeats are counted', async () => {
  const world = new JobWorld({ a: 60_000, b: 60_000 })
  const run = world.start({ run: RUN })
  await world.until(() => told(run).length >= 3)
  const well = last(run)
  expect(well.state).toBe('RUNNING')
  expect(well.visible.checkpoint).toBeGreaterThan(1)
  // The interval is 8 ms.
  expect(well.visible.lagMs).toBeLessThan(40)
  run.rates.sink = 1
  await world.pass(600)
  const down = last(run)
  expect(down.visible.lagMs).toBeGreaterThan(400)
  expect(down.checkpoints.uncommitted).toBeGreaterThan(0)
  expect(down.checkpoints.uncommitted).toBeLessThanOrEqual(3)
  expect(down.commits.retried).toBeGreaterThan(well.commits.retried)
  // Half of the answers are lost, whether the commit was made or not.
  run.rates.sink = 0.5
  await world.pass(5_000)
  run.rates.sink = 0
  await world.until(() => (last(run).visible.lagMs ?? Infinity) < 100)
  const back = last(run)
  expect(back.state).toBe('RUNNING')
  expect(back.visible.checkpoint).toBeGreaterThan(down.visible.checkpoint ?? 0)
  expect(back.commits.alreadyCommitted).toBeGreaterThan(0)
  expect(world.violations(false)).toEqual([])
  run.cancel()
  await run.ended()
})

test('after a failure totals go on, what is confirmed is exact, and what the old attempt left is counted as aborted', async () => {
  const world = new JobWorld(LONG)
  const run = world.start({ run: RUN })
  for (let failure = 1; failure <= 3; failure += 1) {
    await world.pass(100)
    run.rates.task = 1
    await world.until(() => run.count('restarting') === failure)
    run.rates.task = 0
  }
  expect((await run.ended()).state).toBe('FINISHED')
  expect(world.violations(true)).toEqual([])
  const { sources, sinks, restarts, commits } = last(run)
  expect(restarts).toBe(run.count('restarting'))
  expect(sources[0]?.confirmed).toBe(7_000)
  expect(sources[0]?.read).toBeGreaterThanOrEqual(7_000)
  expect(sinks.map(({ visible }) => visible)).toEqual([7_000, 7_001])
  expect(commits.aborted).toBeGreaterThan(0)
  for (const [index, now] of told(run).entries()) {
    const before = told(run)[index - 1]
    expect(now.sources[0]?.read).toBeGreaterThanOrEqual(before?.sources[0]?.read ?? 0)
    expect(now.visible.checkpoint ?? 0).toBeGreaterThanOrEqual(before?.visible.checkpoint ?? 0)
  }
})

test('a later run begins with what the log says: what is visible, how old it is, and how many records it holds', async () => {
  const world = new JobWorld(LONG)
  const first = world.start({ run: RUN })
  await first.completed(5)
  first.stop()
  await first.ended()
  const before = last(first)
  await world.pass(3_600_000)
  const second = world.start({ run: { progressEveryMs: 1 }, rates: { slow: 1, slowMs: 50 } })
  await world.until(() => told(second).some(({ visible }) => visible.checkpoint !== null))
  const begun = told(second).find(({ visible }) => visible.checkpoint !== null)
  expect(begun?.visible.checkpoint).toBe(before.visible.checkpoint)
  expect(begun?.visible.lagMs).toBeGreaterThanOrEqual(3_600_000)
  expect(begun?.sinks.map(({ visible }) => visible)).toEqual(before.sinks.map(({ visible }) => visible))
  expect(begun?.sources[0]).toMatchObject({ read: 0 })
  second.cancel()
  await second.ended()
})

test('event time lags behind now by what is visible, for each sink, and is not known without event times', () => {
  let nowMs = 1_000
  const clock = { now: () => 1_700_000_000_000 + nowMs, monotonicMs: () => nowMs }
  const figures = new RunFigures(
    graphOf((flow) => {
      flow.source('in', generatorSource({ seed: 1, count: 0, generate: (index) => index })).sink('out', discardSink())
    }),
    clock,
  )
  const sink = { operator: 'out', subtask: 0, parallelism: 2, ended: false, records: 3 }
  const manifest = (checkpoint: number, newestEventAt?: number): Manifest => ({
    format: 1,
    job: 'job',
    lineage: 'l',
    generation: 1,
    checkpoint,
    maxParallelism: 128,
    operators: [sink, { ...sink, subtask: 1, ...(newestEventAt === undefined ? {} : { newestEventAt }) }],
  })
  const out = (): unknown => figures.read().sinks.map(({ visible, eventLagMs }) => ({ visible, eventLagMs }))
  figures.completed(manifest(1), { durationMs: 10, alignedMs: 0 })
  expect(out()).toEqual([{ visible: 0, eventLagMs: null }])
  figures.committed(1)
  expect(out()).toEqual([{ visible: 6, eventLagMs: null }])
  expect(figures.read().visible).toEqual({ checkpoint: 1, lagMs: 10 })
  figures.completed(manifest(2, 1_700_000_000_500), { durationMs: 10, alignedMs: 0 })
  expect(out()).toEqual([{ visible: 6, eventLagMs: null }])
  figures.committed(2)
  nowMs += 250
  expect(out()).toEqual([{ visible: 6, eventLagMs: 750 }])
  expect(figures.read().visible).toEqual({ checkpoint: 2, lagMs: 260 })
  // A restart that knows less than what was seen.
  figures.found({ retained: [], committedThrough: 1 }, [{ manifest: manifest(1) }, { manifest: manifest(2, 1) }])
  expect(figures.read().visible).toEqual({ checkpoint: 2, lagMs: 260 })
})
