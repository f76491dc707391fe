/** Jobs in worker processes: what they give, and what becomes of them when workers die, hang, or are not what they should be. */
import { copyFileSync, appendFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { expect, test } from 'vitest'
import type { HostPort } from '../../engine/task/host.ts'
import { COUNTS, isThere, WorkerPlace } from './worker-run.ts'

const ENDLESS = { rate: '20000' }
/** More with SLUICE_KILLS=all. */
const ROUNDS = process.env['SLUICE_KILLS'] === 'all' ? 100 : 12

test.each([1, 2, 3, 6])('%i workers give what one process gives, and leave no process behind', async (workers) => {
  await using place = new WorkerPlace()
  const run = place.start({ workers, settings: { count: '20000' } })
  await run.completes(1)
  const { pids } = run
  expect(new Set(pids).size).toBe(workers)
  expect(await run.ended).toEqual({ state: 'FINISHED' })
  expect(run.expectExact()).toBe(20_000)
  // Four tasks count; each of them in its worker.
  const counting = new Set(run.visible().map(({ pid }) => pid))
  expect(counting).toEqual(new Set(pids.slice(0, 4)))
  expect(pids.filter(isThere)).toEqual([])
  const idle = run.logged.filter((line) => line.includes('2 of 6 workers have nothing to do'))
  expect(idle).toHaveLength(workers === 6 ? 1 : 0)
})

test('a stop is a last checkpoint; the next runs go on with other numbers of workers and subtasks (F23)', async () => {
  await using place = new WorkerPlace()
  const first = place.start({ workers: 2, settings: ENDLESS })
  await first.completes(3)
  expect(await first.stop()).toEqual({ state: 'STOPPED' })
  let some = first.expectExact()
  for (const other of [
    { workers: 3, parallelism: 7 },
    { workers: 1, parallelism: 2 },
    { workers: 2, parallelism: 1 },
  ]) {
    const before = some
    const next = place.start(other)
    await next.completes(3)
    expect(await next.stop()).toEqual({ state: 'STOPPED' })
    some = next.expectExact()
    expect(some).toBeGreaterThan(before)
  }
})

test('a worker that is killed fails the attempt at once, is replaced, and the others stay', async () => {
  await using place = new WorkerPlace()
  const run = place.start({ workers: 3, settings: ENDLESS })
  await run.completes(3)
  const before = run.pids
  const killed = before[1] ?? 0
  const startMs = performance.now()
  process.kill(killed, 'SIGKILL')
  await run.restarts()
  const runningMs = performance.now() - startMs
  await run.completes(1)
  const completedMs = performance.now() - startMs
  console.log(`running again after ${Math.round(runningMs)} ms, completed after ${Math.round(completedMs)} ms`)
  expect(run.failures).toEqual([`worker 1 (pid ${killed}) died: signal SIGKILL`])
  expect(run.pids[0]).toBe(before[0])
  expect(run.pids[1]).not.toBe(killed)
  expect(run.pids[2]).toBe(before[2])
  expect(completedMs).toBeLessThan(3_000)
  await run.stop()
  expect(run.expectExact()).toBeGreaterThan(1_000)
})

test('all workers killed at once are all replaced', async () => {
  await using place = new WorkerPlace()
  const run = place.start({ workers: 2, settings: ENDLESS })
  await run.completes(2)
  for (const pid of run.pids) process.kill(pid, 'SIGKILL')
  await run.restarts()
  await run.completes(2)
  await run.stop()
  expect(run.expectExact()).toBeGreaterThan(1_000)
})

test(
  'workers killed and stopped at any moment lose nothing and repeat nothing (C2)',
  { timeout: 300_000 },
  async () => {
    await using place = new WorkerPlace()
    const restart = { kind: 'fixed-delay', attempts: 1_000, delayMs: 5 } as const
    const run = place.start({ workers: 3, settings: ENDLESS, limits: { silenceMs: 1_000 }, restart })
    const random = seeded(7)
    const strikes = { SIGKILL: 0, SIGSTOP: 0 }
    for (let round = 1; round <= ROUNDS; round += 1) {
      await run.completes(1)
      await setTimeout(random() * 100)
      const signal = random() < 0.75 ? 'SIGKILL' : 'SIGSTOP'
      process.kill(run.pids[Math.floor(random() * 3)] ?? 0, signal)
      strikes[signal] += 1
      await run.restarts(round)
    }
    await run.completes(2)
    await run.stop()
    const facts = run.expectExact()
    console.log(`${JSON.stringify(strikes)}, ${facts} records compared`)
    expect(facts).toBeGreaterThan(5_000)
    // A machine that is too busy may take one for dead that is not.
    expect(run.failures.length).toBeGreaterThanOrEqual(ROUNDS)
  },
)

/** Numbers in [0, 1), always the same. */
function seeded(seed: number): () => number {
  let state = seed
  return () => {
    state = (state * 1_103_515_245 + 12_345) % 2 ** 31
    return state / 2 ** 31
  }
}

test('a worker that is stopped is declared dead and does not come back', async () => {
  await using place = new WorkerPlace()
  const run = place.start({ workers: 2, settings: ENDLESS, limits: { silenceMs: 1_000 } })
  await run.completes(2)
  const stopped = run.pids[0] ?? 0
  process.kill(stopped, 'SIGSTOP')
  await run.restarts()
  expect(run.failures).toEqual([`worker 0 (pid ${stopped}) said nothing for 1000 ms and was killed`])
  expect(isThere(stopped)).toBe(false)
  await run.completes(3)
  await run.stop()
  expect(run.expectExact()).toBeGreaterThan(1_000)
})

test('a function of the job that never returns is a worker that says nothing', async () => {
  await using place = new WorkerPlace()
  const run = place.start({ workers: 2, settings: { count: '6000', fault: 'spin' }, limits: { silenceMs: 500 } })
  expect(await run.ended).toMatchObject({ state: 'FAILED', reason: expect.stringMatching(/said nothing for 500 ms/) })
  expect(run.failures).toHaveLength(3)
  expect(run.pids.filter(isThere)).toEqual([])
})

test('a coordinator that was itself held does not blame its workers', async () => {
  await using place = new WorkerPlace()
  const run = place.start({ workers: 2, settings: ENDLESS, limits: { silenceMs: 1_000 } })
  await run.completes(2)
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 3_000)
  await run.completes(3)
  expect(run.failures).toEqual([])
  await run.stop()
  expect(run.expectExact()).toBeGreaterThan(1_000)
})

