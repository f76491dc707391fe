/**
 * A job of many subtasks through what else may befall it: a process that was only paused and one that took over at another parallelism
 * (F14), edits (F22), inputs that end far apart (F24), functions that throw in some subtask (F21), and what status says of it afterwards.
 */
import { expect, test } from 'vitest'
import { inPairs, IS_LONG, LOG, sampled, tell, type Arena, type Strike } from './harness.ts'
import { FACTS } from './parallel-input.ts'
import {
  at,
  endsIn,
  expectComplete,
  expectPrefix,
  PARALLEL_REPLAY,
  PARALLEL_SINKS,
  parallelArena,
  waitingOf,
} from './parallel-truth.ts'

const TIMEOUT = { timeout: IS_LONG ? 3_600_000 : 240_000 }
const job = 'parallel'
const ENTRY = `link ${LOG}/`

/** Effects of a run at parallelism 3, from its first look at the log on. In long mode every eighth. */
async function placesOf(size: number): Promise<readonly Strike[]> {
  using arena = parallelArena()
  const { effects } = await arena.run(0, { job, flags: at(3) })
  const first = effects.findIndex((effect) => effect.startsWith(`open ${LOG}/`))
  const all = effects.flatMap((_, index) =>
    index < first || (IS_LONG && index % 8 !== 0)
      ? []
      : (['before', 'after'] as const).map((moment) => ({ nth: index + 1, moment, how: 'STOP' as const })),
  )
  return sampled(all, size)
}

test(
  'a process of many subtasks, stopped at any effect and woken when its successor at another parallelism is done, hurts nothing and exits (F14)',
  TIMEOUT,
  async () => {
    const places = await placesOf(4)
    let stopped = 0
    let facts = 0
    await inPairs(places, async (strike) => {
      using arena = parallelArena()
      const zombie = arena.start({ job, flags: at(3), strikes: [strike] })
      if (!(await zombie.untilStopped())) return
      stopped += 1
      const isHeld = arena.log().length > 0 && arena.newest().kind !== 'ended'
      const flags = at(1 + ((strike.nth ?? 0) % 5))
      if (isHeld) await arena.run(3, { job, flags, settings: PARALLEL_REPLAY })
      await arena.run(0, { job, flags: [...flags, '--take-over'], settings: PARALLEL_REPLAY })
      facts += await expectComplete(arena)
      zombie.wake()
      const { code } = await zombie.ended
      expect(code === 3 || (!isHeld && code === 0)).toBe(true)
      // What it may have prepared after waking stays hidden.
      facts += expectPrefix(arena)
    })
    tell('many subtasks, stopped and woken afterwards', { places: places.length, stopped, facts })
    expect(stopped).toBeGreaterThanOrEqual(places.length * 0.75)
    expect(facts).toBeGreaterThanOrEqual(stopped * 2 * (FACTS - 40))
  },
)

test(
  'a process of many subtasks, stopped at any effect and woken while its successor at another parallelism runs, hurts nothing and exits (F14)',
  TIMEOUT,
  async () => {
    const places = await placesOf(4)
    let met = 0
    let facts = 0
    await inPairs(places, async (strike) => {
      using arena = parallelArena()
      const zombie = arena.start({ job, flags: at(3), strikes: [strike] })
      if (!(await zombie.untilStopped())) return
      // Woken at an effect of the successor: another one for each place.
      const nth = strike.nth ?? 0
      const successor = arena.start({
        job,
        flags: [...at(1 + (nth % 5)), '--take-over'],
        settings: PARALLEL_REPLAY,
        strikes: [{ nth: 120 + ((nth * 13) % 300), how: 'STOP' }],
      })
      const isMet = await successor.untilStopped()
      zombie.wake()
      expect([0, 3]).toContain((await zombie.ended).code)
      if (isMet) successor.wake()
      expect([0, 3]).toContain((await successor.ended).code)
      facts += expectPrefix(arena)
      await arena.run(0, { job, flags: at(2), settings: PARALLEL_REPLAY })
      // Woken after the successor's end, what it prepared stays hidden, and nobody cleans a job that has finished.
      facts += await expectComplete(arena, isMet ? {} : { fenced: 1 })
      met += isMet ? 1 : 0
    })
    tell('many subtasks, stopped and woken beside the successor', { places: places.length, met, facts })
    expect(met).toBeGreaterThanOrEqual(places.length * 0.5)
    expect(facts).toBeGreaterThanOrEqual(met * FACTS)
  },
)

