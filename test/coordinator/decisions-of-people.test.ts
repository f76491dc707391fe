/** Rollbacks, accepted losses and starts that meet others: what a person decides, carried out once and never more. */
import { expect, test } from 'vitest'
import { TerminalError } from '../../engine/api/index.ts'
import { JobLog } from '../../engine/coordinator/job-log.ts'
import { JobWorld } from './job-run.ts'

const LONG = { a: 400, b: 300 }

/** A crash while a sink that fails has commits of a completed checkpoint to make. */
async function worldWithCommitsDue(): Promise<JobWorld> {
  const world = new JobWorld(LONG)
  const run = world.start()
  await run.completed(2)
  run.rates.sink = 1
  await run.completed(3)
  run.process.kill()
  return world
}

test('a lost commit ends the job FAILED by name; accepted, exactly that loss is left out', async () => {
  const world = await worldWithCommitsDue()
  const { truth, plain } = world.outside
  const due = truth.newest?.retained.at(-1)?.checkpoint ?? 0
  const lost = [...plain.transactions].filter(([name]) => truth.isDue(name)).map(([name]) => name)
  expect(lost.length).toBeGreaterThan(0)
  const prepared = [...plain.transactions]
  for (const name of lost) plain.transactions.delete(name)
  const failed = await world.start().ended()
  expect(failed).toMatchObject({ state: 'FAILED' })
  const reason = failed.state === 'FAILED' ? failed.reason : ''
  expect(reason).toMatch(/sink "plain" subtask 0 lost .*checkpoint \d+ .*--accept-loss \d+/)
  const named = Number(/--accept-loss (\d+)/.exec(reason)?.[1])
  expect(named).toBeLessThanOrEqual(due)
  // It stays FAILED until somebody decides; nothing is skipped silently.
  expect((await world.start().ended()).state).toBe('FAILED')
  // Brought back from where it was, it is delivered.
  for (const [name, transaction] of prepared) plain.transactions.set(name, transaction)
  truth.violations.length = 0
  expect((await world.start().ended()).state).toBe('FINISHED')
  expect(world.violations(true)).toEqual([])
})

test('an accepted loss is recorded and lets the job go on', async () => {
  const world = await worldWithCommitsDue()
  const { truth, plain } = world.outside
  const accepted = truth.newest?.retained.find((one) => one.checkpoint > truth.committedThrough)?.checkpoint ?? 0
  for (const [name, held] of truth.held) if (held.checkpoint === accepted) plain.transactions.delete(name)
  await expect(world.start({ run: { acceptLoss: accepted + 100 } }).ended()).rejects.toThrow(TerminalError)
  const visible = plain.visible.length
  expect((await world.start({ run: { acceptLoss: accepted } }).ended()).state).toBe('FINISHED')
  expect(truth.newest?.acceptedLosses).toEqual([accepted])
  expect(plain.visible.length).toBeGreaterThan(visible)
})

test('a rollback delivers what is due, restores what was chosen under a new lineage, and is carried out once, whatever fails', async () => {
  const world = new JobWorld(LONG)
  const first = world.start()
  await first.completed(4)
  first.stop()
  await first.ended()
  const { truth } = world.outside
  const [oldest, newest] = [truth.newest?.retained[0]?.checkpoint ?? 0, truth.newest?.retained.at(-1)?.checkpoint ?? 0]
  const lineage = truth.newest?.lineage
  expect(oldest).toBeLessThan(newest)
  const options = { restore: oldest, acceptDuplicates: true }
  await expect(world.start({ run: { restore: oldest } }).ended()).rejects.toThrow(/accept-duplicates/)
  const second = world.start({ run: options, rates: { task: 0.9 } })
  await world.until(() => second.count('restarting') >= 3)
  second.rates.task = 0
  await second.completed(1)
  const restored = second.events.flatMap((event) => (event.kind === 'running' ? [event.restored] : []))
  expect(new Set(restored.slice(0, 1))).toEqual(new Set([oldest]))
  expect(truth.newest?.lineage).not.toBe(lineage)
  expect(truth.newest?.retained.map((one) => one.checkpoint)).not.toContain(newest)
  // A restart in the same process goes on from the newest of the new lineage, not back once more.
  const before = truth.newest?.retained.at(-1)?.checkpoint ?? 0
  second.rates.task = 1
  await world.until(() => second.count('restarting') >= 4)
  second.rates.task = 0
  await world.until(() => second.events.findLast((event) => event.kind === 'running')?.restored !== oldest)
  const last = second.events.findLast((event) => event.kind === 'running')
  expect(last?.restored).toBeGreaterThanOrEqual(before)
  expect((await second.ended()).state).toBe('FINISHED')
})

test('what another run leaves between our preflight and our start is looked at again', async () => {
  const world = new JobWorld({ a: 17, b: 11 })
  const late = world.start()
  // Its preflight saw an empty log; the other one is through before its own start.
  late.process.isHeld = (name) => name.startsWith('store.create job/log/')
  await world.until(() => late.process.held > 0)
  expect((await world.start().ended()).state).toBe('FINISHED')
  late.process.release()
  await world.until(() => late.end !== undefined || late.error !== undefined)
  // Fenced (same generation), without a trace.
  expect([late.end, String(late.error)]).toEqual([undefined, expect.stringContaining('is fenced')])
  expect((await JobLog.open(world.store, 'job', late.process.runtime)).newest).toMatchObject({ kind: 'ended' })
  expect(world.violations(true)).toEqual([])
})

test('a start above a newer entry of an older generation asks the preflight again, and goes on from there', async () => {
  const world = new JobWorld(LONG)
  const old = world.start()
  await old.completed(2)
  const young = world.start({ run: { takeOver: true } })
  young.process.isHeld = (name) => name.startsWith('store.create job/log/')
  await world.until(() => young.process.held > 0)
  await old.completed(4)
  const seen = world.outside.truth.newest?.retained.at(-1)?.checkpoint
  old.process.kill()
  young.process.release()
  await young.running()
  expect(young.events.find((event) => event.kind === 'running')).toMatchObject({ generation: 2, restored: seen })
  expect((await young.ended()).state).toBe('FINISHED')
  expect(world.violations(true)).toEqual([])
})

test('the checkpoint that was named is restored, although it was the newest when it was named and is not any more', async () => {
  const world = new JobWorld(LONG)
  const old = world.start()
  await old.completed(2)
  const { truth } = world.outside
  const named = truth.newest?.retained.at(-1)?.checkpoint ?? 0
  const young = world.start({ run: { takeOver: true, restore: named, acceptDuplicates: true } })
  young.process.isHeld = (name) => name.startsWith('store.create job/log/')
  await world.until(() => young.process.held > 0)
  await old.completed(3)
  expect(truth.newest?.retained.map((one) => one.checkpoint)).toContain(named)
  expect(truth.newest?.retained.at(-1)?.checkpoint).toBeGreaterThan(named)
  old.process.kill()
  young.process.release()
  await young.running()
  expect(young.events.find((event) => event.kind === 'running')).toMatchObject({ generation: 2, restored: named })
  expect((await young.ended()).state).toBe('FINISHED')
})
