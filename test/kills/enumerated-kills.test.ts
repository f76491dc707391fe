/**
 * SIGKILL before and after outside effects of a two-sink job: in its first run, and in the recovery that follows. CI takes a seeded sample;
 * SLUICE_KILLS=all (npm run test:long) takes every one.
 */
import { expect, test } from 'vitest'
import { Arena } from './harness.ts'

const ALL = process.env['SLUICE_KILLS'] === 'all'
const SAMPLE = 24
/** The replay has other batches, another pace and another interval than the first run. */
const REPLAY = { KILLS_BATCH: '33', KILLS_PACE_MS: '1', KILLS_INTERVAL_MS: '7' }

test('a run without faults gives every record once', async () => {
  using arena = new Arena()
  await arena.start().expectCode(0)
  expect(arena.expectComplete()).toBeGreaterThan(800)
  await arena.start().expectCode(0)
  expect(arena.expectComplete()).toBeGreaterThan(800)
})

test(
  'killed at an effect, and again in the recovery, output is exact',
  { timeout: ALL ? 3_600_000 : 240_000 },
  async () => {
    const effects = await countEffects()
    expect(effects).toBeGreaterThan(60)
    const points = ALL ? Array.from({ length: effects }, (_, index) => index + 1) : sample(effects)
    let facts = 0
    let fired = 0
    const strikes = points.flatMap((point) =>
      (ALL ? ['before', 'after'] : [point % 2 === 0 ? 'before' : 'after']).map((moment) => ({ point, moment })),
    )
    await inPairs(strikes, async ({ point, moment }) => {
      using arena = new Arena()
      const first = await arena.start({ kill: `${point}:${moment}:KILL` }).ended
      if (first.signal === 'SIGKILL') fired += 1
      facts += arena.expectPrefix()
      const second = await arena.start({ kill: `${90 + ((point * 7) % 140)}:${moment}:KILL`, env: REPLAY }).ended
      if (second.signal === 'SIGKILL') fired += 1
      facts += arena.expectPrefix()
      await arena.start({ env: REPLAY }).expectCode(0)
      facts += arena.expectComplete()
    })
    console.log(
      `enumerated kills: ${strikes.length} points of ${effects} effects, ${fired} kills fired, ${facts} facts compared`,
    )
    expect(fired).toBeGreaterThan(strikes.length)
    expect(facts).toBeGreaterThan(strikes.length * 800)
  },
)

async function countEffects(): Promise<number> {
  using arena = new Arena()
  await arena.start().expectCode(0)
  return arena.effects()
}

/** Spread over the whole run, the first effects densely. */
function sample(effects: number): readonly number[] {
  return Array.from({ length: SAMPLE }, (_, index) => 1 + Math.floor((effects - 1) * (index / SAMPLE) ** 1.3))
}

async function inPairs<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const queue = [...items]
  const worker = async (): Promise<void> => {
    for (let item = queue.shift(); item !== undefined; item = queue.shift()) await work(item)
  }
  await Promise.all([worker(), worker()])
}
