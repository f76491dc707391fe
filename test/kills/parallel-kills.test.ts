/**
 * A job of many subtasks, killed before and after every outside effect of one cycle, of its end and of the recovery that follows, which goes
 * on at another parallelism each time (F1-F6, F11, F12, F23, F24, F30). CI takes a sample; SLUICE_KILLS=all every effect.
 */
import { expect, test } from 'vitest'
import { Consumer } from './consumer.ts'
import { inPairs, IS_LONG, LOG, sampled, tell, type Arena, type Strike } from './harness.ts'
import { FACTS } from './parallel-input.ts'
import { at, expectComplete, expectPrefix, PARALLEL_REPLAY, PARALLEL_SINKS, parallelArena } from './parallel-truth.ts'
import { sinceEntry, type Run } from './run.ts'

const MOMENTS = ['before', 'after'] as const
const TIMEOUT = { timeout: IS_LONG ? 3_600_000 : 240_000 }
const job = 'parallel'
const ENTRY = `link ${LOG}/`
const OPENS_A_PART = `open (${PARALLEL_SINKS.join('|')})/\\.`

let facts = 0
let fired = 0

async function rescaled(arena: Arena, parallelism: number): Promise<void> {
  await arena.run(0, { job, flags: at(parallelism), settings: PARALLEL_REPLAY })
  facts += await expectComplete(arena)
}

/** Killed there, if it gets there. */
async function runOnce(arena: Arena, parallelism: number, strike: Strike, settings = {}): Promise<void> {
  const run = arena.start({ job, flags: at(parallelism), strikes: [strike], settings })
  const { code, signal } = await run.ended
  if (signal !== 'SIGKILL' && code !== 0) throw new Error(`it ended with ${code}: ${run.said.slice(-2_000)}`)
  if (signal === 'SIGKILL') fired += 1
  facts += expectPrefix(arena)
}

interface Point {
  readonly parallelism: number
  readonly nth: number
  readonly moment: 'before' | 'after'
}

/** Every effect of one cycle in the middle, and from the last one on to the end. */
async function pointsAt(parallelism: number): Promise<readonly Point[]> {
  using arena = parallelArena()
  const { effects } = await arena.run(0, { job, flags: at(parallelism) })
  const entries = effects.flatMap((effect, index) => (effect.startsWith(ENTRY) ? [index + 1] : []))
  const [from = 0, to = 0] = entries.slice(3)
  const last = entries.at(-4) ?? 0
  expect(to - from).toBeGreaterThan(40)
  return effects.flatMap((_, index) => {
    const nth = index + 1
    const isMeant = (nth > from && nth <= to) || nth > last
    return isMeant ? MOMENTS.map((moment) => ({ parallelism, nth, moment })) : []
  })
}

test(
  'killed at any effect of a cycle and of its end, and again wherever, its output is exact (F23, F24)',
  TIMEOUT,
  async () => {
    const all = await pointsAt(3)
    const others = [await pointsAt(2), await pointsAt(5)]
    const points = [...sampled(all, 4), ...others.flatMap((some) => (IS_LONG ? every(some, 8) : sampled(some, 2)))]
    const before = { facts, fired }
    await inPairs(points, async ({ parallelism, nth, moment }) => {
      using arena = parallelArena()
      await runOnce(arena, parallelism, { nth, moment, how: 'KILL' })
      // Somewhere in the recovery or behind it, at another parallelism: another place for each point.
      const next = 1 + ((parallelism + nth) % 5)
      await runOnce(arena, next, { nth: 100 + ((nth * 7) % 300), moment, how: 'KILL' }, PARALLEL_REPLAY)
      await rescaled(arena, 1 + ((nth * 3) % 5))
    })
    tell('killed at any effect, many subtasks', {
      points: points.length,
      of: all.length,
      'kills fired': fired - before.fired,
      facts: facts - before.facts,
    })
    expect(all.length).toBeGreaterThan(300)
    expect(fired - before.fired).toBeGreaterThan(points.length * 1.4)
    expect(facts - before.facts).toBeGreaterThanOrEqual(points.length * FACTS)
  },
)

test(
  'killed at any effect under a consumer that takes visible files of all subtasks at once, none comes twice (F33)',
  TIMEOUT,
  async () => {
    const points = IS_LONG ? every(await pointsAt(3), 4) : sampled(await pointsAt(3), 3)
    const before = { facts, fired }
    await inPairs(points, async ({ parallelism, nth, moment }) => {
      using arena = parallelArena()
      using consumer = new Consumer(arena, PARALLEL_SINKS)
      for (const [subtasks, where] of [
        [parallelism, nth],
        [1 + (nth % 5), 100 + ((nth * 11) % 300)],
      ] as const) {
        const run = arena.start({ job, flags: at(subtasks), strikes: [{ nth: where, moment, how: 'KILL' }] })
        if ((await run.ended).signal === 'SIGKILL') fired += 1
      }
      await arena.run(0, { job, flags: at(2), settings: PARALLEL_REPLAY })
      consumer.take()
      expect(consumer.twice).toEqual([])
      facts += await expectComplete(arena, { taken: 'taken' })
    })
    tell('many subtasks under a greedy consumer', {
      points: points.length,
      'kills fired': fired - before.fired,
      facts: facts - before.facts,
    })
    expect(fired - before.fired).toBeGreaterThan(points.length * 1.2)
    expect(facts - before.facts).toBe(points.length * FACTS)
  },
)