/** Killed with commits that are due. What waits in operator state then. */
async function interrupted(): Promise<{ readonly arena: Arena; readonly waiting: readonly string[] }> {
  const arena = parallelArena()
  const strikes: readonly Strike[] = [{ match: 'rename ordered/part', nth: 6, how: 'KILL' }]
  await arena.run(null, { job, flags: at(3), strikes })
  const waiting = await waitingOf(arena)
  expect(waiting.length).toBeGreaterThan(0)
  return { arena, waiting }
}

interface Edit {
  readonly settings: Readonly<Record<string, string | number>>
  readonly flags?: readonly string[]
  readonly gives?: 'all' | 'all but what waited'
  readonly waitingIn?: string
}

const EDITS: Readonly<Record<string, Edit>> = {
  'an operator that is new': { settings: { EDIT: 'added operator' }, gives: 'all' },
  'another parallelism of two operators': { settings: { KEYED: 4, JOINED: 2 }, gives: 'all' },
  'one subtask for one, many for another': { settings: { KEYED: 1, JOINED: 6 }, gives: 'all' },
  'an operator under another name': {
    settings: { EDIT: 'renamed operator' },
    flags: ['--drop', 'held'],
    gives: 'all but what waited',
    waitingIn: 'kept',
  },
  'an operator that is gone': {
    settings: { EDIT: 'removed operator' },
    flags: ['--drop', 'held'],
    gives: 'all but what waited',
  },
}

test('edited between two runs at different parallelisms: refused until a loss is named, all else goes on (F22)', async () => {
  let facts = 0
  let refusals = 0
  await inPairs(Object.entries(EDITS), async ([, { settings, flags = [], gives, waitingIn = 'held' }]) => {
    const { arena, waiting } = await interrupted()
    using _arena = arena
    if (flags.length > 0) refusals += await refusedAsGone(arena, { ...PARALLEL_REPLAY, ...settings })
    await arena.run(0, { job, flags: [...at(2), ...flags], settings: { ...PARALLEL_REPLAY, ...settings } })
    facts += await expectComplete(arena, { lost: gives === 'all' ? [] : waiting, waitingIn })
  })
  tell('edits at many subtasks', { refusals, facts })
  expect(refusals).toBe(2)
  expect(facts).toBe(Object.keys(EDITS).length * FACTS)
})

/** Nothing was written, nobody fenced. */
async function refusedAsGone(arena: Arena, settings: Edit['settings']): Promise<1> {
  const before = [arena.names(LOG), PARALLEL_SINKS.map((sink) => arena.names(sink))]
  const { said } = await arena.run(2, { job, flags: at(2), settings })
  expect(said).toMatch(/operator \\"held\\" is gone, but the checkpoint holds its state.*--drop held/)
  expect([arena.names(LOG), PARALLEL_SINKS.map((sink) => arena.names(sink))]).toEqual(before)
  return 1
}

test(
  'two inputs that end far apart, killed around either end: closing output comes once, and a second run says that it is finished (F24)',
  TIMEOUT,
  async () => {
    const strikes: readonly Strike[] = (['before', 'after'] as const).flatMap((moment) => [
      ...[5, 6, 7, 8, 9, 10, 11].map((nth): Strike => ({ match: ENTRY, nth, moment, how: 'KILL' })),
      ...[5, 9, 14].map((nth): Strike => ({ match: 'rename ordered/part', nth, moment, how: 'KILL' })),
      ...[12, 15].map((nth): Strike => ({ match: 'link joined/.*keep', nth, moment, how: 'KILL' })),
    ])
    const points = sampled(strikes, 8)
    let fired = 0
    let facts = 0
    let betweenEnds = 0
    await inPairs(points, async (strike) => {
      using arena = parallelArena()
      // So slowly that there are checkpoints between the two ends.
      const run = arena.start({ job, flags: at(3), strikes: [strike], settings: { BLOCK: 130 } })
      if ((await run.ended).signal === 'SIGKILL') fired += 1
      facts += expectPrefix(arena)
      const ends = endsIn(arena)
      if (ends?.b === true && !ends.a) betweenEnds += 1
      const next = 1 + ((strike.nth ?? 0) % 5)
      await arena.run(0, { job, flags: at(next), settings: PARALLEL_REPLAY })
      facts += await expectComplete(arena)
      const entries = arena.names(LOG)
      const again = await arena.run(0, { job, flags: at(4) })
      expect(again.events('ended')).toMatchObject([{ state: 'ALREADY_FINISHED' }])
      expect(arena.names(LOG)).toEqual(entries)
    })
    tell('ends far apart', { points: points.length, 'kills fired': fired, 'between the ends': betweenEnds, facts })
    expect(fired).toBeGreaterThanOrEqual(points.length * 0.7)
    expect(betweenEnds).toBeGreaterThanOrEqual(1)
    expect(facts).toBeGreaterThanOrEqual(points.length * FACTS)
  },
)

