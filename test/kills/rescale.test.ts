/**
 * A job killed at one parallelism goes on at another (F23): the ten pairs that Flink tests, after a completed checkpoint, with commits that
 * are due, before the first checkpoint; and three parallelisms in a row, the second one killed before its first checkpoint (F34).
 */
import { expect, test } from 'vitest'
import { inPairs, IS_LONG, LOG, sampled, tell, type Arena, type Strike } from './harness.ts'
import { FACTS } from './parallel-input.ts'
import { at, expectComplete, expectPrefix, PARALLEL_REPLAY, PARALLEL_SINKS, parallelArena } from './parallel-truth.ts'

const TIMEOUT = { timeout: IS_LONG ? 1_800_000 : 240_000 }
const job = 'parallel'

const PAIRS = [
  [1, 2],
  [2, 3],
  [2, 5],
  [3, 5],
  [5, 6],
  [6, 5],
  [5, 2],
  [5, 3],
  [3, 2],
  [2, 1],
] as const

test(
  'a run without faults gives the same at any parallelism, and a second one at another says that it is finished',
  TIMEOUT,
  async () => {
    const some = sampled([1, 2, 3, 4, 5, 6, 9], 2)
    let facts = 0
    await inPairs(some, async (parallelism) => {
      using arena = parallelArena()
      await arena.run(0, { job, flags: at(parallelism) })
      facts += await expectComplete(arena)
      const again = await arena.run(0, { job, flags: at(parallelism + 1) })
      expect(again.events('ended')).toMatchObject([{ state: 'ALREADY_FINISHED' }])
      expect(await expectComplete(arena)).toBe(FACTS)
    })
    tell('without faults', { runs: some.length, facts })
    expect(facts).toBe(some.length * FACTS)
  },
)

interface Moment {
  readonly strikes: readonly Strike[]
  readonly check: (arena: Arena) => void
}

const kill = (match: string, nth: number, moment: 'before' | 'after' = 'before'): Strike => ({
  match,
  nth,
  moment,
  how: 'KILL',
})

const MOMENTS: Readonly<Record<string, Moment>> = {
  'after a completed checkpoint': {
    strikes: [4, 6, 7].map((nth) => kill(`link ${LOG}/`, nth)),
    check: (arena) => expect(arena.newest().retained.length).toBeGreaterThan(1),
  },
  'between an entry and its commits': {
    strikes: [kill('rename direct/part', 2), kill('rename ordered/part', 3), kill('rename plain/part', 2, 'after')],
    check: (arena) => expect(arena.isDue).toBe(true),
  },
  'before the first checkpoint': {
    strikes: [kill(`link ${LOG}/`, 2), kill(`link ${LOG}/`, 1, 'after'), kill(`fsync ${LOG}/~`, 2)],
    check: (arena) => expect(arena.log().flatMap(({ retained }) => retained)).toEqual([]),
  },
}

const CASES = PAIRS.flatMap(([from, to], index) =>
  Object.entries(MOMENTS).flatMap(([name, { strikes, check }], moment) => {
    const strike = strikes[index % strikes.length]
    return strike === undefined ? [] : [{ from, to, name, strike, check, isSample: (index + moment) % 3 === 0 }]
  }),
)

test(
  'killed at one parallelism, output is exact at another, for ten pairs and three moments (F23)',
  TIMEOUT,
  async () => {
    const cases = IS_LONG ? CASES : CASES.filter(({ isSample }) => isSample)
    let fired = 0
    let facts = 0
    await inPairs(cases, async ({ from, to, strike, check }) => {
      using arena = parallelArena()
      await arena.run(null, { job, flags: at(from), strikes: [strike] })
      fired += 1
      facts += expectPrefix(arena)
      check(arena)
      // Stopped again before its first record: what was due is there from the log alone, all else of the old subtasks is gone (F8).
      const again = arena.start({ job, flags: at(to), strikes: [kill(OPENS_A_PART, 1)], settings: PARALLEL_REPLAY })
      if ((await again.ended).signal === 'SIGKILL') fired += 1
      facts += expectPrefix(arena)
      expect(arena.isDue).toBe(false)
      expect(partsOf(arena)).toEqual([])
      await arena.run(0, { job, flags: at(to), settings: PARALLEL_REPLAY })
      facts += await expectComplete(arena)
      expect(arena.unnamedBlobs()).toEqual([])
    })
    tell('rescaled', { cases: cases.length, of: CASES.length, 'kills fired': fired, facts })
    expect(cases.length).toBeGreaterThanOrEqual(10)
    expect(fired).toBe(cases.length * 2)
    expect(facts).toBeGreaterThanOrEqual(cases.length * FACTS)
  },
)

/** Into one of the sinks. */
const OPENS_A_PART = `open (${PARALLEL_SINKS.join('|')})/\\.`

test('through ever different parallelisms, killed at each, one life is exact (F23)', TIMEOUT, async () => {
  const lives = sampled([1, 2, 3, 4, 5, 6], 1)
  let fired = 0
  let facts = 0
  let rescales = 0
  await inPairs(lives, async (life) => {
    using arena = parallelArena()
    for (let generation = 1; generation < 6; generation += 1) {
      const parallelism = ((life * 5 + generation * 3) % 7) + 1
      const settings = { BLOCK: 120 + 30 * generation, BATCHES: 1 + (generation % 2), INTERVAL_MS: 5 + generation }
      const strike = kill(`link ${LOG}/`, 3 + ((life + generation) % 3), generation % 2 === 0 ? 'before' : 'after')
      const run = arena.start({ job, flags: at(parallelism), strikes: [strike], settings })
      if ((await run.ended).signal === 'SIGKILL') fired += 1
      rescales += 1
      facts += expectPrefix(arena)
    }
    await arena.run(0, { job, flags: at(life), settings: PARALLEL_REPLAY })
    facts += await expectComplete(arena)
  })
  tell('rescaled again and again', { lives: lives.length, rescales, 'kills fired': fired, facts })
  expect(fired).toBeGreaterThanOrEqual(lives.length * 4)
  expect(facts).toBeGreaterThanOrEqual(lives.length * FACTS)
})

