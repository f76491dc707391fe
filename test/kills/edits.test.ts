/** A job that was edited (F22), another job in its place (F28), a record that it cannot take (F21). Refused with a reason, and nothing changed. */
import { mkdirSync, renameSync, writeFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { Arena, FACTS, LOG, REPLAY, tell } from './harness.ts'
import { until } from './run.ts'

let facts = 0
let refusals = 0

async function interrupted(): Promise<Arena> {
  const arena = new Arena()
  await arena.killed({ match: 'rename evens/part', nth: 5, how: 'KILL' })
  return arena
}

const refused: readonly (readonly [string, readonly string[], RegExp])[] = [
  ['renamed operator', [], /operator \\"count\\" is gone, but the checkpoint holds its state.*--drop count/],
  ['changed state', [], /state \\"seen\\" of operator \\"count\\" was value and is list now/],
  ['removed sink', [], /sink \\"evens\\" is gone, but its commits are due/],
  ['removed sink', ['--drop', 'evens'], /sink \\"evens\\" is gone, but its commits are due/],
]

test.each(refused)(
  'an edit, %s, with flags %j is refused, and nothing is written or fenced (F22)',
  async (edit, flags, reason) => {
    using arena = await interrupted()
    const entries = arena.names(LOG)
    const before = [arena.names('counts'), arena.names('evens')]
    const run = await arena.run(2, { settings: { ...REPLAY, EDIT: edit }, flags })
    refusals += 1
    expect(run.said).toMatch(reason)
    expect(arena.names(LOG)).toEqual(entries)
    expect([arena.names('counts'), arena.names('evens')]).toEqual(before)
    facts += entries.length + before.flat().length
    const rest = await arena.finish()
    facts += rest
  },
)

test('an operator that is new is no obstacle (F22)', async () => {
  using arena = await interrupted()
  await arena.run(0, { settings: { ...REPLAY, EDIT: 'added operator' } })
  expect(arena.expectComplete()).toBe(FACTS)
  facts += FACTS
})

test('a part that is given up by name starts anew, all else goes on (F22)', async () => {
  using arena = await interrupted()
  await arena.run(0, { settings: { ...REPLAY, EDIT: 'renamed operator' }, flags: ['--drop', 'count'] })
  const counted = arena
    .visible('counts')
    .map((line) => JSON.parse(line) as { readonly index: number; readonly count: number })
  expect(counted.slice(0, -1).map(({ index }) => index)).toEqual(Array.from({ length: 240 }, (_, index) => index))
  const anew = counted.filter(({ index, count }) => index >= 0 && count !== Math.floor(index / 7) + 1)
  expect(anew[0]?.count).toBe(1)
  expect(arena.visible('evens')).toHaveLength(120)
  facts += counted.length + 120
})

test('the log of another job is refused (F28)', async () => {
  using arena = new Arena()
  await arena.run(0)
  renameSync(arena.path('.sluice/kills'), arena.path('.sluice/lines'))
  mkdirSync(arena.path('in'))
  writeFileSync(arena.path('in', 'a.txt'), 'a line\n')
  const run = await arena.run(2, { job: 'lines' })
  refusals += 1
  expect(run.said).toContain('was written by job \\"kills\\"')
  facts += arena.expectComplete()
})

test('a second job under the same id is refused, while the first runs, after it died and after it finished (F28)', async () => {
  using arena = new Arena()
  const other = { settings: { EDIT: 'removed sink' } }
  const first = arena.start({ settings: { ENDLESS: 1 } })
  await until(() => first.events('completed').length > 2, 'checkpoints')
  expect((await arena.run(3, other)).said).toContain(`run by process ${first.child.pid}`)
  first.child.kill('SIGKILL')
  await first.ended
  expect((await arena.run(2, other)).said).toMatch(/sink \\"evens\\" is gone/)
  await arena.finish()
  expect((await arena.run(2, other)).said).toContain('has finished with other settings or another plan')
  refusals += 3
  facts += arena.expectComplete()
})

test('a record that the job cannot take fails it after a bounded number of restarts, by name, and behind the fix it goes on (F21)', async () => {
  using arena = new Arena()
  const run = await arena.run(1, { settings: { POISON: 101, RESTARTS: 3 } })
  refusals += 1
  expect(run.events('restarting')).toHaveLength(3)
  expect(run.events('ended')).toMatchObject([
    { state: 'FAILED', reason: expect.stringContaining('operator "count" failed: cannot take 101') },
  ])
  facts += arena.expectPrefix()
  expect(arena.visible('counts').length).toBeLessThanOrEqual(101)
  const rest = await arena.finish()
  facts += rest
})

test('all of these were refused', () => {
  tell('edits and poison', { refusals, facts })
  expect(refusals).toBe(refused.length + 5)
  expect(facts).toBeGreaterThan(8 * FACTS)
})
