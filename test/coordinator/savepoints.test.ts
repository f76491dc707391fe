/** Savepoints in whole simulated runs: copied, restored by a fork and by the job itself, with a crash at every effect of the restore. */
import { beforeAll, expect, test } from 'vitest'
import { memoryStore, type MemoryStore } from '../../checkpoint-store/memory.ts'
import { codeOf, FencedError, RetryableError } from '../../engine/api/index.ts'
import { copyCheckpoint } from '../../engine/coordinator/copy-checkpoint.ts'
import { JobLog } from '../../engine/coordinator/job-log.ts'
import { openSavepoint, type Savepoint } from '../../engine/coordinator/savepoint.ts'
import { nodeRuntime } from '../../engine/host/node-runtime.ts'
import { Service } from '../simulation/service.ts'
import { Truth } from '../simulation/truth.ts'
import { POLICY } from '../simulation/world.ts'
import { JobWorld, type JobRun } from './job-run.ts'
import { compare } from './serial-job.ts'

const LENGTHS = { a: 150, b: 110 }
/** The simulated sinks count in their writer state, which a savepoint does not carry over. */
const DROP = ['plain', 'counts']

interface Origin {
  readonly store: MemoryStore
  readonly savepoint: Savepoint
  readonly visible: { readonly plain: readonly unknown[]; readonly counts: readonly unknown[] }
}

let origin: Origin
beforeAll(async () => {
  origin = await originOf()
})

/** A job that has stopped, and its newest checkpoint as a savepoint. */
async function originOf(): Promise<Origin> {
  const world = new JobWorld(LENGTHS)
  const run = world.start()
  await run.completed(4)
  run.stop()
  expect((await run.ended()).state).toBe('STOPPED')
  const store = memoryStore({ uri: 'memory:place' })
  await copyCheckpoint({ store: world.store, job: 'job', to: store, runtime: nodeRuntime() })
  const { plain, counts } = world.outside
  const visible = { plain: [...plain.visible], counts: [...counts.visible] }
  expect(visible.plain.length).toBeGreaterThan(10)
  expect(visible.plain.length).toBeLessThan(250)
  return { store, savepoint: await openSavepoint(store), visible }
}

/** Nothing has run in it; what the savepoint's job had made visible is there, so that all must be there once in the end. */
function forkWorld(): JobWorld {
  const world = new JobWorld(LENGTHS)
  world.outside.plain.visible.push(...origin.visible.plain)
  world.outside.counts.visible.push(...origin.visible.counts)
  return world
}

const restoreOf = ({ savepoint }: Origin) => ({ restore: savepoint, drop: DROP, acceptDuplicates: true })

function restoredOf(run: JobRun): number | null | undefined {
  return run.events.findLast((event) => event.kind === 'running')?.restored
}

test('a fork goes on from a savepoint as if it had never been interrupted, under numbers and a lineage of its own', async () => {
  const world = forkWorld()
  // Chance begins anew in each world: the second process of this one draws what the savepoint's job did not.
  await expect(world.start({ run: { restore: 7 } }).ended()).rejects.toThrow(/has no checkpoint 7/)
  const run = world.start({ run: restoreOf(origin) })
  expect((await run.ended()).state).toBe('FINISHED')
  expect(restoredOf(run)).toBe(1)
  expect(world.violations(true)).toEqual([])
  const { newest } = world.outside.truth
  expect(newest?.lineage).not.toBe(origin.savepoint.description.lineage)
  expect(newest?.restoring).toBeUndefined()
  // Not behind anything: an empty log has nothing that would be repeated.
  expect(run.events).toContainEqual({ kind: 'restoring', from: expect.anything(), repeats: undefined })
})

test('a savepoint is restored at another parallelism as any checkpoint is (C2)', async () => {
  const world = forkWorld()
  const run = world.start({ run: { ...restoreOf(origin), parallelism: 3 } })
  expect((await run.ended()).state).toBe('FINISHED')
  expect(restoredOf(run)).toBe(1)
  expect(world.violations(true)).toEqual([])
})

