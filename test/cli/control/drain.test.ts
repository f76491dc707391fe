/**
 * `sluice stop --drain` at real processes: all inputs end where they are, closing output comes once, and what is visible is exactly what
 * lies before those places. Killed in the middle of it the next run reads everything, unless the last checkpoint was complete.
 */
import { deepEqual, ok } from 'node:assert/strict'
import { afterAll, describe, expect, test } from 'vitest'
import { expectedCounts, expectedEvens, IS_LONG, SINKS } from '../../kills/harness.ts'
import { writeInput } from '../../kills/parallel-input.ts'
import {
  at,
  endsIn,
  expectComplete,
  expectPrefix,
  PARALLEL_REPLAY,
  PARALLEL_SINKS,
} from '../../kills/parallel-truth.ts'
import type { Run } from '../../kills/run.ts'
import { seeded } from '../../simulation/virtual-time.ts'
import { asked, AskedArena, completed, SocketPlace, STEADY, WAYS } from './asking.ts'

const DRAIN = ['stop', 'kills', '--drain'] as const
/** Lives of each kind. */
const LIVES = IS_LONG ? 40 : 2
const LATEST_KILL_MS = 400
const PARALLEL = { BLOCK: 70, BATCHES: 1, INTERVAL_MS: 150 }
const KINDS = [
  { name: 'one chain', flags: [], isParallel: false },
  { name: 'parallelism 3', flags: at(3), isParallel: true },
  { name: 'two workers', flags: [...at(2), '--workers', '2'], isParallel: true },
] as const

const place = new SocketPlace()
afterAll(() => place[Symbol.dispose]())

type Kind = (typeof KINDS)[number]

function arenaOf({ isParallel }: Kind): AskedArena {
  const arena = new AskedArena()
  if (isParallel) writeInput(arena.directory)
  return arena
}

function start(arena: AskedArena, { isParallel, flags }: Kind): Run {
  return arena.start({
    isTraced: false,
    flags,
    ...(isParallel ? { job: 'parallel', settings: PARALLEL } : { settings: STEADY }),
  })
}

/** The final checkpoint holds all there is; something of the input is left. */
function expectDrained(arena: AskedArena, { isParallel }: Kind): void {
  const { end, retained, committedThrough } = arena.newest()
  deepEqual(end, { state: 'FINISHED' })
  const last = retained.at(-1)
  deepEqual([last?.final, last?.checkpoint], [true, committedThrough])
  if (!isParallel) {
    const read =
      last === undefined ? 0 : arena.manifestOf(last).operators.flatMap((one) => one.splits ?? [])[0]?.position
    ok(typeof read === 'number' && read > 0 && read < expectedEvens().length * 2, `${String(read)} records are read`)
    deepEqual(arena.visible('counts'), [...expectedCounts().slice(0, read), expectedCounts().at(-1)])
    deepEqual(arena.visible('evens'), expectedEvens().slice(0, Math.ceil(read / 2)))
    for (const sink of SINKS) deepEqual(arena.hidden(sink), [])
    return
  }
  // What is completed and what is committed are the same, so a prefix is exact.
  expectPrefix(arena)
  deepEqual(endsIn(arena), { a: true, b: true })
  for (const sink of ['ordered', 'joined']) {
    deepEqual(arena.visible(sink).filter((line) => line.includes('the end')).length, 1, `closing output of ${sink}`)
  }
  for (const sink of PARALLEL_SINKS) deepEqual(arena.hidden(sink), [])
}

async function expectWhole(arena: AskedArena, kind: Kind): Promise<void> {
  if (!kind.isParallel) return void (await arena.finish())
  await arena.run(0, { isTraced: false, job: 'parallel', flags: at(2), settings: PARALLEL_REPLAY })
  await expectComplete(arena)
}

// Most of their time they wait.
describe.concurrent('a drain', () => {
  test.each(KINDS)('of $name ends the job where its inputs are; run again it has nothing to do', async (kind) => {
    using arena = arenaOf(kind)
    const run = start(arena, kind)
    await completed(run, 3)
    const way = WAYS[kind.flags.length % 2] ?? 'store'
    const said = await arena.hear(way, ...DRAIN)
    expect(said).toMatchObject({ event: 'drain', outcome: 'ended', state: 'FINISHED', via: way, exitCode: 0 })
    expect(said.checkpoint).toBe(arena.newest().retained.at(-1)?.checkpoint)
    await run.expectCode(0)
    expectDrained(arena, kind)
    const again = await arena.run(0, {
      isTraced: false,
      ...(kind.isParallel ? { job: 'parallel' } : {}),
      flags: kind.flags,
    })
    expect(again.events('ended')).toEqual([{ event: 'ended', state: 'ALREADY_FINISHED' }])
    expectDrained(arena, kind)
    expect(await arena.hear(way, ...DRAIN)).toMatchObject({ outcome: 'had-ended', state: 'FINISHED', exitCode: 0 })
  })

  test(
    'that is killed at random moments leaves a drained job or one that goes on, and either is exact (C2, C4)',
    { timeout: 600_000 },
    async () => {
      const random = seeded(20_261)
      const ended = { drained: 0, undrained: 0 }
      const lives = KINDS.flatMap((kind) =>
        Array.from({ length: LIVES }, () => ({ kind, killMs: random() * LATEST_KILL_MS })),
      )
      const live = async ({ kind, killMs }: (typeof lives)[number]): Promise<void> => {
        using arena = arenaOf(kind)
        const run = start(arena, kind)
        await completed(run, 2)
        const answer = arena.hear('socket', ...DRAIN)
        await asked(run)
        await new Promise((resolve) => {
          setTimeout(resolve, killMs)
        })
        run.child.kill('SIGKILL')
        await run.ended
        const said = await answer
        const isDrained = arena.newest().retained.at(-1)?.final === true
        ended[isDrained ? 'drained' : 'undrained'] += 1
        // It may have answered, or the log may have ended, before it was struck.
        const hasEnded = arena.newest().end?.state === 'FINISHED'
        expect(said).toMatchObject(hasEnded ? { state: 'FINISHED', exitCode: 0 } : { outcome: 'died', exitCode: 1 })
        if (!isDrained) return await expectWhole(arena, kind)
        await arena.run(0, { isTraced: false, ...(kind.isParallel ? { job: 'parallel' } : {}), flags: kind.flags })
        expectDrained(arena, kind)
      }
      await Promise.all(
        [0, 1, 2].map(async (share) => {
          for (const [index, one] of lives.entries()) if (index % 3 === share) await live(one)
        }),
      )
      console.log(`killed in a drain: ${JSON.stringify(ended)}`)
      expect(ended.drained + ended.undrained).toBe(lives.length)
    },
  )
})
