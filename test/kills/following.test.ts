/**
 * Files that are followed while lines are appended to them and new ones appear, before, between and after SIGKILLs: every line once, whoever
 * reads it in whichever life (F20, F32). CI takes a sample; SLUICE_KILLS=all more places.
 */
import { ok } from 'node:assert/strict'
import { renameSync } from 'node:fs'
import { expect, test } from 'vitest'
import { FileArena, type Shape } from './file-arena.ts'
import { FILE_MISTAKES, type FileMistake } from './file-mistakes.ts'
import { inPairs, IS_LONG, sampled, tell, type Strike } from './harness.ts'
import { until } from './run.ts'

const TIMEOUT = { timeout: IS_LONG ? 3_600_000 : 120_000 }
const LOG = '.sluice/files/log'
const NAMES = 'abcdefghijklmnopqrstuvwxyz'.split('')
const FEED_MS = 8
/** So long a life may be, if nothing strikes it. */
const MOST_FEEDS = 250

/** Appends at the end of files, now and then a new one; some lines in two pieces. */
class Feeder {
  readonly #files: FileArena
  #step: number
  #known = 0

  constructor(files: FileArena, seed: number) {
    this.#files = files
    this.#step = seed
  }

  step(): void {
    this.#step += 1
    if (this.#step % 6 === 0 && this.#known < NAMES.length) this.#known += 1
    const isNew = this.#step % 6 === 0
    const index = isNew ? this.#known - 1 : (this.#step * 7) % Math.max(1, this.#known)
    this.#known = Math.max(1, this.#known)
    this.#files.append(NAMES[index] ?? 'z', 1 + (this.#step % 4), (this.#step * 5) % 40)
  }
}

interface Life {
  readonly parallelism: number
  readonly strike?: Strike
  readonly settings?: Readonly<Record<string, string | number>>
  readonly deadlineMs?: number
  /** Processes that the tasks run in, besides the coordinator's. */
  readonly workers?: number
}

/** True: killed. Otherwise it was stopped once everything was through. */
async function live(
  files: FileArena,
  feeder: Feeder,
  { parallelism, strike, settings = {}, deadlineMs = 20_000, workers }: Life,
): Promise<boolean> {
  const flags = workers === undefined ? [] : ['--workers', String(workers)]
  const run = files.start(parallelism, { strikes: strike === undefined ? [] : [strike], settings, flags })
  let isOver = false
  void run.ended.then(() => {
    isOver = true
  })
  await until(() => isOver || run.events('running').length > 0, 'the job to run')
  for (let feeds = 0; !isOver && feeds < (strike === undefined ? 20 : MOST_FEEDS); feeds += 1) {
    feeder.step()
    await new Promise((resolve) => {
      setTimeout(resolve, FEED_MS)
    })
  }
  if (!isOver) {
    files.flush()
    await until(() => isOver || files.isThrough, 'everything to be read and committed', deadlineMs)
    run.child.kill('SIGTERM')
  }
  const { code, signal } = await run.ended
  ok(signal === 'SIGKILL' || code === 143, `it ended ${code}: ${run.said.slice(-2_000)}`)
  return signal === 'SIGKILL'
}

test.each<[string, Shape, readonly number[], number?]>([
  ['NDJSON, one task', { format: 'json', compression: 'none', isFollowing: true }, [1, 1, 1]],
  ['NDJSON, three tasks', { format: 'json', compression: 'none', isFollowing: true }, [3, 3, 3]],
  ['CSV, at changing parallelism', { format: 'csv', compression: 'none', isFollowing: true }, [3, 1, 2]],
  ['NDJSON, three tasks in two processes', { format: 'json', compression: 'none', isFollowing: true }, [3, 3], 2],
])(
  'every line that is appended, to files old and new, comes out once, killed wherever: %s (F32)',
  TIMEOUT,
  async (name, shape, parallelisms, workers) => {
    const places = sampled(
      Array.from({ length: 120 }, (_, index) => 90 + index * 3),
      workers === undefined ? 3 : 2,
    )
    let fired = 0
    let facts = 0
    let unknown = 0
    await inPairs(places, async (nth) => {
      using files = new FileArena(shape)
      const feeder = new Feeder(files, nth)
      for (const [index, parallelism] of parallelisms.entries()) {
        const moment = (nth + index) % 2 === 0 ? 'before' : 'after'
        const strike: Strike = { nth: index === 0 ? nth : 90 + ((nth * 11) % 150), moment, how: 'KILL' }
        const isKilled = await live(files, feeder, {
          parallelism,
          ...(workers === undefined ? {} : { workers }),
          ...(index === parallelisms.length - 1 ? {} : { strike }),
        })
        if (isKilled) {
          fired += 1
          unknown += files.unknown > 0 ? 1 : 0
        }
        facts += files.expectSound()
        // While nobody runs.
        if (isKilled) for (let step = 0; step < 8; step += 1) feeder.step()
      }
      facts += files.expectComplete()
    })
    tell(`followed: ${name}`, {
      places: places.length,
      'kills fired': fired,
      'with files in no checkpoint': unknown,
      facts,
    })
    // On a busy machine a life can be over before its place.
    expect(fired).toBeGreaterThanOrEqual(Math.floor(places.length * (parallelisms.length - 1) * 0.8))
    expect(unknown).toBeGreaterThanOrEqual(Math.floor(places.length / 3))
    expect(facts).toBeGreaterThan(places.length * 150)
  },
)

test('a followed file that gets another name fails the job by name, is not read twice, and is read on when it is back (F20)', async () => {
  using files = new FileArena({ format: 'json', compression: 'none', isFollowing: true })
  for (const name of ['a', 'b', 'c']) files.append(name, 20)
  const run = files.start(3)
  await until(() => files.isThrough, 'everything to be read and committed')
  renameSync(files.arena.path('in/a.json'), files.arena.path('in/d.json'))
  await run.expectCode(1)
  expect(run.events('ended')).toMatchObject([
    {
      state: 'FAILED',
      reason: expect.stringMatching(/d\.json is the file that is followed as in\/a\.json|a\.json was renamed/),
    },
  ])
  expect(files.expectComplete()).toBe(60)
  // Still away: still refused, by name.
  const again = await files.start(1).ended
  expect(again.code).not.toBe(0)
  expect(files.expectComplete()).toBe(60)
  renameSync(files.arena.path('in/d.json'), files.arena.path('in/a.json'))
  files.append('a', 20)
  await live(files, new Feeder(files, 1), { parallelism: 2 })
  expect(files.expectComplete()).toBeGreaterThan(80)
})

const entry = `link ${LOG}/`

const MISTAKEN: Readonly<
  Record<FileMistake, { readonly shape: Shape; readonly strike: Strike; readonly finds: RegExp }>
> = {
  'parts that stay open are not restored': {
    shape: { format: 'json', compression: 'none', rolling: 'when-full' },
    strike: { match: entry, nth: 5, moment: 'after', how: 'KILL' },
    finds: /deep-equal/,
  },
  'from the first bad line on positions are a batch behind': {
    shape: { format: 'json', compression: 'none' },
    strike: { match: entry, nth: 4, moment: 'after', how: 'KILL' },
    finds: /twice|deep-equal|committed, not visible/,
  },
  'only files that are newer than the process are new': {
    shape: { format: 'json', compression: 'none', isFollowing: true },
    strike: { match: entry, nth: 6, moment: 'after', how: 'KILL' },
    finds: /waited .* for everything to be read/,
  },
}

async function found(mistake: FileMistake, settings: Readonly<Record<string, string>>): Promise<string> {
  const { shape, strike } = MISTAKEN[mistake]
  using files = new FileArena(shape)
  const feeder = new Feeder(files, 1)
  for (const name of ['one', 'two', 'three']) files.append(name, 40)
  try {
    if (shape.isFollowing === true) {
      ok(await live(files, feeder, { parallelism: 3, strike, settings }), 'not killed')
      files.append('four', 10)
      await live(files, feeder, {
        parallelism: 1,
        settings,
        deadlineMs: settings['MISTAKE'] === undefined ? 20_000 : 2_000,
      })
    } else {
      ok(await files.runTo(3, { strikes: [strike], settings }), 'not killed')
      await files.runTo(1, { settings })
    }
    files.expectSound()
    files.expectComplete()
    return 'nothing'
  } catch (error) {
    return String(error)
  }
}

test.each(FILE_MISTAKES)('the checks find: %s', async (mistake) => {
  const [seeded, sound] = await Promise.all([found(mistake, { MISTAKE: mistake }), found(mistake, {})])
  expect(seeded).toMatch(MISTAKEN[mistake].finds)
  expect(sound).toBe('nothing')
})
