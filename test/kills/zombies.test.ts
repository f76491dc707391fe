/**
 * A process stopped at an effect, woken after its successor ran or while it runs (F14), also under a consumer that takes files at once
 * (F33), and in the middle of its sweep while the successor uploads (F36). CI takes a sample; SLUICE_KILLS=all every effect.
 */
import { expect, test } from 'vitest'
import { Consumer } from './consumer.ts'
import { Arena, FACTS, inPairs, IS_LONG, LOG, REPLAY, sampled, SLOW, tell, type Strike } from './harness.ts'
import { until } from './run.ts'

const TIMEOUT = { timeout: IS_LONG ? 3_600_000 : 240_000 }

/** The pace of the first run, so that its effects are the same from run to run. */
async function placesOf(size: number): Promise<readonly Strike[]> {
  using arena = new Arena()
  const { effects } = await arena.run(0)
  const first = effects.findIndex((effect) => effect.startsWith(`open ${LOG}/`))
  const all = effects.flatMap((_, index) =>
    index < first
      ? []
      : (['before', 'after'] as const).map((moment) => ({ nth: index + 1, moment, how: 'STOP' as const })),
  )
  return sampled(all, size)
}

test(
  'a process stopped at any effect and woken when its successor is done hurts nothing and exits (F14)',
  TIMEOUT,
  async () => {
    const places = await placesOf(7)
    let stopped = 0
    let facts = 0
    await inPairs(places, async (strike) => {
      using arena = new Arena()
      const zombie = arena.start({ strikes: [strike] })
      if (!(await zombie.untilStopped())) return
      stopped += 1
      const isHeld = arena.log().length > 0 && arena.newest().kind !== 'ended'
      if (isHeld) await arena.run(3, { settings: REPLAY })
      await arena.run(0, { flags: ['--take-over'], settings: REPLAY })
      facts += arena.expectComplete()
      zombie.wake()
      const { code } = await zombie.ended
      expect(code === 3 || (!isHeld && code === 0)).toBe(true)
      // What it may have prepared after waking stays hidden.
      facts += arena.expectPrefix()
    })
    tell('stopped and woken afterwards', { places: places.length, stopped, facts })
    expect(stopped).toBeGreaterThanOrEqual(places.length * 0.9)
    expect(facts).toBeGreaterThanOrEqual(stopped * 2 * FACTS)
  },
)

test(
  'a process stopped at any effect and woken while its successor runs and a consumer takes files hurts nothing (F14, F33)',
  TIMEOUT,
  async () => {
    const places = await placesOf(8)
    let stopped = 0
    let met = 0
    let facts = 0
    await inPairs(places, async (strike) => {
      using arena = new Arena()
      using consumer = new Consumer(arena)
      const zombie = arena.start({ strikes: [strike] })
      if (!(await zombie.untilStopped())) return
      stopped += 1
      // Woken at an effect of the successor: another one for each place.
      const successor = arena.start({
        flags: ['--take-over'],
        settings: REPLAY,
        strikes: [{ nth: 90 + (((strike.nth ?? 0) * 13) % 60), how: 'STOP' }],
      })
      const isMet = await successor.untilStopped()
      zombie.wake()
      const { code } = await zombie.ended
      expect([0, 3]).toContain(code)
      if (isMet) successor.wake()
      // A zombie that was stopped before it held the job takes it over in turn, or is refused.
      expect([0, 3]).toContain((await successor.ended).code)
      await arena.run(0, { settings: REPLAY })
      // Woken after the successor's end, what it prepared stays hidden, and nobody cleans a job that has finished.
      facts += consumer.expectComplete(isMet ? 0 : 1)
      met += isMet ? 1 : 0
    })
    tell('stopped and woken beside the successor', { places: places.length, stopped, met, facts })
    expect(met).toBeGreaterThanOrEqual(places.length * 0.6)
    expect(facts).toBe(stopped * FACTS)
  },
)

/** Where the sweeper sleeps: before it lists, before and after it deletes what the first generation left. */
const SWEEPS: Readonly<Record<string, Strike>> = {
  'before it lists': { match: 'readdir .sluice/kills/blob$', how: 'STOP' },
  'before it lists a generation': { match: 'readdir .sluice/kills/blob/00000001', how: 'STOP' },
  'before it deletes': { match: 'unlink .sluice/kills/blob/00000001/', how: 'STOP' },
  'after it deleted': { match: 'unlink .sluice/kills/blob/00000001/', moment: 'after', how: 'STOP' },
  'before it lists a sink': { match: 'readdir counts', how: 'STOP' },
  'before it aborts': { match: 'unlink counts/.*part', how: 'STOP' },
}

test.each(Object.entries(SWEEPS))(
  'a fenced sweeper that sleeps %s and wakes while its successor uploads deletes nothing of it (F36)',
  async (_name, strike) => {
    using arena = new Arena()
    // Debris to be swept: a blob and prepared files of a checkpoint that did not complete.
    await arena.killed({ match: 'rename .sluice/kills/blob/', nth: 4, moment: 'after', how: 'KILL' })
    const sweeper = arena.start({ settings: SLOW, strikes: [strike] })
    expect(await sweeper.untilStopped()).toBe(true)
    const successor = arena.start({
      flags: ['--take-over'],
      settings: SLOW,
      strikes: [{ match: `link ${LOG}/`, nth: 7, moment: 'after', how: 'STOP' }],
    })
    await until(() => successor.events('completed').length > 1, 'the successor to complete checkpoints')
    expect(await successor.untilStopped()).toBe(true)
    const before = [...arena.names('.sluice/kills/blob/00000003'), ...arena.hidden('counts').filter(isOfThird)]
    expect(before.length).toBeGreaterThan(1)
    sweeper.wake()
    await sweeper.expectCode(3)
    expect([...arena.names('.sluice/kills/blob/00000003'), ...arena.hidden('counts').filter(isOfThird)]).toEqual(before)
    // Whether what the successor completed can be restored and committed shows it too.
    successor.child.kill('SIGKILL')
    await successor.ended
    arena.expectPrefix()
    expect(await arena.finish()).toBe(FACTS)
  },
)

function isOfThird(name: string): boolean {
  return name.includes('--00000003--')
}
