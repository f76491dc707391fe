/**
 * The parallel job in worker processes whose command is killed or stopped at an exact effect of its own, or whose workers outlive it asleep;
 * the next run has other workers and another parallelism (F6-F9, F14, F22, F23, F24, F34). CI takes a sample; SLUICE_KILLS=all every effect.
 */
import { expect, test } from 'vitest'
import { inPairs, IS_LONG, LOG, sampled, tell, type Arena, type Strike } from './harness.ts'
import { FACTS } from './parallel-input.ts'
import {
  endsIn,
  expectComplete,
  expectPrefix,
  PARALLEL_REPLAY,
  PARALLEL_SINKS,
  parallelArena,
  waitingOf,
} from './parallel-truth.ts'
import { until } from './run.ts'
import {
  ENTRY,
  FIRST,
  inWorkers,
  job,
  kill,
  OPENS_A_PART,
  partsOf,
  points,
  remaining,
  sleepingAt,
  struckIn,
  untilGone,
} from './worker-points.ts'

const TIMEOUT = { timeout: IS_LONG ? 3_600_000 : 240_000 }

let facts = 0
let fired = 0

/** Others count meanwhile: `facts += await` would forget what they did. */
function counted(some: number): void {
  facts += some
}

/** Another number of workers, in one process too, and another parallelism for each point. */
function others(nth: number): readonly string[] {
  return inWorkers([3, 1, 2, 0][nth % 4] ?? 1, 1 + ((nth * 3) % 5))
}

test(
  'a command killed at any effect of its own leaves no worker behind, and the next one with other workers and another parallelism is exact (F23)',
  TIMEOUT,
  async () => {
    const some = sampled((await points()).ofCommand, 3)
    const before = { facts, fired }
    let latestMs = 0
    await inPairs(some, async ({ in: who, nth, moment }) => {
      using arena = parallelArena()
      const run = arena.start({ job, flags: FIRST, strikes: [{ in: who, nth, moment, how: 'KILL' }] })
      await run.exited
      expect(run.workers).toHaveLength(2)
      // The next one comes while they end, or after it.
      if (nth % 2 === 0) latestMs = Math.max(latestMs, await untilGone(run))
      facts += expectPrefix(arena)
      const where: Strike = { in: 'command', nth: 20 + ((nth * 7) % 120), moment, how: 'KILL' }
      const next = arena.start({ job, flags: others(nth), strikes: [where], settings: PARALLEL_REPLAY })
      await next.ended
      fired += struckIn(run).length + struckIn(next).length
      facts += expectPrefix(arena)
      await untilGone(run)
      await untilGone(next)
      const last = await arena.run(0, { job, flags: others(nth + 1), settings: PARALLEL_REPLAY })
      expect(remaining(last)).toEqual([])
      counted(await expectComplete(arena))
      expect(arena.unnamedBlobs()).toEqual([])
    })
    tell('commands killed at any effect', {
      points: some.length,
      'kills fired': fired - before.fired,
      'ms until workers were gone, at most': Math.round(latestMs),
      facts: facts - before.facts,
    })
    expect(fired - before.fired).toBeGreaterThan(some.length * 1.4)
    expect(facts - before.facts).toBeGreaterThanOrEqual(some.length * FACTS)
  },
)

interface Crash {
  readonly strike: Strike
  /** Are there commits left to the next run? */
  readonly isDue: boolean
}

const CRASHES: Readonly<Record<string, Crash>> = {
  'F6: all workers have acknowledged, the entry is not written': { strike: kill('command', ENTRY, 6), isDue: false },
  'F7, F8: the entry is written, nothing is committed': { strike: kill('command', ENTRY, 6, 'after'), isDue: true },
  'F9: some subtasks of a sink are committed, others not': {
    strike: kill('command', 'rename ordered/part', 4, 'after'),
    isDue: true,
  },
}

test.each(Object.entries(CRASHES))(
  '%s, the command is killed: what is due is visible before a worker of the next one opens a part',
  async (_name, { strike, isDue }) => {
    using arena = parallelArena()
    const run = await arena.run(null, { job, flags: FIRST, strikes: [strike] })
    fired += struckIn(run).length
    const entries = run.together.flatMap((line, index) => (line.startsWith(ENTRY) ? [index] : []))
    const epoch = run.together.slice(entries.at(-2), entries.at(-1))
    for (const worker of [0, 1])
      expect(epoch.filter((line) => line.startsWith(`${worker}> link ordered/`)).length).toBeGreaterThan(0)
    const visible = visibleOf(arena)
    facts += expectPrefix(arena)
    const next = await arena.run(0, { job, flags: inWorkers(3, 4), settings: PARALLEL_REPLAY })
    const opens = next.together.findIndex((line) => /^\d> open [a-z-]+\/\./.test(line))
    const commits = next.together.findLastIndex((line) => /^rename [a-z-]+\/part-00000001-/.test(line))
    expect(commits).toBeLessThan(opens)
    // What the first run prepared and nothing completed is never seen.
    const added = visibleOf(arena).filter((name) => name.startsWith('part-00000001-') && !visible.includes(name))
    expect(added.length > 0).toBe(isDue)
    counted(await expectComplete(arena))
  },
)