test('killed at any effect of a restore, a fork never goes on from nothing, and ends exact (C2, C5)', async () => {
  const whole = forkWorld()
  const first = whole.start({ run: restoreOf(origin) })
  await first.completed(2)
  const effects = first.process.effects.length
  const met = { refused: 0, anew: 0, goneOn: 0 }
  for (let effect = 1; effect <= effects; effect += 1) {
    // Behind one effect is before the next.
    for (const moment of effect === 1 ? (['before', 'after'] as const) : (['after'] as const)) {
      const world = forkWorld()
      const killed = world.start({ run: restoreOf(origin), strike: { effect, moment, kind: 'kill' } })
      await world.until(() => killed.process.state === 'dead')
      const { newest } = world.outside.truth
      if (newest === undefined) met.anew += 1
      else if (newest.restoring !== undefined) {
        met.refused += 1
        await expectPending(world, 'memory:place')
      } else met.goneOn += 1
      const isDone = newest !== undefined && newest.restoring === undefined
      const next = world.start(isDone ? {} : { run: restoreOf(origin) })
      expect((await next.ended()).state).toBe('FINISHED')
      expect(restoredOf(next), `at ${effect} ${moment}`).toBeGreaterThan(0)
      expect(world.violations(true), `at ${effect} ${moment}`).toEqual([])
    }
  }
  expect(met.refused).toBeGreaterThan(5)
  expect(met.anew).toBeGreaterThan(3)
  expect(met.goneOn).toBeGreaterThan(5)
})

test('paused at an effect of a restore and woken behind its successor, it is fenced and changes nothing (C3)', async () => {
  const whole = forkWorld()
  const first = whole.start({ run: restoreOf(origin) })
  await first.completed(1)
  const { effects } = first.process
  // From its own start on: one that has not read the log yet takes over by itself, as nobody is said to live here.
  const started = effects.findIndex((name) => name === 'store.create job/log/000000000001') + 1
  let woken = 0
  for (let effect = started; effect <= effects.length; effect += 2) {
    const world = forkWorld()
    const paused = world.start({ run: restoreOf(origin), strike: { effect, moment: 'after', kind: 'pause' } })
    await world.until(() => paused.process.state === 'paused')
    const isDone = world.outside.truth.newest !== undefined && world.outside.truth.newest.restoring === undefined
    const next = world.start(isDone ? {} : { run: restoreOf(origin) })
    await next.completed(1)
    paused.process.wake()
    await world.until(() => paused.end !== undefined || paused.error !== undefined)
    if (paused.error instanceof FencedError) woken += 1
    expect((await next.ended()).state).toBe('FINISHED')
    expect(world.violations(true), `at ${effect}`).toEqual([])
  }
  expect(woken).toBeGreaterThan(5)
})

test('a restore that fails on its way is tried again in the same process, and once it is in the log never again', async () => {
  const world = forkWorld()
  const rates = { task: 0 }
  const run = world.start({ run: restoreOf(origin), rates: { store: 0.4, ...rates } })
  await world.until(() => run.count('restarting') >= 2 || run.error instanceof RetryableError)
  run.rates.store = 0
  // Before it had a part in the job it may have given up; then it says what it could not do, and runs again.
  const going = run.error === undefined ? run : world.start({ run: restoreOf(origin) })
  await going.completed(2)
  const { checkpoint = 0 } = world.outside.truth.newest?.retained.at(-1) ?? {}
  going.rates.task = 1
  await world.until(() => going.count('restarting') >= 4)
  going.rates.task = 0
  await world.until(() => Number(restoredOf(going)) >= checkpoint)
  expect((await going.ended()).state).toBe('FINISHED')
  expect(world.violations(true)).toEqual([])
})