interface Crash {
  readonly from: number
  readonly to: number
  readonly strike: Strike
  readonly settings?: Readonly<Record<string, number>>
}

/** All input in one epoch: the second checkpoint is the last. */
const SHORT = { BATCHES: 1_000, INTERVAL_MS: 60_000 }

/** Where the first run dies, and at what parallelism the recovery is tried: each leaves another kind of work to it. */
const CRASHES: Readonly<Record<string, Crash>> = {
  'some subtasks prepared': { from: 3, to: 5, strike: kill('link ordered/.*--0001--.*keep', 2, 'after') },
  'blobs written, entry not': { from: 2, to: 4, strike: kill(ENTRY, 6) },
  'entry written, nothing committed': { from: 5, to: 2, strike: kill('rename [a-z-]+/part', 12) },
  'some sinks committed, others not': { from: 4, to: 3, strike: kill('rename ordered/part', 5, 'after') },
  'the end completed, nothing of it committed (F24)': {
    from: 3,
    to: 2,
    strike: kill(ENTRY, 3, 'after'),
    settings: SHORT,
  },
}

test(
  'killed at any effect of a recovery at another parallelism, five times in a row, its output is exact (F11, F23)',
  TIMEOUT,
  async () => {
    const before = { facts, fired }
    let points = 0
    const crashes = Object.values(CRASHES)
    for (const [index, crash] of crashes.entries()) {
      const recovery = await recoveryAfter(crash)
      const first = recovery.findIndex((effect) => effect.startsWith(`open ${LOG}/`))
      expect(recovery.length - first).toBeGreaterThan(10)
      const all = recovery.flatMap((_, index) =>
        index <= first ? [] : MOMENTS.map((moment) => ({ nth: index + 1, moment })),
      )
      // What is after one effect is before the next, but for those that run side by side.
      const place = 2 * Math.floor((all.length * (index + 0.5)) / (2 * crashes.length)) + (index % 2)
      const some = IS_LONG
        ? all.filter(({ nth, moment }) => moment === 'before' || nth % 5 === 0)
        : all.slice(place, place + 1)
      points += some.length
      await inPairs(some, async ({ nth, moment }) => {
        using arena = parallelArena()
        await crashed(arena, crash)
        const times = moment === 'before' && (!IS_LONG || nth % 5 === 0) ? 5 : 1
        for (let time = 0; time < times; time += 1)
          await runOnce(arena, 1 + ((crash.to + time) % 6), { nth, moment, how: 'KILL' }, PARALLEL_REPLAY)
        await rescaled(arena, crash.to)
      })
    }
    tell('killed at any effect of a rescaled recovery', {
      points,
      'kills fired': fired - before.fired,
      facts: facts - before.facts,
    })
    expect(fired - before.fired).toBeGreaterThanOrEqual(points)
    expect(facts - before.facts).toBeGreaterThan(points * FACTS)
  },
)

interface Row {
  readonly strike?: Strike
  readonly settings?: Readonly<Record<string, number | string>>
  /** What the crash must have left, and not done. */
  readonly check: (arena: Arena, run: Run) => void
}

/** One of three subtasks. */
const ROWS: Readonly<Record<string, Row>> = {
  'F1: while processing, before any barrier': {
    // All that may be read between two checkpoints is read long before the next one.
    settings: { INTERVAL_MS: 1_000, DIES_AT: 'a2.20' },
    check: (_arena, run) => expect(sinceEntry(run, /^fsync [a-z-]+\/.*part/)).toEqual([]),
  },
  'F2: sources have sent the barrier, no task behind an exchange has aligned': {
    strike: kill('fsync direct/.*part', 7),
    check: (_arena, run) => expect(sinceEntry(run, /^(fsync (?!direct)[a-z-]+\/.*part|link .*keep)/)).toEqual([]),
  },
  'F3: in the middle of a snapshot write of one subtask': {
    strike: kill('write .sluice/kills/blob/.*~', 9, 'after'),
    check: (arena) => expect(blobs(arena).filter((name) => name.startsWith('~')).length).toBeGreaterThan(0),
  },
  'F4: a sink prepared, acknowledgement not sent': {
    strike: kill('link plain/.*keep', 4, 'after'),
    check: (arena) => expect(partsOf(arena, 'plain').length).toBeGreaterThan(0),
  },
  'F5: one subtask of a sink prepared, others not': {
    strike: kill('link ordered/.*--0001--.*keep', 2),
    check: (_arena, run) => expect(sinceEntry(run, /^link ordered\/.*keep/).length).toBeLessThanOrEqual(3),
  },
  'F6: all acknowledged, entry not written': {
    strike: kill(ENTRY, 6),
    check: (_arena, run) => expect(sinceEntry(run, /^link .*keep/).length).toBeGreaterThan(0),
  },
}

