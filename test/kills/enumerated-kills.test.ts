/**
 * SIGKILL before and after every outside effect of a two-sink job, in its first run and in the recovery that follows (F1-F9, F11, F24,
 * F33). CI takes a seeded sample; SLUICE_KILLS=all (npm run test:long) takes every one.
 */
import { expect, test } from 'vitest'
import { Consumer } from './consumer.ts'
import { Arena, FACTS, inPairs, IS_LONG, LOG, REPLAY, sampled, tell, type Strike } from './harness.ts'

const MOMENTS = ['before', 'after'] as const
const TIMEOUT = { timeout: IS_LONG ? 3_600_000 : 240_000 }

interface Point {
  readonly nth: number
  readonly moment: 'before' | 'after'
}

test('a run without faults gives every record once, and a second one says that it is finished', async () => {
  using arena = new Arena()
  await arena.run(0)
  expect(arena.expectComplete()).toBe(FACTS)
  const again = await arena.run(0)
  expect(again.events('ended')).toMatchObject([{ state: 'ALREADY_FINISHED' }])
  expect(arena.expectComplete()).toBe(FACTS)
})

test('killed at any effect of its life, and again wherever, its output is exact', TIMEOUT, async () => {
  const effects = await effectsOfARun()
  expect(effects.length).toBeGreaterThan(250)
  const points = sampled(pointsOf(effects.length), 12)
  let facts = 0
  let fired = 0
  await inPairs(points, async ({ nth, moment }) => {
    using arena = new Arena()
    for (const strike of [
      { nth, moment, how: 'KILL' },
      // Somewhere in the recovery or behind it: another place for each point.
      { nth: 60 + ((nth * 7) % 200), moment, how: 'KILL' },
    ] as const) {
      const run = arena.start({ strikes: [strike], ...(strike.nth === nth ? {} : { settings: REPLAY }) })
      if ((await run.ended).signal === 'SIGKILL') fired += 1
      facts += arena.expectPrefix()
    }
    const rest = await arena.finish()
    facts += rest
  })
  tell('killed at any effect', { points: points.length, effects: effects.length, 'kills fired': fired, facts })
  expect(fired).toBeGreaterThan(points.length * 1.5)
  expect(facts).toBeGreaterThanOrEqual(points.length * FACTS)
})

interface Crash {
  readonly strike: Strike
  readonly settings?: Readonly<Record<string, number>>
}

/** All input in one epoch: the second checkpoint is the last. */
const SHORT = { BATCH: 240, INTERVAL_MS: 60_000 }

/** Where the first run dies: each leaves another kind of work to the recovery. */
const CRASHES: Readonly<Record<string, Crash>> = {
  'prepared, not acknowledged': { strike: { match: 'link counts/.*keep', nth: 5, how: 'KILL', moment: 'after' } },
  'blob written, entry not': { strike: { match: `link ${LOG}`, nth: 6, how: 'KILL' } },
  'entry written, nothing committed': { strike: { match: `link ${LOG}`, nth: 6, how: 'KILL', moment: 'after' } },
  'one sink committed, the other not': { strike: { match: 'rename evens/part', nth: 5, how: 'KILL' } },
  'the end prepared, its entry not written (F24)': {
    strike: { match: `link ${LOG}`, nth: 3, how: 'KILL' },
    settings: SHORT,
  },
  'the end completed, nothing of it committed (F24)': {
    strike: { match: `link ${LOG}`, nth: 3, how: 'KILL', moment: 'after' },
    settings: SHORT,
  },
  'the end committed, not ended (F24)': {
    strike: { match: `link ${LOG}`, nth: 5, how: 'KILL' },
    settings: SHORT,
  },
}

test('killed at any effect of a recovery, five times in a row, its output is exact (F11, F24)', TIMEOUT, async () => {
  let facts = 0
  let fired = 0
  let points = 0
  for (const { strike, settings = {} } of Object.values(CRASHES)) {
    const recovery = await recoveryAfter({ strike, settings })
    // The probe of the store comes before anything is decided; it is met in the test above.
    const first = recovery.findIndex((effect) => effect.startsWith(`open ${LOG}/`))
    expect(recovery.length - first).toBeGreaterThan(10)
    const some = sampled(
      pointsOf(recovery.length).filter(({ nth }) => nth > first),
      3,
    )
    points += some.length
    await inPairs(some, async ({ nth, moment }) => {
      using arena = new Arena()
      await arena.run(null, { strikes: [strike], settings })
      // What is after one effect is before the next, but for those that run side by side: once is enough.
      const times = moment === 'before' ? 5 : 1
      for (let time = 1; time <= times; time += 1) {
        const run = arena.start({ strikes: [{ nth, moment, how: 'KILL' }], settings: REPLAY })
        if ((await run.ended).signal === 'SIGKILL') fired += 1
        facts += arena.expectPrefix()
      }
      const rest = await arena.finish()
      facts += rest
    })
  }
  tell('killed at any effect of a recovery', { points, 'kills fired': fired, facts })
  expect(fired).toBeGreaterThanOrEqual(points * 1.5)
  expect(facts).toBeGreaterThan(points * FACTS)
})

test(
  'killed at any effect under a consumer that takes visible files at once, none comes twice (F33)',
  TIMEOUT,
  async () => {
    const effects = await effectsOfARun()
    const first = effects.findIndex((effect) => effect.startsWith(`open ${LOG}/`))
    const points = sampled(
      pointsOf(effects.length).filter(({ nth }) => nth > first),
      6,
    )
    let facts = 0
    let fired = 0
    await inPairs(points, async ({ nth, moment }) => {
      using arena = new Arena()
      using consumer = new Consumer(arena)
      for (const at of [nth, 60 + ((nth * 11) % 200)]) {
        const run = arena.start({ strikes: [{ nth: at, moment, how: 'KILL' }] })
        if ((await run.ended).signal === 'SIGKILL') fired += 1
      }
      await arena.run(0, { settings: REPLAY })
      facts += consumer.expectComplete()
    })
    tell('killed under a greedy consumer', { points: points.length, 'kills fired': fired, facts })
    expect(fired).toBeGreaterThan(points.length * 1.5)
    expect(facts).toBe(points.length * FACTS)
  },
)

function pointsOf(effects: number): readonly Point[] {
  return Array.from({ length: effects }, (_, index) => index + 1).flatMap((nth) =>
    MOMENTS.map((moment) => ({ nth, moment })),
  )
}

async function effectsOfARun(): Promise<readonly string[]> {
  using arena = new Arena()
  return (await arena.run(0)).effects
}

/** The effects of a start after that crash, up to its first completed checkpoint. */
async function recoveryAfter({ strike, settings = {} }: Crash): Promise<readonly string[]> {
  using arena = new Arena()
  await arena.run(null, { strikes: [strike], settings })
  const { effects } = await arena.run(0, { settings: REPLAY })
  const entries = effects.flatMap((effect, index) => (effect.startsWith(`link ${LOG}/`) ? [index] : []))
  return effects.slice(0, entries[2] ?? effects.length)
}