test('the job itself goes back to a savepoint: due commits first, then all behind it once more, whatever kills it on its way', async () => {
  const plainRun = await rolledBack(undefined)
  const met = new Set<string>()
  const every = 7
  for (let effect = 1; effect <= plainRun.effects; effect += every) {
    const { refused } = await rolledBack(effect)
    met.add(refused ? 'refused' : 'not refused')
  }
  expect([...met].toSorted()).toEqual(['not refused', 'refused'])
})

/** Runs on behind the savepoint, is killed with commits due, goes back; `effect`: where the run that goes back is killed. */
async function rolledBack(
  effect: number | undefined,
): Promise<{ readonly effects: number; readonly refused: boolean }> {
  const world = new JobWorld(LENGTHS)
  const { truth, plain, counts } = world.outside
  const first = world.start()
  await first.completed(2)
  const place = memoryStore({ uri: 'memory:mine' })
  first.stop()
  await first.ended()
  await copyCheckpoint({ store: world.store, job: 'job', to: place, runtime: nodeRuntime() })
  const prefix = { plain: [...plain.visible], counts: [...counts.visible] }
  const second = world.start()
  await second.completed(2)
  second.rates.sink = 1
  await second.completed(3)
  second.process.kill()
  const due = [...truth.held].filter(
    ([name]) => truth.isDue(name) && plain.transactions.get(name)?.state === 'prepared',
  )
  expect(due.length).toBeGreaterThan(0)
  const run = { restore: await openSavepoint(place), drop: DROP }
  await expect(world.start({ run }).ended()).rejects.toThrow(
    /goes back behind checkpoint .*source source0 from \d+ to \d+/,
  )
  const before = plain.visible.length
  const back = { ...run, acceptDuplicates: true }
  const strikes = effect === undefined ? {} : { strike: { effect, moment: 'after', kind: 'kill' } as const }
  const third = world.start({ run: back, ...strikes })
  await world.until(() => third.process.state === 'dead' || third.end !== undefined)
  const effects = third.process.effects.length
  const isPending = truth.newest?.restoring !== undefined
  if (isPending) await expectPending(world, 'memory:mine')
  const isStarted = (truth.newest?.generation ?? 0) > 2
  const last = third.end === undefined ? world.start({ run: isPending || !isStarted ? back : {} }) : third
  expect((await last.ended()).state).toBe('FINISHED')
  for (const [name] of due) expect(plain.prepared.get(name)?.every((value) => plain.visible.includes(value))).toBe(true)
  // What the old history had completed came first; behind it everything since the savepoint, once.
  const delivered = before + due.reduce((sum, [name]) => sum + (plain.prepared.get(name)?.length ?? 0), 0)
  expectSuffix(prefix, { plain: plain.visible.slice(delivered), counts })
  return { effects, refused: isPending }
}

/** Together one uninterrupted run. Of `counts` the last history is what follows the last record that was counted anew. */
function expectSuffix(
  prefix: { readonly plain: readonly unknown[]; readonly counts: readonly unknown[] },
  rest: { readonly plain: readonly unknown[]; readonly counts: Service },
): void {
  const truth = new Truth('job', POLICY)
  const [plain, counts] = [new Service('plain', truth), new Service('counts', truth)]
  plain.visible.push(...prefix.plain, ...rest.plain)
  // One count for each record that both sinks saw, and the closing one.
  counts.visible.push(...prefix.counts, ...rest.counts.visible.slice(-(rest.plain.length + 1)))
  compare({ truth, lengths: Object.values(LENGTHS), plain, counts }, true)
  expect(truth.violations).toEqual([])
}

/** Whoever does not say it again is not given the beginning, or an older state, in silence. */
async function expectPending(world: JobWorld, uri: string): Promise<void> {
  const { truth } = world.outside
  const seq = truth.newest?.seq
  const plain = world.start()
  await expect(plain.ended()).rejects.toThrow(`was last run with --restore ${uri} and ended before that was done`)
  expect(codeOf(plain.error)).toBe('SLUICE_RESTORE_PENDING')
  expect(truth.newest?.seq).toBe(seq)
}

