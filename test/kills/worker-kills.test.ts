/**
 * The parallel job in worker processes, one of which is killed or stopped at an exact effect of its own: the command goes on, and its output
 * is exact (F2, F3, F5, F12, F14, F24, F30). CI takes a sample; SLUICE_KILLS=all every effect.
 */
import { expect, test } from 'vitest'
import { inPairs, IS_LONG, sampled, tell, type Strike } from './harness.ts'
import { FACTS } from './parallel-input.ts'
import { expectComplete, expectPrefix, PARALLEL_REPLAY, parallelArena } from './parallel-truth.ts'
import type { Run } from './run.ts'
import {
  ENTRY,
  FIRST,
  inWorkers,
  job,
  kill,
  OPENS_A_PART,
  points,
  sleepingAt,
  struckIn,
  survived,
  togetherSinceEntry,
} from './worker-points.ts'

const TIMEOUT = { timeout: IS_LONG ? 3_600_000 : 240_000 }

let facts = 0
let fired = 0

/** Others count meanwhile: `facts += await` would forget what they did. */
function counted(some: number): void {
  facts += some
}

test(
  'a worker killed at any effect of a cycle and of its end, and whoever takes its place again: the command goes on, its output is exact (F24)',
  TIMEOUT,
  async () => {
    const some = sampled((await points()).ofWorkers, 3)
    const before = { facts, fired }
    let restarts = 0
    await inPairs(some, async (point) => {
      using arena = parallelArena()
      // The third process takes the place of the first that dies, and dies somewhere else for each point.
      const strikes: readonly Strike[] = [
        { ...point, how: 'KILL' },
        { in: 2, nth: 20 + ((point.nth * 7) % 150), moment: point.moment, how: 'KILL' },
      ]
      const run = await survived(arena, { flags: FIRST, strikes })
      fired += struckIn(run).length
      restarts += run.events('restarting').length
      counted(await expectComplete(arena))
      expect(arena.unnamedBlobs()).toEqual([])
    })
    tell('workers killed at any effect', {
      points: some.length,
      'kills fired': fired - before.fired,
      restarts,
      facts: facts - before.facts,
    })
    expect(fired - before.fired).toBeGreaterThanOrEqual(some.length)
    expect(restarts).toBeGreaterThanOrEqual(some.length)
    expect(facts - before.facts).toBe(some.length * FACTS)
  },
)

interface Row {
  readonly strikes: readonly Strike[]
  /** What had been done when it died, and what had not. */
  readonly check: (sinceEntry: readonly string[], run: Run) => void
}

const ROWS: Readonly<Record<string, Row>> = {
  'F3: in the middle of a snapshot write': {
    strikes: [kill(1, 'write .sluice/kills/blob/.*~', 5, 'after')],
    check: (since) => expect(of(since, /^1> write .*~/).length).toBeGreaterThan(of(since, /^1> rename .*blob/).length),
  },
  'F5: its subtask of a sink has not prepared, others have': {
    strikes: [kill(1, 'link ordered/.*keep', 3)],
    check: (since) => {
      // The effect that it dies at is noted, and not done.
      expect(of(since, /^1> link ordered\/.*keep/)).toHaveLength(1)
      expect(of(since, /^\d> link .*keep/).length).toBeGreaterThan(1)
    },
  },
  'F30: its snapshot is stored, those of others are not used; the next checkpoint completes': {
    strikes: [kill(1, 'rename .sluice/kills/blob/', 6, 'after')],
    check: (since) => expect(of(since, /^1> rename .*blob/).length).toBeGreaterThan(0),
  },
}

function of(lines: readonly string[], pattern: RegExp): readonly string[] {
  return lines.filter((line) => pattern.test(line))
}

/** Of the trace, up to the strike. */
function sinceEntryBefore(run: Run, worker: number): readonly string[] {
  const struckAt = run.together.lastIndexOf(`${worker}> ${run.worker(worker).effects.at(-1)}`)
  const until = run.together.slice(0, struckAt + 1)
  return until.slice(until.findLastIndex((line) => line.startsWith(ENTRY)) + 1)
}

test.each(Object.entries(ROWS))(
  '%s, a worker is killed: the command goes on, and after its own death another number of workers',
  async (_name, { strikes, check }) => {
    using arena = parallelArena()
    const run = await arena.run(null, {
      job,
      flags: FIRST,
      strikes: [...strikes, kill('command', ENTRY, 8, 'after')],
    })
    expect(run.worker(1).struck).toHaveLength(1)
    expect(run.events('restarting')).toHaveLength(1)
    check(sinceEntryBefore(run, 1), run)
    fired += struckIn(run).length
    facts += expectPrefix(arena)
    await arena.run(0, { job, flags: inWorkers(3, 5), settings: PARALLEL_REPLAY })
    counted(await expectComplete(arena))
    expect(arena.unnamedBlobs()).toEqual([])
  },
)