function visibleOf(arena: Arena): readonly string[] {
  return PARALLEL_SINKS.flatMap((sink) => arena.names(sink)).filter((name) => !name.startsWith('.'))
}

test(
  'a worker stopped at any effect that outlives its command and wakes beside or behind the next one changes nothing and exits (F14)',
  TIMEOUT,
  async () => {
    const some = sleepingAt((await points()).ofWorkers, 4, 3).map((point, index) => ({
      point,
      isBeside: index % 2 === 0,
    }))
    let woken = 0
    let beside = 0
    let effects = 0
    const before = facts
    await inPairs(some, async ({ point, isBeside }) => {
      using arena = parallelArena()
      const victim = Number(point.in)
      const old = arena.start({ job, flags: FIRST, strikes: [{ ...point, how: 'STOP' }] })
      if (!(await old.untilWorkerStopped(victim))) return
      old.child.kill('SIGKILL')
      await old.exited
      await untilGone(old, victim)
      const strike: Strike = { in: 'command', nth: 30 + ((point.nth * 13) % 120), how: 'STOP' }
      const strikes = isBeside ? [strike] : []
      const next = arena.start({ job, flags: others(point.nth), settings: PARALLEL_REPLAY, strikes })
      if (await next.untilStopped()) beside += 1
      else counted(await expectComplete(arena))
      const done = old.worker(victim).effects.length
      old.wakeWorker(victim)
      await untilGone(old)
      effects += old.worker(victim).effects.length - done
      woken += 1
      facts += expectPrefix(arena)
      if (next.isStopped) next.wake()
      await next.expectCode(0)
      // What it did as it woke is hidden, if anything.
      counted(await expectComplete(arena, { fenced: 1 }))
    })
    tell('workers that outlived their command', {
      points: some.length,
      woken,
      'beside the next one': beside,
      'effects after waking': effects,
      facts: facts - before,
    })
    fired += woken + beside
    expect(woken).toBeGreaterThanOrEqual(some.length * 0.75)
    expect(beside).toBeGreaterThanOrEqual(some.length * 0.25)
    expect(facts - before).toBeGreaterThanOrEqual(woken * FACTS)
  },
)

test(
  'a command stopped at any effect while its workers live, taken over with other workers and woken: changes nothing and exits, they too (F14)',
  TIMEOUT,
  async () => {
    const some = sleepingAt((await points()).ofCommand, 2, 3)
    let stopped = 0
    const before = facts
    await inPairs(some, async (point) => {
      using arena = parallelArena()
      const old = arena.start({ job, flags: FIRST, strikes: [{ ...point, how: 'STOP' }] })
      if (!(await old.untilStopped())) return
      stopped += 1
      const isHeld = arena.newest().kind !== 'ended'
      const flags = [...others(point.nth), '--take-over']
      await arena.run(0, { job, flags, settings: PARALLEL_REPLAY })
      counted(await expectComplete(arena, { fenced: 1 }))
      old.wake()
      const { code } = await old.ended
      expect(code === 3 || (!isHeld && code === 0)).toBe(true)
      await untilGone(old)
      counted(await expectComplete(arena, { fenced: 1 }))
    })
    tell('commands stopped with their workers', { points: some.length, stopped, facts: facts - before })
    fired += stopped
    expect(stopped).toBeGreaterThanOrEqual(some.length * 0.75)
    expect(facts - before).toBe(stopped * 2 * FACTS)
  },
)

test('edited while nothing runs: refused by its workers’ command until a loss is named, nothing written, no worker left (F22)', async () => {
  using arena = parallelArena()
  await arena.run(null, { job, flags: FIRST, strikes: [kill('command', 'rename ordered/part', 6)] })
  const waiting = await waitingOf(arena)
  expect(waiting.length).toBeGreaterThan(0)
  const before = namesOf(arena)
  const settings = { ...PARALLEL_REPLAY, EDIT: 'removed operator' }
  const refused = await arena.run(2, { job, flags: inWorkers(3, 2), settings })
  expect(refused.said).toMatch(/operator \\"held\\" is gone, but the checkpoint holds its state.*--drop held/)
  expect(namesOf(arena)).toEqual(before)
  expect(remaining(refused)).toEqual([])
  await arena.run(0, { job, flags: [...inWorkers(3, 2), '--drop', 'held'], settings })
  counted(await expectComplete(arena, { lost: waiting }))
  fired += 1
})

function namesOf(arena: Arena): readonly (readonly string[])[] {
  return [arena.names(LOG), ...PARALLEL_SINKS.map((sink) => arena.names(sink))]
}