test('a savepoint of the very newest checkpoint repeats nothing and needs no word', async () => {
  const world = new JobWorld(LENGTHS)
  const first = world.start()
  await first.completed(3)
  first.stop()
  await first.ended()
  const place = memoryStore({ uri: 'memory:mine' })
  await copyCheckpoint({ store: world.store, job: 'job', to: place, runtime: nodeRuntime() })
  const newest = world.outside.truth.newest?.retained.at(-1)?.checkpoint ?? 0
  const run = world.start({ run: { restore: await openSavepoint(place), drop: DROP } })
  expect((await run.ended()).state).toBe('FINISHED')
  expect(restoredOf(run)).toBe(newest + 1)
  expect(run.events).toContainEqual({ kind: 'restoring', from: expect.anything(), repeats: undefined })
})

test('open output of a sink is not carried over without a word, and a savepoint behind the end has nothing left to run', async () => {
  const world = forkWorld()
  const refused = world.start({ run: { restore: origin.savepoint } })
  await expect(refused.ended()).rejects.toThrow(/sink "plain", "counts" had output open .* --drop plain --drop counts/)
  expect(codeOf(refused.error)).toBe('SLUICE_SAVEPOINT_OPEN_OUTPUT')
  expect((await world.start({ run: restoreOf(origin) }).ended()).state).toBe('FINISHED')
  const place = memoryStore({ uri: 'memory:final' })
  await copyCheckpoint({ store: world.store, job: 'job', to: place, runtime: nodeRuntime() })
  const again = new JobWorld(LENGTHS).start({ run: { restore: await openSavepoint(place), drop: DROP } })
  const ended = again.ended()
  await expect(ended).rejects.toThrow(/after its input had ended: there is nothing left to run/)
})

test('an earlier checkpoint, or none, that was to be restored is not forgotten by a crash either', async () => {
  const world = new JobWorld(LENGTHS)
  const first = world.start()
  await first.completed(4)
  first.stop()
  await first.ended()
  const { truth } = world.outside
  const [oldest, newest] = [truth.newest?.retained[0]?.checkpoint ?? 0, truth.newest?.retained.at(-1)?.checkpoint ?? 0]
  const back = world.start({ run: { restore: oldest, acceptDuplicates: true } })
  await world.until(() => truth.newest?.restoring !== undefined)
  back.process.kill()
  expect(truth.newest?.restoring).toEqual({ kind: 'checkpoint', checkpoint: oldest })
  const words = new RegExp(
    `with --restore ${oldest} and ended before that was done; say it again, or go on with --restore ${newest}`,
  )
  await expect(world.start().ended()).rejects.toThrow(words)
  // The way out that it names.
  const on = world.start({ run: { restore: newest } })
  expect((await on.ended()).state).toBe('FINISHED')
  expect(restoredOf(on)).toBe(newest)
  expect(world.violations(true)).toEqual([])
})

test('beginning anew where no checkpoint has completed is done once, too: restarts go on from what came since', async () => {
  const world = new JobWorld(LENGTHS)
  const first = world.start({ rates: { task: 1 } })
  await world.until(() => first.count('restarting') >= 1)
  first.process.kill()
  expect(world.outside.truth.newest?.retained).toEqual([])
  const anew = world.start({ run: { restore: 'none' } })
  await anew.completed(2)
  anew.rates.task = 1
  await world.until(() => anew.count('restarting') >= 1)
  anew.rates.task = 0
  expect((await anew.ended()).state).toBe('FINISHED')
  expect(restoredOf(anew)).toBeGreaterThan(0)
  expect(world.violations(true)).toEqual([])
})