test('stopped by a signal at one parallelism, it goes on at another, for ten pairs (F23, F25)', TIMEOUT, async () => {
  const steps = ['write direct/', `link ${LOG}/`, 'rename ordered/part', 'write .sluice/kills/blob/'] as const
  const pairs = sampled(
    PAIRS.map(([from, to], index) => ({ from, to, match: steps[index % steps.length] ?? '' })),
    3,
  )
  let fired = 0
  let facts = 0
  await inPairs(pairs, async ({ from, to, match }) => {
    using arena = parallelArena()
    const run = await arena.run(143, { job, flags: at(from), strikes: [{ match, nth: 5, how: 'TERM' }] })
    fired += run.struck.length
    // Clean: one last checkpoint, all of it committed, nothing hidden left.
    const newest = arena.newest()
    expect(newest).toMatchObject({ kind: 'ended', end: { state: 'STOPPED' }, unclean: [] })
    expect(newest.committedThrough).toBe(newest.retained.at(-1)?.checkpoint)
    expect(PARALLEL_SINKS.flatMap((sink) => arena.hidden(sink))).toEqual([])
    facts += expectPrefix(arena)
    await arena.run(0, { job, flags: at(to), settings: PARALLEL_REPLAY })
    facts += await expectComplete(arena)
  })
  tell('stopped and rescaled', { pairs: pairs.length, 'signals sent': fired, facts })
  expect(fired).toBe(pairs.length)
  expect(facts).toBeGreaterThanOrEqual(pairs.length * FACTS)
})

/** Parallelism and worker processes before and after; 0: all in one process. */
const MOVES = [
  { from: 3, to: 2, workers: [2, 0] },
  { from: 2, to: 5, workers: [0, 3] },
  { from: 5, to: 3, workers: [2, 3] },
] as const

test(
  'killed in one process or in several, it goes on in several or in one, at another parallelism (F23)',
  TIMEOUT,
  async () => {
    const moves = sampled(MOVES, 1)
    const flagsOf = (parallelism: number, workers: number): readonly string[] => [
      ...at(parallelism),
      ...(workers === 0 ? [] : ['--workers', String(workers)]),
    ]
    let facts = 0
    await inPairs(moves, async ({ from, to, workers: [before, after] }) => {
      using arena = parallelArena()
      await arena.run(null, { job, flags: flagsOf(from, before), strikes: [kill(`link ${LOG}/`, 5)] })
      facts += expectPrefix(arena)
      await arena.run(0, { job, flags: flagsOf(to, after), settings: PARALLEL_REPLAY })
      facts += await expectComplete(arena)
    })
    tell('moved between processes', { moves: moves.length, facts })
    expect(facts).toBeGreaterThanOrEqual(moves.length * FACTS)
  },
)

/** Where the second run dies: each time subtasks 3 and 4 have left something outside, and no checkpoint of theirs has completed. */
const DEATHS: Readonly<Record<string, Strike>> = {
  'while it writes': kill('write .*--0004--', 1, 'after'),
  'when a sink has prepared': kill('link .*--0004--.*keep', 1, 'after'),
  'when the last of them has prepared': kill('link .*--0004--.*keep', 3, 'after'),
  'before its entry': kill(`link ${LOG}/`, 3),
}

test.each(Object.entries(DEATHS))(
  'parallelism 3, then 5 killed %s, then 1: nothing of subtasks 3 and 4 is left outside (F34)',
  async (_name, strike) => {
    using arena = parallelArena()
    await arena.run(null, { job, flags: at(3), strikes: [kill('rename ordered/part', 3)] })
    const completed = arena.newest().retained.at(-1)?.checkpoint
    const strikes = [strike, kill(`link ${LOG}/`, 3)]
    await arena.run(null, { job, flags: at(5), strikes, settings: { BLOCK: 100, JOINED: 5 } })
    expect(arena.newest().retained.at(-1)?.checkpoint).toBe(completed)
    const left = partsOf(arena).filter((name) => /--000[34]--/.test(name))
    expect(left.length).toBeGreaterThan(0)
    let facts = expectPrefix(arena)
    await arena.run(null, { job, flags: at(1), strikes: [kill(OPENS_A_PART, 1)] })
    expect(partsOf(arena)).toEqual([])
    facts += expectPrefix(arena)
    await arena.run(0, { job, flags: at(1), settings: PARALLEL_REPLAY })
    facts += await expectComplete(arena)
    tell('subtasks that are no more', { left: left.length, facts })
    expect(facts).toBeGreaterThanOrEqual(FACTS)
  },
)

/** Prepared, or half written. The evidence of commits goes beside what follows them. */
function partsOf(arena: Arena): readonly string[] {
  return PARALLEL_SINKS.flatMap((sink) => arena.hidden(sink)).filter((name) => name.endsWith('.part'))
}