const TRIES = 4

/** Subtasks race: where a run had come to another moment than the row is about, another one is struck. */
async function crashedAt(row: Row): Promise<Arena> {
  const strikes = row.strike === undefined ? [] : [row.strike]
  for (let tries = 1; ; tries += 1) {
    const arena = parallelArena()
    try {
      row.check(arena, await arena.run(null, { job, flags: at(3), strikes, settings: row.settings ?? {} }))
      return arena
    } catch (error) {
      arena[Symbol.dispose]()
      if (tries === TRIES) throw error
    }
  }
}

test.each(Object.entries(ROWS))(
  '%s, at parallelism 3: another parallelism gives exactly what is missing',
  async (_name, row) => {
    using arena = await crashedAt(row)
    fired += 1
    facts += expectPrefix(arena)
    const to = 1 + ((row.strike?.nth ?? 4) % 5)
    await runOnce(arena, to, kill(OPENS_A_PART, 1))
    expect(PARALLEL_SINKS.flatMap((sink) => partsOf(arena, sink))).toEqual([])
    expect(arena.isDue).toBe(false)
    await rescaled(arena, to)
    expect(arena.unnamedBlobs()).toEqual([])
  },
)

const DECLINED: Readonly<Record<string, readonly Strike[]>> = {
  'cannot be stored': [{ match: 'rename .sluice/kills/blob/', nth: 8, times: 2, how: 'ENOSPC' }],
  'cannot be stored, twice in a row': [
    { match: 'write .sluice/kills/blob/', nth: 8, how: 'EIO' },
    { match: 'fsync .sluice/kills/blob/.*~', nth: 9, times: 2, how: 'EDQUOT' },
  ],
}

test.each(Object.entries(DECLINED))(
  'the snapshot of one subtask %s: the next checkpoint holds what that one did not, at another parallelism too (F12, F30)',
  async (_name, faults) => {
    using arena = parallelArena()
    const settings = { TOLERATED: 50 }
    const run = await arena.run(null, { job, flags: at(3), strikes: [...faults, kill(ENTRY, 7, 'after')], settings })
    expect(run.said).toMatch(/checkpoint \d+ declined/)
    expect(run.events('restarting')).toEqual([])
    expect(run.struck.length).toBeGreaterThanOrEqual(faults.length + 1)
    fired += run.struck.length
    facts += expectPrefix(arena)
    await rescaled(arena, 5)
  },
)

test('a subtask that answers too late: the checkpoint is abandoned, and nothing of it is missing at another parallelism (F12, F30)', async () => {
  using arena = parallelArena()
  const run = await arena.run(null, {
    job,
    flags: at(3),
    settings: { TIMEOUT_MS: 60, TOLERATED: 50 },
    strikes: [
      ...[8, 9, 15].map((nth): Strike => ({ match: 'rename .sluice/kills/blob/', nth, how: 'SLOW' })),
      kill(ENTRY, 7, 'after'),
    ],
  })
  expect(run.said).toMatch(/checkpoint \d+ not acknowledged within 60 ms/)
  fired += run.struck.length
  facts += expectPrefix(arena)
  await rescaled(arena, 2)
})

test('what was to strike has struck', () => {
  tell('many subtasks in all', { 'kills and faults fired': fired, facts })
  expect(fired).toBeGreaterThan(Object.keys(ROWS).length * 2 + 24)
  expect(facts).toBeGreaterThan((Object.keys(ROWS).length + 3 + 8 + 3 + 5) * FACTS)
})

function kill(match: string, nth: number, moment: 'before' | 'after' = 'before'): Strike {
  return { match, nth, moment, how: 'KILL' }
}

/** One of `distance` each. */
function every<T>(all: readonly T[], distance: number): readonly T[] {
  return all.filter((_, index) => index % distance === 0)
}

async function crashed(arena: Arena, { from, strike, settings = {} }: Crash): Promise<void> {
  await arena.run(null, { job, flags: at(from), strikes: [strike], settings })
}

/** The effects of a start after that crash, up to its first completed checkpoint. */
async function recoveryAfter(crash: Crash): Promise<readonly string[]> {
  using arena = parallelArena()
  await crashed(arena, crash)
  const { effects } = await arena.run(0, { job, flags: at(crash.to), settings: PARALLEL_REPLAY })
  const entries = effects.flatMap((effect, index) => (effect.startsWith(ENTRY) ? [index] : []))
  return effects.slice(0, entries[2] ?? effects.length)
}

function blobs(arena: Arena): readonly string[] {
  return arena.names('.sluice/kills/blob/00000001')
}

function partsOf(arena: Arena, sink: string): readonly string[] {
  return arena.hidden(sink).filter((name) => name.endsWith('.part'))
}