test('a function that throws at some records, in whichever subtask: restarts in the process, output is exact (F21)', async () => {
  using arena = parallelArena()
  const settings = { THROWS: 'a0.20,a2.40,a2.70,b1.4,a0.55' }
  const run = await arena.run(0, { job, flags: at(3), settings })
  const restarts = run.events('restarting')
  // Two may fail one attempt.
  expect(restarts.length).toBeGreaterThanOrEqual(3)
  for (const { failure } of restarts) expect(failure).toMatch(/operator "keyed" failed: stumbles at [ab]\d\.\d+/)
  expect(run.events('running').map(({ generation }) => generation)).toEqual(
    Array.from({ length: restarts.length + 1 }, (_, index) => index + 1),
  )
  const facts = await expectComplete(arena)
  tell('restarted in the process', { restarts: restarts.length, facts })
  expect(facts).toBe(FACTS)
})

const FAULTS: Readonly<Record<string, readonly Strike[]>> = {
  'the disk of one subtask of a sink fails': [
    { match: 'write ordered/.*--0001--', nth: 2, how: 'EIO' },
    { match: 'fsync plain/.*--0000--.*part', nth: 4, how: 'ENOSPC' },
  ],
  'a second link cannot be made, its reply is lost': [
    { match: 'link plain/.*--0001--.*keep', nth: 2, how: 'EIO' },
    { match: 'link ordered/.*--0000--.*keep', nth: 4, moment: 'after', how: 'EIO' },
  ],
}

test.each(Object.entries(FAULTS))(
  '%s: all subtasks begin anew in the same process, output is exact (F16)',
  async (_name, strikes) => {
    using arena = parallelArena()
    const run = await arena.run(0, { job, flags: at(3), strikes })
    expect(run.struck).toHaveLength(strikes.length)
    expect(run.events('restarting').length).toBeGreaterThanOrEqual(1)
    expect(await expectComplete(arena)).toBe(FACTS)
  },
)

test('commits of some subtasks fail or their replies are lost: asked again until clear, without a restart (F10)', async () => {
  using arena = parallelArena()
  const strikes: readonly Strike[] = [
    { match: 'rename ordered/part.*--0002--', nth: 2, times: 2, how: 'EIO' },
    { match: 'rename plain/part.*--0001--', nth: 2, moment: 'after', how: 'EIO' },
  ]
  const run = await arena.run(0, { job, flags: at(3), strikes })
  expect(run.struck).toHaveLength(3)
  expect(run.events('restarting')).toEqual([])
  expect(await expectComplete(arena)).toBe(FACTS)
})

interface Status {
  readonly state: string
  readonly parallelism: number
  readonly failure?: string
  readonly failures: readonly { readonly at: string; readonly generation: number; readonly message: string }[]
}

async function statusOf(arena: Arena): Promise<Status> {
  return JSON.parse(await arena.status('--json')) as Status
}

test('failures of all subtasks and processes are in the log, bounded, and status shows them after restarts and kills (F21)', async () => {
  using arena = parallelArena()
  await arena.run(1, { job, flags: at(2), settings: { POISON: 'a2.30', RESTARTS: 2 } })
  const failed = await statusOf(arena)
  expect(failed).toMatchObject({ state: 'FAILED', parallelism: 2 })
  expect(failed.failure).toMatch(/operator "keyed" failed: cannot take a2\.30 \(gave up after 2 restarts\)/)
  expect(failed.failures.map(({ generation }) => generation)).toEqual([1, 2, 3])
  for (const { at: iso, message } of failed.failures) {
    expect(message).toBe('operator "keyed" failed: cannot take a2.30')
    expect(Date.now() - Date.parse(iso)).toBeLessThan(60_000)
  }
  await arena.run(null, { job, flags: at(3), strikes: [{ match: ENTRY, nth: 4, how: 'KILL' }] })
  const killed = await statusOf(arena)
  expect(killed.failures).toEqual(failed.failures)
  // Behind the fix it goes on, stumbles once more, and finishes.
  await arena.run(0, { job, flags: at(2), settings: { ...PARALLEL_REPLAY, THROWS: 'a2.60' } })
  const finished = await statusOf(arena)
  expect(finished).toMatchObject({ state: 'FINISHED', failures: [...failed.failures, { generation: 5 }] })
  expect(finished).not.toHaveProperty('failure')
  const text = await arena.status()
  expect(text).toMatch(/ generation 1: operator "keyed" failed: cannot take a2\.30\n/)
  expect(text).toMatch(/ generation 5: operator "keyed" failed: stumbles at a2\.60\n/)
  expect(await expectComplete(arena)).toBe(FACTS)
})