/** Some while neither has ended, some between the two ends, some at the second. */
const AROUND_ENDS: readonly Strike[] = (['before', 'after'] as const).flatMap((moment) => [
  ...[4, 5, 6, 7, 12].map((nth) => kill(0, 'link joined/.*keep', nth, moment)),
  ...[3, 4, 5, 6, 7, 10].map((nth) => kill(1, 'link ordered/.*keep', nth, moment)),
  ...[8, 11, 14, 17].map((nth) => kill(1, 'rename .sluice/kills/blob/', nth, moment)),
  ...[6, 7, 8, 9, 10, 11, 12].map((nth) => kill('command', ENTRY, nth, moment)),
])
const SOME_ENDS: readonly Strike[] = [
  kill(1, 'link ordered/.*keep', 4, 'after'),
  kill(0, 'link joined/.*keep', 7),
  kill('command', ENTRY, 9, 'after'),
  kill('command', ENTRY, 11),
]

test(
  'two inputs that end far apart, a worker or the command killed around either end: closing output once, and then it is finished (F24)',
  TIMEOUT,
  async () => {
    const strikes = IS_LONG ? AROUND_ENDS : SOME_ENDS
    const before = { facts, fired }
    let betweenEnds = 0
    await inPairs(strikes, async (strike) => {
      using arena = parallelArena()
      const run = arena.start({ job, flags: FIRST, strikes: [strike], settings: { BLOCK: 130 } })
      let isOver = false
      void run.ended.then(() => {
        isOver = true
      })
      await until(() => isOver || struckIn(run).length > 0, 'the strike')
      const ends = endsIn(arena)
      if (ends?.b === true && !ends.a) betweenEnds += 1
      const { signal } = await run.ended
      fired += struckIn(run).length
      facts += expectPrefix(arena)
      expect(signal).toBe(strike.in === 'command' && struckIn(run).length > 0 ? 'SIGKILL' : null)
      await arena.run(0, { job, flags: others(strike.nth ?? 0), settings: PARALLEL_REPLAY })
      counted(await expectComplete(arena))
      const entries = arena.names(LOG)
      const again = await arena.run(0, { job, flags: inWorkers(2, 4) })
      expect(again.events('ended')).toMatchObject([{ state: 'ALREADY_FINISHED' }])
      expect(arena.names(LOG)).toEqual(entries)
      expect(remaining(again)).toEqual([])
    })
    tell('ends far apart, in workers', {
      points: strikes.length,
      'kills fired': fired - before.fired,
      'between the ends': betweenEnds,
      facts: facts - before.facts,
    })
    expect(fired - before.fired).toBeGreaterThanOrEqual(strikes.length * 0.7)
    expect(betweenEnds).toBeGreaterThanOrEqual(1)
    expect(facts - before.facts).toBeGreaterThanOrEqual(strikes.length * FACTS)
  },
)

/** Of the second run, subtask 4 in worker 1 of three. The command dies there, or when that worker is stopped there. */
const DEATHS: Readonly<Record<string, Strike>> = {
  'before its entry': kill('command', ENTRY, 3),
  'while a worker writes': { in: 1, match: 'write .*--0004--', nth: 1, moment: 'after', how: 'STOP' },
  'when a worker has prepared': { in: 1, match: 'link .*--0004--.*keep', nth: 1, moment: 'after', how: 'STOP' },
}

test.each(Object.entries(DEATHS))(
  'parallelism 3 in two workers, then 5 in three killed %s, then 1: nothing of subtasks 3 and 4 is left outside (F34)',
  async (_name, strike) => {
    using arena = parallelArena()
    await arena.run(null, { job, flags: FIRST, strikes: [kill('command', 'rename ordered/part', 3)] })
    const completed = arena.newest().retained.at(-1)?.checkpoint
    const second = arena.start({
      job,
      flags: inWorkers(3, 5),
      strikes: [strike, kill('command', ENTRY, 3)],
      settings: { BLOCK: 100, JOINED: 5 },
    })
    const isStopped = strike.how === 'STOP' && (await second.untilWorkerStopped(1))
    expect(isStopped).toBe(strike.how === 'STOP')
    if (isStopped) second.child.kill('SIGKILL')
    await second.exited
    // Nothing of it happens any more.
    for (const { pid, isStopped } of second.workers) if (isStopped && pid !== undefined) process.kill(pid, 'SIGKILL')
    await untilGone(second)
    expect(arena.newest().retained.at(-1)?.checkpoint).toBe(completed)
    const left = partsOf(arena).filter((name) => /--000[34]--/.test(name))
    expect(left.length).toBeGreaterThan(0)
    facts += expectPrefix(arena)
    const third = arena.start({
      job,
      flags: inWorkers(1, 1),
      strikes: [{ in: 0, match: OPENS_A_PART, how: 'STOP' }],
      settings: PARALLEL_REPLAY,
    })
    expect(await third.untilWorkerStopped(0)).toBe(true)
    expect(partsOf(arena)).toEqual([])
    facts += expectPrefix(arena)
    third.wakeWorker(0)
    await third.expectCode(0)
    fired += 3
    counted(await expectComplete(arena))
    tell('subtasks of workers that are no more', { left: left.length })
  },
)

test('what was to strike has struck', () => {
  tell('commands with workers in all', { 'strikes fired': fired, facts })
  expect(fired).toBeGreaterThan(5 + 3 + 5 + 2 + 1 + 3 + 3 * 3 - 2)
  expect(facts).toBeGreaterThan((3 + 3 + 4 + 2 + 1 + 4 + 3) * FACTS)
})