const DECLINED: Readonly<Record<string, { readonly faults: readonly Strike[]; readonly said: RegExp }>> = {
  'cannot store its snapshot': {
    faults: [{ in: 1, match: 'rename .sluice/kills/blob/', nth: 3, times: 2, how: 'ENOSPC' }],
    said: /checkpoint \d+ declined/,
  },
  'answers too late': {
    faults: [{ in: 1, match: 'rename .sluice/kills/blob/', nth: 3, slowMs: 2_500, how: 'SLOW' }],
    said: /checkpoint \d+ not acknowledged within 1500 ms/,
  },
}

test.each(Object.entries(DECLINED))(
  'a worker %s: the checkpoint is given up, the next one holds what it did not, in other workers too (F12, F30)',
  async (_name, { faults, said }) => {
    using arena = parallelArena()
    const run = await arena.run(null, {
      job,
      flags: FIRST,
      settings: { TOLERATED: 50, TIMEOUT_MS: 1_500 },
      strikes: [...faults, kill('command', ENTRY, 7, 'after')],
    })
    expect(run.said).toMatch(said)
    expect(run.events('restarting')).toEqual([])
    expect(run.workers.flatMap(({ struck }) => struck).length).toBeGreaterThanOrEqual(1)
    fired += struckIn(run).length
    facts += expectPrefix(arena)
    await arena.run(0, { job, flags: inWorkers(3, 5), settings: PARALLEL_REPLAY })
    counted(await expectComplete(arena))
    expect(arena.unnamedBlobs()).toEqual([])
  },
)

const SILENT = /^worker \d \(pid \d+\) said nothing for 5000 ms and was killed$/

/** With the silence that the command allows them, five seconds, for which nothing happens. */
test.concurrent(
  'a worker stopped at any effect is declared dead and replaced in the same command; it is gone when the next attempt runs (F14)',
  TIMEOUT,
  async () => {
    const some = sleepingAt((await points()).ofWorkers, 2, 7)
    let stopped = 0
    let compared = 0
    await inPairs(some, async (point) => {
      using arena = parallelArena()
      const victim = Number(point.in)
      const run = arena.start({ job, flags: FIRST, strikes: [{ ...point, how: 'STOP' }] })
      const isStopped = await run.untilWorkerStopped(victim)
      const done = run.worker(victim).effects
      await run.expectCode(0)
      if (isStopped) stopped += 1
      // One that dies when all is done fails nothing.
      const failures = run.events('restarting').map(({ failure }) => String(failure))
      expect(failures.length).toBeLessThanOrEqual(isStopped ? 1 : 0)
      expect(failures.filter((failure) => !SILENT.test(failure))).toEqual([])
      expect(run.worker(victim).isThere).toBe(false)
      expect(run.worker(victim).effects).toEqual(done)
      const seen = await expectComplete(arena)
      compared += seen
      expect(arena.unnamedBlobs()).toEqual([])
    })
    tell('workers stopped at any effect', { points: some.length, stopped, facts: compared })
    fired += stopped
    facts += compared
    expect(stopped).toBeGreaterThanOrEqual(some.length * 0.75)
    expect(compared).toBe(some.length * FACTS)
  },
)

test.concurrent('F2: sources of one worker have sent the barrier, those of the other never do: no half snapshot is read', async () => {
  using arena = parallelArena()
  // Before its records of this epoch are written it cannot have sent the barrier.
  const strikes: readonly Strike[] = [{ in: 0, match: 'open direct/\\..*--0002--', nth: 3, how: 'STOP' }]
  const run = arena.start({ job, flags: FIRST, strikes })
  expect(await run.untilWorkerStopped(0)).toBe(true)
  await expect.poll(() => togetherSinceEntry(run, /^1> link direct\/.*keep/).length, { timeout: 4_000 }).toBe(1)
  expect(togetherSinceEntry(run, /^\d> (link (?!direct)[a-z-]+\/.*keep|rename .*blob)/)).toEqual([])
  await run.expectCode(0)
  expect(run.events('restarting')).toHaveLength(1)
  fired += 1
  counted(await expectComplete(arena))
  expect(arena.unnamedBlobs()).toEqual([])
})

test('workers killed as they open their first part, again and again, are replaced again and again', async () => {
  using arena = parallelArena()
  const strikes = [1, 2, 3, 4].map((worker) => kill(worker, OPENS_A_PART, 1))
  const run = await survived(arena, { flags: FIRST, strikes })
  // Of the first two, the second dies; then each that takes a place.
  expect(run.events('restarting')).toHaveLength(4)
  expect(run.workers).toHaveLength(6)
  fired += struckIn(run).length
  counted(await expectComplete(arena))
})

test('what was to strike has struck', () => {
  tell('workers in all', { 'strikes fired': fired, facts })
  expect(fired).toBeGreaterThan(3 + 2 * 3 + 2 * 2 + 1 + 1 + 4 - 1)
  expect(facts).toBeGreaterThan((3 + 3 + 2 + 2 + 1 + 1) * FACTS)
})
