/** The wall clock jumps by an hour either way, while the job runs and between its lives (F27): nothing depends on it. */
import { expect, test } from 'vitest'
import { Arena, FACTS, LOG, REPLAY, tell } from './harness.ts'

const HOUR = 3_600_000
const jumps: Readonly<Record<string, readonly (readonly [number, number])[]>> = {
  forth: [[0, HOUR]],
  back: [[0, -HOUR]],
  'forth while it runs': [[200, HOUR]],
  'back while it runs': [[200, -HOUR]],
  'to and fro': Array.from({ length: 100 }, (_, index) => [index * 7, index % 2 === 0 ? HOUR : -HOUR] as const),
}
let facts = 0
let jumped = 0

test.each(Object.entries(jumps))(
  'the clock jumps an hour %s: output is exact, nothing is aborted early',
  async (_name, clock) => {
    using arena = new Arena()
    const at = Math.floor(Date.now() / 1_000)
    const first = await arena.run(null, {
      clock,
      strikes: [{ match: `link ${LOG}/`, nth: 7, moment: 'after', how: 'KILL' }],
    })
    expect(first.events('restarting')).toEqual([])
    jumped += arena.log().filter((entry) => Math.abs(entry.at / 1_000 - at) > 1_800).length
    facts += arena.expectPrefix()
    const opposite = clock.map(([afterMs, offsetMs]) => [afterMs, -offsetMs] as const)
    const rest = await arena.finish({ clock: opposite })
    facts += rest
    // No name is derived from the clock.
    const names = [...arena.names('counts'), ...arena.names('evens')]
    expect(
      names.filter(
        (name) => !/^part-0000000[12]--(counts|evens)--0000--\d{9}--kills--[a-z0-9]{12}\.ndjson$/.test(name),
      ),
    ).toEqual([])
    expect(Math.max(...names.map((name) => Number(name.split('--')[3])))).toBeLessThan(1_000)
  },
)

test('a holder whose clock is an hour away is not taken for dead', async () => {
  using arena = new Arena()
  const holder = arena.start({
    clock: [[0, -HOUR]],
    strikes: [{ match: `link ${LOG}/`, nth: 5, moment: 'after', how: 'STOP' }],
  })
  expect(await holder.untilStopped()).toBe(true)
  await arena.run(3, { settings: REPLAY, clock: [[0, HOUR]] })
  holder.wake()
  await holder.expectCode(0)
  facts += arena.expectComplete()
})

test('the clocks really jumped', () => {
  tell('clock jumps', { 'entries an hour away': jumped, facts })
  expect(jumped).toBeGreaterThan(15)
  expect(facts).toBeGreaterThanOrEqual(6 * FACTS)
})
