import { expect, test } from 'vitest'
import { JobWorld } from './job-run.ts'

const LONG = { a: 400, b: 300 }
const SHORT = { a: 17, b: 11 }

test('a stop takes one last checkpoint, commits all of it and ends STOPPED; the next run goes on exactly there', async () => {
  const world = new JobWorld(LONG)
  const run = world.start()
  await run.completed(3)
  run.stop()
  expect((await run.ended()).state).toBe('STOPPED')
  const { newest } = world.outside.truth
  expect(newest).toMatchObject({ kind: 'ended', end: { state: 'STOPPED' }, unclean: [] })
  expect(newest?.committedThrough).toBe(newest?.retained.at(-1)?.checkpoint)
  expect(world.outside.plain.transactions.size).toBe(0)
  expect((await world.start().ended()).state).toBe('FINISHED')
  expect(world.violations(true)).toEqual([])
})

test('a stop while a sink is down waits for it, says STOPPING meanwhile, and ends when it is back', async () => {
  const world = new JobWorld(LONG)
  const run = world.start()
  await run.completed(2)
  run.rates.sink = 1
  run.stop()
  await world.pass(60_000)
  expect(run.end).toBeUndefined()
  expect(world.state).toBe('STOPPING')
  const entries = world.outside.truth.newest?.seq ?? 0
  await world.pass(15_000)
  // It goes on saying that it lives.
  expect((world.outside.truth.newest?.seq ?? 0) - entries).toBeGreaterThanOrEqual(8)
  run.rates.sink = 0
  expect((await run.ended()).state).toBe('STOPPED')
  expect(world.violations(false)).toEqual([])
})

test('a stop in the pause before a restart starts at once for the last checkpoint', async () => {
  const world = new JobWorld(LONG)
  const run = world.start({ definition: { restart: { kind: 'fixed-delay', attempts: 5, delayMs: 600_000 } } })
  await run.completed(2)
  run.rates.task = 1
  await world.until(() => run.count('restarting') === 1)
  await world.pass(2_000)
  expect(world.state).toBe('RESTARTING')
  run.rates.task = 0
  run.stop()
  const before = world.time.monotonicMs()
  expect((await run.ended()).state).toBe('STOPPED')
  expect(world.time.monotonicMs() - before).toBeLessThan(60_000)
  const { newest } = world.outside.truth
  expect(newest?.committedThrough).toBe(newest?.retained.at(-1)?.checkpoint)
  expect((await world.start().ended()).state).toBe('FINISHED')
  expect(world.violations(true)).toEqual([])
})

test('a stop that can take no last checkpoint follows the restart strategy, and ends FAILED without loss', async () => {
  const world = new JobWorld(LONG)
  const run = world.start({ definition: { restart: { kind: 'fixed-delay', attempts: 3, delayMs: 1_000 } } })
  await run.completed(2)
  run.rates.task = 1
  await world.until(() => run.count('restarting') === 1)
  run.stop()
  const before = world.time.monotonicMs()
  expect((await run.ended()).state).toBe('FAILED')
  expect(world.time.monotonicMs() - before).toBeGreaterThan(2_000)
  expect((await world.start().ended()).state).toBe('FINISHED')
  expect(world.violations(true)).toEqual([])
})

test('a cancel takes no last checkpoint, delivers what is due and ends CANCELED', async () => {
  const world = new JobWorld(LONG)
  const run = world.start()
  await run.completed(3)
  run.cancel()
  expect((await run.ended()).state).toBe('CANCELED')
  expect(run.count('completed')).toBe(3)
  const { newest } = world.outside.truth
  expect(newest).toMatchObject({ kind: 'ended', end: { state: 'CANCELED' }, unclean: [] })
  expect(newest?.committedThrough).toBe(newest?.retained.at(-1)?.checkpoint)
  expect((await world.start().ended()).state).toBe('FINISHED')
  expect(world.violations(true)).toEqual([])
})

test('a cancel while a sink is down ends within seconds; what is due stays in the log, and the next run delivers it', async () => {
  const world = new JobWorld(LONG)
  const run = world.start()
  await run.completed(2)
  run.rates.sink = 1
  await run.completed(3)
  run.cancel()
  const before = world.time.monotonicMs()
  expect((await run.ended()).state).toBe('CANCELED')
  expect(world.time.monotonicMs() - before).toBeLessThan(60_000)
  const { newest } = world.outside.truth
  expect(newest?.committedThrough).toBeLessThan(newest?.retained.at(-1)?.checkpoint ?? 0)
  expect((await world.start().ended()).state).toBe('FINISHED')
  expect(world.violations(true)).toEqual([])
})