test('a worker that does not let go of its tasks is killed and replaced', async () => {
  await using place = new WorkerPlace()
  const run = place.start({ workers: 2, settings: { ...ENDLESS, fault: 'clinging' }, limits: { disposeMs: 300 } })
  await run.completes(2)
  const [first = 0, second = 0] = run.pids
  process.kill(first, 'SIGKILL')
  await run.restarts()
  expect(run.pids).not.toContain(second)
  expect(isThere(second)).toBe(false)
  expect(run.logged.join('')).toContain(
    `worker 1 (pid ${second}) did not let go of its tasks within 300 ms and was killed`,
  )
})

test.each([
  ['terminal', 'FAILED', /it can never be counted/],
  ['function', 'FAILED', /a record of "made" cannot go to another process: it\.fault is a function/],
])('an error in a worker is what it would be here: %s', async (fault, state, reason) => {
  await using place = new WorkerPlace()
  const run = place.start({ workers: 2, settings: { count: '6000', fault } })
  expect(await run.ended).toMatchObject({ state, reason: expect.stringMatching(reason) })
  expect(run.failures).toEqual([])
})

test('a task that cannot be opened fails the attempt, whatever others in its worker wait for', async () => {
  await using place = new WorkerPlace()
  const settings = { fault: 'unopened' }
  const run = place.start({ workers: 2, settings, limits: { disposeMs: 200 } })
  expect(await run.ended).toMatchObject({ state: 'FAILED', reason: expect.stringContaining('the service refuses') })
  expect(run.failures).toHaveLength(3)
}, 20_000)

test('a job that ends its worker fails the attempt, by its policy for ever', async () => {
  await using place = new WorkerPlace()
  const run = place.start({ workers: 2, settings: { count: '6000', fault: 'exit' } })
  expect(await run.ended).toMatchObject({
    state: 'FAILED',
    reason: expect.stringMatching(/^worker \d \(pid \d+\) died: exit code 0/),
  })
  expect(run.failures).toHaveLength(3)
})

test('a worker that builds another graph is refused', async () => {
  await using place = new WorkerPlace()
  const run = place.start({ workers: 2, settings: { ...ENDLESS, edit: 'true' } })
  expect(await run.ended).toMatchObject({
    state: 'FAILED',
    reason: expect.stringMatching(/counts\.job\.ts gives another graph in a worker/),
  })
})

test('a job file that is edited while it runs is refused by the worker that comes later', async () => {
  await using place = new WorkerPlace()
  const job = join(place.directory, 'counts.job.ts')
  copyFileSync(COUNTS, job)
  const run = place.start({ workers: 2, settings: ENDLESS, job })
  await run.completes(2)
  appendFileSync(job, '// another day\n')
  process.kill(run.pids[1] ?? 0, 'SIGKILL')
  expect(await run.ended).toMatchObject({
    state: 'FAILED',
    reason: expect.stringMatching(/the code of the job was changed while it ran: .*; stop the run and start it again/),
  })
  expect(dirname(job)).toBe(place.directory)
})

test('no blob is written under a name that the coordinator did not give before, and all of them settle', async () => {
  await using place = new WorkerPlace()
  const given = new Map<string, number>()
  const port = (made: HostPort): HostPort => ({
    ...made,
    store: Object.assign(made.store, {
      announceBlob: (operator: string) => {
        const key = `counts/blob/00000001/test-${given.size}-${operator}`
        given.set(key, 0)
        return { key, settled: () => given.set(key, (given.get(key) ?? 0) + 1) }
      },
    }),
  })
  const run = place.start({ workers: 2, settings: ENDLESS, port })
  await run.completes(4)
  await run.stop()
  const written = run.events.flatMap((event) =>
    event.kind === 'completed'
      ? event.manifest.operators.flatMap(({ state }) => state?.blobs.map(({ key }) => key) ?? [])
      : [],
  )
  expect(written.length).toBeGreaterThan(8)
  expect(written.filter((key) => !given.has(key))).toEqual([])
  expect([...given.values()].filter((times) => times !== 1)).toEqual([])
})
