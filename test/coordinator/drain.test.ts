/** A drain of a running job, steered: sinks that are down, attempts that fail, and what else is asked meanwhile. */
import { expect, test } from 'vitest'
import { positionsIn } from '../simulation/cut.ts'
import { JobWorld } from './job-run.ts'

const LONG = { a: 400, b: 300 }

/** What is visible is what lies before the positions of the last checkpoint, and the closing output; some of the input is left. */
function expectDrained(world: JobWorld): void {
  const { truth, plain, counts } = world.outside
  const last = truth.manifests().at(-1)
  expect(last?.operators.map(({ ended }) => ended)).toEqual(last?.operators.map(() => true))
  const read = last === undefined ? [] : [...positionsIn(last, 'source').values()]
  const total = read.reduce((sum, one) => sum + one, 0)
  expect(total).toBeGreaterThan(0)
  expect(total).toBeLessThan(LONG.a + LONG.b)
  expect(plain.visible.length).toBe(total)
  expect(counts.visible.length).toBe(total + 1)
  expect(counts.visible.filter((one) => one === 'the end')).toHaveLength(1)
  expect(truth.newest).toMatchObject({ kind: 'ended', end: { state: 'FINISHED' }, unclean: [] })
  expect(truth.newest?.committedThrough).toBe(truth.newest?.retained.at(-1)?.checkpoint)
  expect(world.violations(false)).toEqual([])
}

test('a drain ends the job where its sources are; a run behind it has nothing to do', async () => {
  const world = new JobWorld(LONG)
  const run = world.start()
  await run.completed(3)
  run.drain()
  expect((await run.ended()).state).toBe('FINISHED')
  expectDrained(world)
  expect((await world.start().ended()).state).toBe('ALREADY_FINISHED')
})

test('a drain while a sink is down says STOPPING, waits for it, and ends when it is back', async () => {
  const world = new JobWorld(LONG)
  const run = world.start()
  await run.completed(3)
  run.rates.sink = 1
  await world.pass(100)
  run.drain()
  await world.pass(60_000)
  expect([run.end, world.state]).toEqual([undefined, 'STOPPING'])
  run.rates.sink = 0
  expect((await run.ended()).state).toBe('FINISHED')
  expectDrained(world)
})

test('attempts that fail in the middle of a drain take its ends back; the next one in the process drains again', async () => {
  const world = new JobWorld(LONG)
  const restart = { kind: 'fixed-delay', attempts: 50, delayMs: 20 } as const
  const run = world.start({ definition: { restart } })
  await run.completed(3)
  run.rates.task = 1
  run.drain()
  await world.until(() => run.count('restarting') >= 2)
  run.rates.task = 0
  expect((await run.ended()).state).toBe('FINISHED')
  expectDrained(world)
})

test('a drain in the pause before a restart begins at once', async () => {
  const world = new JobWorld(LONG)
  const run = world.start({ definition: { restart: { kind: 'fixed-delay', attempts: 5, delayMs: 600_000 } } })
  await run.completed(3)
  run.rates.task = 1
  await world.until(() => run.count('restarting') === 1)
  await world.pass(2_000)
  run.rates.task = 0
  run.drain()
  const before = world.time.monotonicMs()
  expect((await run.ended()).state).toBe('FINISHED')
  expect(world.time.monotonicMs() - before).toBeLessThan(60_000)
  expectDrained(world)
})

test('a stop that was asked for before is a stop, and nothing is ended', async () => {
  const world = new JobWorld(LONG)
  const run = world.start()
  await run.completed(2)
  run.stop()
  run.drain()
  expect((await run.ended()).state).toBe('STOPPED')
  expect((await world.start().ended()).state).toBe('FINISHED')
  expect(world.violations(true)).toEqual([])
})

test('a cancel in the middle of a drain takes it back: the next run reads everything', async () => {
  const world = new JobWorld(LONG)
  const run = world.start()
  await run.completed(2)
  run.process.isHeld = (name) => name.endsWith('.prepare')
  run.drain()
  await world.until(() => run.process.held > 0)
  run.cancel()
  await world.pass(1_000)
  run.process.release()
  expect((await run.ended()).state).toBe('CANCELED')
  expect((await world.start().ended()).state).toBe('FINISHED')
  expect(world.violations(true)).toEqual([])
})

test('a checkpoint that is declined in the middle of a drain is followed by another one', async () => {
  const world = new JobWorld(LONG)
  const run = world.start({
    definition: { checkpoint: { intervalMs: 3_600_000, timeoutMs: 1_000, toleratedFailures: 5 } },
  })
  await run.completed(1)
  await world.pass(30)
  run.process.isHeld = (name) => name.endsWith('.prepare')
  run.drain()
  await world.pass(1_500)
  expect(run.process.held).toBeGreaterThan(0)
  run.process.release()
  expect((await run.ended()).state).toBe('FINISHED')
  expectDrained(world)
})

test('a job that is drained before it has read anything ends with its closing output alone', async () => {
  const world = new JobWorld(LONG)
  const run = world.start()
  run.drain()
  expect((await run.ended()).state).toBe('FINISHED')
  expect([world.outside.plain.visible, world.outside.counts.visible]).toEqual([[], ['the end']])
  expect(world.violations(false)).toEqual([])
})