test('a cancel during a recovery whose sink is down, and in the pause before a restart, ends at once', async () => {
  const world = new JobWorld(LONG)
  const first = world.start()
  await first.completed(2)
  first.rates.sink = 1
  await first.completed(3)
  first.process.kill()
  const second = world.start({ rates: { sink: 1 } })
  await world.pass(10_000)
  expect([world.state, second.count('running')]).toEqual(['STARTING', 0])
  second.cancel()
  expect((await second.ended()).state).toBe('CANCELED')
  const third = world.start({ definition: { restart: { kind: 'fixed-delay', attempts: 5, delayMs: 600_000 } } })
  await third.completed(1)
  third.rates.task = 1
  await world.until(() => third.count('restarting') === 1)
  third.cancel()
  const before = world.time.monotonicMs()
  expect((await third.ended()).state).toBe('CANCELED')
  expect(world.time.monotonicMs() - before).toBeLessThan(1_000)
  expect((await world.start().ended()).state).toBe('FINISHED')
  expect(world.violations(true)).toEqual([])
})

test('a cancel while a source never opens, and a stop while a sink is down in recovery, are heard', async () => {
  const world = new JobWorld(LONG)
  const first = world.start()
  first.process.isSilent = (name) => name === 'source.discover'
  await world.pass(10_000)
  first.cancel()
  expect((await first.ended()).state).toBe('CANCELED')
  const second = world.start()
  await second.completed(2)
  second.rates.sink = 1
  await second.completed(3)
  second.process.kill()
  const third = world.start({ rates: { sink: 1 } })
  await world.pass(5_000)
  third.stop()
  await world.pass(5_000)
  expect([world.state, third.end]).toEqual(['STOPPING', undefined])
  third.rates.sink = 0
  expect((await third.ended()).state).toBe('STOPPED')
  expect((await world.start().ended()).state).toBe('FINISHED')
  expect(world.violations(true)).toEqual([])
})

test('a stop ends within seconds although a sink answers no forget and no abort', async () => {
  const world = new JobWorld(LONG)
  const run = world.start()
  await run.completed(3)
  run.process.isSilent = (name) => /\.forget|\.abort$/.test(name)
  run.stop()
  const before = world.time.monotonicMs()
  expect((await run.ended()).state).toBe('STOPPED')
  expect(world.time.monotonicMs() - before).toBeLessThan(15_000)
  expect((await world.start().ended()).state).toBe('FINISHED')
  expect(world.violations(true)).toEqual([])
  expect(world.outside.plain.transactions.size + world.outside.counts.transactions.size).toBe(0)
})

test('a job that is stopped or canceled before it runs loses nothing', async () => {
  for (const how of ['stop', 'cancel'] as const) {
    const world = new JobWorld(SHORT)
    const run = world.start()
    run[how]()
    expect((await run.ended()).state).toBe(how === 'stop' ? 'STOPPED' : 'CANCELED')
    expect((await world.start().ended()).state).toBe('FINISHED')
    expect(world.violations(true)).toEqual([])
  }
})

test('a checkpoint that is asked for comes now; who waits until it is committed hears that later', async () => {
  const world = new JobWorld({ a: 4_000, b: 3_000 })
  const checkpoint = { intervalMs: 3_600_000 }
  const run = world.start({ definition: { checkpoint } })
  await run.completed(1)
  await world.pass(20)
  run.rates.sink = 1
  const completed = run.requests.request()
  const committed = run.requests.request('committed')
  let isCommitted = false
  void committed.then(() => (isCommitted = true))
  await run.completed(2)
  const id = world.outside.truth.newest?.retained.at(-1)?.checkpoint
  expect(await world.hear(completed)).toEqual({ kind: 'completed', checkpoint: id })
  await world.pass(300)
  expect(isCommitted).toBe(false)
  run.rates.sink = 0
  await world.until(() => isCommitted)
  expect(await world.hear(committed)).toEqual({ kind: 'completed', checkpoint: id })
  // An attempt that fails takes a request with it; one without an attempt waits for the next.
  run.rates.task = 1
  await world.until(() => run.count('restarting') === 1)
  const later = run.requests.request()
  run.rates.task = 0
  await run.completed(3)
  expect(await world.hear(later)).toMatchObject({ kind: 'completed' })
  run.cancel()
  const tooLate = run.requests.request()
  await run.ended()
  expect(await world.hear(tooLate)).toMatchObject({ kind: 'not-completed' })
  expect(await world.hear(run.requests.request())).toMatchObject({ kind: 'not-completed', reason: 'the run is over' })
})
