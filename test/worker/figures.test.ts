/** What a run with workers tells of its progress: exact where no worker dies, and where one dies exact in what is confirmed and visible. */
import { expect, test } from 'vitest'
import type { Progress } from '../../engine/coordinator/progress.ts'
import { WorkerPlace, type WorkerRun } from './worker-run.ts'

const EVERY_MS = 20

function last(run: WorkerRun): Progress {
  const progress = run.progress.at(-1)
  if (progress === undefined) throw new Error('no progress was told')
  return progress
}

/** Whatever happens between two reports, a total does not become less. */
function expectMonotone(run: WorkerRun): void {
  const totalsOf = ({ sources, sinks, commits, checkpoints, restarts, uptimeMs }: Progress): readonly number[] => [
    ...sources.flatMap(({ read, skipped, confirmed }) => [read, skipped, confirmed]),
    ...sinks.flatMap(({ written, visible }) => [written, visible]),
    ...Object.values(commits),
    checkpoints.completed,
    restarts,
    uptimeMs,
  ]
  const all = run.progress.map(totalsOf)
  const shrunk = all.filter(
    (totals, at) => at > 0 && totals.some((total, index) => total < (all[at - 1]?.[index] ?? 0)),
  )
  expect(shrunk).toEqual([])
}

test.each([2, 3])('what %i workers count is what there is', async (workers) => {
  await using place = new WorkerPlace()
  const run = place.start({ workers, settings: { count: '20000' }, progressEveryMs: EVERY_MS })
  expect(await run.ended).toEqual({ state: 'FINISHED' })
  expect(run.expectExact()).toBe(20_000)
  expectMonotone(run)
  const { state, sources, sinks, commits, checkpoints, visible, restarts } = last(run)
  expect({ state, restarts }).toEqual({ state: 'FINISHED', restarts: 0 })
  expect(sources).toEqual([
    { operator: 'numbers', read: 20_000, readPerSecond: expect.any(Number), skipped: 0, confirmed: 20_000 },
  ])
  expect(sinks).toEqual([
    {
      operator: 'counts',
      written: 20_000,
      writtenPerSecond: expect.any(Number),
      visible: 20_000,
      eventLagMs: null,
    },
  ])
  expect(checkpoints).toMatchObject({ completed: run.completed, notCompleted: 0, uncommitted: 0 })
  expect(checkpoints.last?.checkpoint).toBe(visible.checkpoint)
  expect(checkpoints.last?.stateBytes).toBeGreaterThan(0)
  expect(commits).toMatchObject({ alreadyCommitted: 0, retried: 0 })
  expect(commits.committed).toBeGreaterThan(0)
})

test('a worker that is killed takes at most its last second of totals with it, and nothing of what counts (C2, C4)', async () => {
  await using place = new WorkerPlace()
  const run = place.start({ workers: 2, settings: { rate: '20000' }, progressEveryMs: EVERY_MS })
  for (let round = 1; round <= 3; round += 1) {
    await run.completes(3)
    process.kill(run.pids[round % 2] ?? 0, 'SIGKILL')
    await run.restarts(round)
  }
  await run.completes(2)
  expect(await run.stop()).toEqual({ state: 'STOPPED' })
  const records = run.expectExact()
  expect(records).toBeGreaterThan(1_000)
  expectMonotone(run)
  const { sources, sinks, restarts, state } = last(run)
  expect(state).toBe('STOPPED')
  expect(restarts).toBe(run.failures.length)
  expect(restarts).toBeGreaterThanOrEqual(3)
  expect([sources[0]?.confirmed, sinks[0]?.visible]).toEqual([records, records])
  // Read again after each restart, as the totals say; never less than what a checkpoint holds.
  expect(sources[0]?.read).toBeGreaterThanOrEqual(records)
  expect(sinks[0]?.written).toBeGreaterThanOrEqual(records)
})

test('what is confirmed goes on over runs with other numbers of workers and subtasks; totals begin anew', async () => {
  await using place = new WorkerPlace()
  const first = place.start({ workers: 2, settings: { rate: '20000' }, progressEveryMs: EVERY_MS })
  await first.completes(3)
  await first.stop()
  let before = first.expectExact()
  for (const other of [
    { workers: 3, parallelism: 7 },
    { workers: 1, parallelism: 2 },
  ]) {
    const next = place.start({ ...other, progressEveryMs: EVERY_MS })
    await next.completes(3)
    await next.stop()
    const records = next.expectExact()
    const { sources, sinks } = last(next)
    expect([sources[0]?.confirmed, sinks[0]?.visible]).toEqual([records, records])
    // What was read behind the last checkpoint of a stop is read again, and counted again, by the next run.
    expect(sources[0]?.read).toBeGreaterThanOrEqual(records - before)
    expect(sinks[0]?.written).toBeGreaterThanOrEqual(records - before)
    before = records
  }
})
