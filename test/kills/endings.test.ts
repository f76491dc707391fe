/** How a job ends: by itself, killed at each step around its end (F24), by one signal or two in the middle of a checkpoint (F25), or not at all, idle (F26). */
import { expect, test } from 'vitest'
import { Arena, FACTS, inPairs, LOG, REPLAY, sampled, tell, type Strike } from './harness.ts'
import { until } from './run.ts'

/** All input in one epoch: the second checkpoint is the last. */
const SHORT = { BATCH: 240, INTERVAL_MS: 60_000 }

test(
  'killed at each step around its end, the last epoch and the closing record come once (F24)',
  { timeout: 300_000 },
  async () => {
    using whole = new Arena()
    const { effects } = await whole.run(0, { settings: SHORT })
    const first = effects.findIndex((effect) => effect.startsWith('write counts/'))
    const steps = effects.flatMap((_, index) =>
      index < first
        ? []
        : (['before', 'after'] as const).map((moment) => ({ nth: index + 1, moment, how: 'KILL' as const })),
    )
    expect(steps.length).toBeGreaterThan(60)
    const some = sampled(steps, 8)
    let fired = 0
    let facts = 0
    await inPairs(some, async (strike) => {
      using arena = new Arena()
      const run = arena.start({ strikes: [strike], settings: SHORT })
      if ((await run.ended).signal === 'SIGKILL') fired += 1
      facts += arena.expectPrefix()
      await arena.finish()
      const entries = arena.names(LOG)
      const again = await arena.run(0)
      expect(again.events('ended')).toMatchObject([{ state: 'ALREADY_FINISHED' }])
      expect(arena.names(LOG)).toEqual(entries)
      facts += arena.expectComplete()
    })
    tell('killed around the end', { steps: some.length, of: steps.length, 'kills fired': fired, facts })
    // The number of an effect moves a little from run to run.
    expect(fired).toBeGreaterThanOrEqual(some.length * 0.9)
    expect(facts).toBeGreaterThanOrEqual(some.length * FACTS)
  },
)

/** Steps of a checkpoint, from the first write of its snapshot to the last of its commits. */
const STEPS = [
  'write counts/',
  'fsync counts/.*part',
  'link evens/.*keep',
  'write .sluice/kills/blob/',
  'rename .sluice/kills/blob/',
  `open ${LOG}/`,
  `link ${LOG}/`,
  `fsync ${LOG}$`,
  'rename counts/part',
  'rename evens/part',
  'unlink counts/.*keep',
]

test(
  'a signal at any step of a checkpoint stops cleanly, and the next run goes on exactly there (F25)',
  { timeout: 300_000 },
  async () => {
    let fired = 0
    let facts = 0
    await inPairs(STEPS, async (match) => {
      using arena = new Arena()
      const run = await arena.run(143, { strikes: [{ match, nth: 3, how: 'TERM' }] })
      fired += run.struck.length
      // Clean: one last checkpoint, all of it committed, nothing hidden left, the log says so.
      const newest = arena.newest()
      expect(newest).toMatchObject({ kind: 'ended', end: { state: 'STOPPED' }, unclean: [] })
      expect(newest.committedThrough).toBe(newest.retained.at(-1)?.checkpoint)
      expect([...arena.hidden('counts'), ...arena.hidden('evens')]).toEqual([])
      facts += arena.expectPrefix()
      const rest = await arena.finish()
      facts += rest
    })
    tell('stopped by a signal', { 'signals sent': fired, facts })
    expect(fired).toBe(STEPS.length)
    expect(facts).toBeGreaterThan(STEPS.length * FACTS)
  },
)

test(
  'a second signal at any step ends the process at once, and the next run goes on as after a crash (F25)',
  { timeout: 300_000 },
  async () => {
    let fired = 0
    let facts = 0
    await inPairs(STEPS, async (match) => {
      using arena = new Arena()
      const strikes: readonly Strike[] = [
        { match, nth: 3, how: 'TERM' },
        { match, nth: 4, how: 'TERM' },
        // The third is for a stop that has only one more step of this kind.
        { match: 'unlink counts/.*keep', nth: 4, how: 'TERM' },
      ]
      const run = await arena.run(143, { strikes })
      fired += run.struck.length
      facts += arena.expectPrefix()
      const rest = await arena.finish()
      facts += rest
    })
    tell('stopped by two signals', { 'signals sent': fired, facts })
    expect(fired).toBeGreaterThanOrEqual(STEPS.length * 1.5)
    expect(facts).toBeGreaterThan(STEPS.length * FACTS)
  },
)

test('a signal while a failed attempt waits for its restart leaves nothing that is due behind (F25)', async () => {
  using arena = new Arena()
  const run = arena.start({
    settings: { RESTART_MS: 60_000 },
    // The second sink fails while the first one commits.
    strikes: [{ match: 'write evens/', nth: 5, how: 'EIO' }],
  })
  await until(() => run.events('restarting').length > 0, 'a restart')
  run.child.kill('SIGTERM')
  const { code } = await run.ended
  expectNothingDue(arena, code)
  expect(await arena.finish()).toBe(FACTS)
})

/** Clean or crash-like, never in between: who says STOPPED has delivered everything. */
function expectNothingDue(arena: Arena, code: number | null): void {
  expect(code).toBe(143)
  expect(arena.newest().kind === 'ended' && arena.isDue).toBe(false)
  arena.expectPrefix()
}

test('an idle job takes checkpoints that cost nothing at its sinks and no blobs (F26)', async () => {
  using arena = new Arena()
  const run = arena.start({ settings: { COUNT: 100, ENDLESS: 1, INTERVAL_MS: 5 } })
  await until(() => arena.visible('counts').length === 100, 'all records')
  const idleFrom = run.effects.length + 40
  await until(() => run.events('completed').length > 60, 'idle checkpoints')
  const idle = run.effects.slice(idleFrom)
  const kinds = (pattern: RegExp): readonly string[] => idle.filter((effect) => pattern.test(effect))
  const completed = kinds(/^link .*\/log\//).length
  expect(completed).toBeGreaterThan(20)
  expect(kinds(/counts|evens/)).toEqual([])
  // Bases are spread over checkpoints, until every key group has one.
  expect(kinds(/^rename .*\/blob\//).length).toBeLessThan(completed / 2)
  run.child.kill('SIGTERM')
  await run.expectCode(143)
  tell('idle', { checkpoints: completed, effects: idle.length, 'sink effects': 0 })
  expect(await arena.finish({ settings: REPLAY })).toBe(FACTS)
})