test('a part that was given up with --drop is given up once: what came since survives restarts', async () => {
  const world = new JobWorld(LENGTHS)
  const first = world.start()
  await first.completed(2)
  first.stop()
  await first.ended()
  const counted = world.outside.counts.visible.length
  const dropping = world.start({ run: { drop: ['count'] } })
  await dropping.completed(3)
  dropping.rates.task = 1
  await world.until(() => dropping.count('restarting') >= 1)
  dropping.rates.task = 0
  expect((await dropping.ended()).state).toBe('FINISHED')
  // From one on again after the drop, and from there without a gap or a second beginning.
  const seen = new Map<string, number>()
  for (const text of world.outside.counts.visible.slice(counted).map(String)) {
    const [key = '', count = ''] = text.split(' ')
    if (text === 'the end') continue
    expect(Number(count)).toBe((seen.get(key) ?? 0) + 1)
    seen.set(key, Number(count))
  }
  expect(seen.size).toBe(6)
})

test('a copy is whole or none: killed anywhere it is no savepoint, done again it is one', async () => {
  const puts: string[] = []
  const counting = memoryStore({
    uri: 'memory:count',
    after: ({ name, key }) => void (name === 'create' && puts.push(key)),
  })
  const source = await stoppedJob()
  await copyCheckpoint({ store: source, job: 'job', to: counting, runtime: nodeRuntime() })
  expect(puts.length).toBeGreaterThan(1)
  for (let creates = 0; creates < puts.length; creates += 1) {
    for (const moment of ['before', 'after'] as const) {
      let count = 0
      const fail = ({ name }: { readonly name: string }): void => {
        if (name === 'create' && (count += 1) === creates + 1) throw new Error('killed')
      }
      const place = memoryStore({ uri: 'memory:place', [moment]: fail })
      const copying = copyCheckpoint({ store: source, job: 'job', to: place, runtime: nodeRuntime() })
      await expect(copying).rejects.toThrow('killed')
      const after = place.clone({ uri: 'memory:after' })
      if (creates === puts.length - 1 && moment === 'after') await expectWhole(after, source)
      else await expectNone(after, source)
    }
  }
})

async function expectWhole(place: MemoryStore, source: MemoryStore): Promise<void> {
  expect((await openSavepoint(place)).description.job).toBe('job')
  const again = copyCheckpoint({ store: source, job: 'job', to: place, runtime: nodeRuntime() })
  await expect(again).rejects.toThrow(/there is a savepoint in memory:after already/)
}

/** And what lies there is in nobody's way. */
async function expectNone(place: MemoryStore, source: MemoryStore): Promise<void> {
  await expect(openSavepoint(place)).rejects.toThrow(/there is no savepoint in memory:after/)
  await copyCheckpoint({ store: source, job: 'job', to: place, runtime: nodeRuntime() })
  expect((await openSavepoint(place)).description.blobs.length).toBeGreaterThan(0)
}

async function stoppedJob(): Promise<MemoryStore> {
  const world = new JobWorld(LENGTHS)
  const run = world.start()
  await run.completed(3)
  run.stop()
  await run.ended()
  expect((await JobLog.open(world.store, 'job', nodeRuntime())).newest?.end?.state).toBe('STOPPED')
  return world.store
}

test('what is not committed, or not there, is not copied', async () => {
  const world = new JobWorld(LENGTHS)
  const run = world.start()
  await run.completed(2)
  run.rates.sink = 1
  await run.completed(4)
  run.process.kill()
  const { truth } = world.outside
  const due = truth.newest?.retained.at(-1)?.checkpoint ?? 0
  expect(due).toBeGreaterThan(truth.committedThrough)
  const copy = (checkpoint: number): Promise<unknown> =>
    copyCheckpoint({
      store: world.store,
      job: 'job',
      to: memoryStore({ uri: 'memory:x' }),
      runtime: nodeRuntime(),
      checkpoint,
    })
  await expect(copy(due)).rejects.toThrow(/is completed, but its commits are not delivered yet/)
  await expect(copy(999)).rejects.toThrow(/has no committed checkpoint 999 to copy; committed are (none|\d+)/)
})
