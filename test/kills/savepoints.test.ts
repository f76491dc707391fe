/** A savepoint restored by real processes, killed at its effects: what was visible at the savepoint and what came since are all there, once. */
import { execFileSync } from 'node:child_process'
import { cpSync, renameSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { Arena, COUNT, expectedEvens, inPairs, REPLAY, sampled, SINKS, SLOW, tell, type Strike } from './harness.ts'

const BIN = fileURLToPath(new URL('../../bin/sluice.mjs', import.meta.url))
const FORK = '.fork'
const RESTORE = ['--store', FORK, '--restore', 'moved/savepoint']
/** State in blobs, not one small value. */
const MANY = { KEYS: 120 }

/** A job that was stopped in the middle; its newest checkpoint lies elsewhere than where it was copied to. */
async function stopped(arena: Arena): Promise<void> {
  const first = arena.start({
    settings: { ...MANY, ...SLOW },
    strikes: [{ match: 'rename counts/part', nth: 5, how: 'TERM' }],
  })
  await first.expectCode(143)
  execFileSync(process.execPath, [BIN, 'checkpoints', 'copy', 'kills', '--to', 'copied'], { cwd: arena.directory })
  cpSync(arena.path('copied'), arena.path('moved/savepoint'), { recursive: true })
  renameSync(arena.path('copied'), arena.path('gone'))
}

/** Each record once, and each key counted from one on without a gap: the state came along. */
function expectOnce(arena: Arena): number {
  const counted = arena.visible('counts').map((line) => JSON.parse(line) as Counted)
  expect(counted.map(({ index }) => index).toSorted((a, b) => a - b)).toEqual([-1, ...Array(COUNT).keys()])
  const seen = new Map<string, number>()
  for (const { key, count } of counted.toSorted((a, b) => a.index - b.index)) {
    expect(count).toBe((seen.get(key) ?? 0) + 1)
    seen.set(key, count)
  }
  expect(arena.visible('evens').toSorted()).toEqual(expectedEvens().toSorted())
  for (const sink of SINKS) expect(arena.hidden(sink)).toEqual([])
  return counted.length + expectedEvens().length
}

interface Counted {
  readonly index: number
  readonly key: string
  readonly count: number
}

test(
  'a savepoint that was moved is restored into an empty store, whatever kills it on its way; nothing is missing, nothing is there twice (C2)',
  { timeout: 300_000 },
  async () => {
    using whole = new Arena()
    await stopped(whole)
    const run = await whole.run(0, { flags: RESTORE, settings: { ...MANY, ...REPLAY } })
    expectOnce(whole)
    const { effects } = run
    const imported = effects.findLastIndex((effect) => /^rename .*-savepoint$/.test(effect))
    const carriedOut = effects.findIndex(
      (effect, index) => index > imported && effect.startsWith(`link ${FORK}/kills/log/`),
    )
    expect(carriedOut).toBeGreaterThan(imported)
    // From the first effect of all to some behind the entry that carries it out.
    const steps = Array.from({ length: carriedOut + 8 }, (_, index): Strike => ({
      nth: index + 1,
      moment: 'after',
      how: 'KILL',
    }))
    const some = sampled(steps, 10)
    const met = { refused: 0, facts: 0 }
    await inPairs(some, async (strike) => {
      using arena = new Arena()
      await stopped(arena)
      const struck = arena.start({ strikes: [strike], flags: RESTORE, settings: { ...MANY, ...REPLAY } })
      await struck.ended
      const flags = ['--store', FORK]
      // Who forgets what was wanted is told; nothing begins anew in silence.
      const log = arena.names(`${FORK}/kills/log`).filter((name) => /^\d+$/.test(name))
      const plain = log.length === 0 ? undefined : arena.start({ flags, settings: { ...MANY, ...REPLAY } })
      const code = (await plain?.ended)?.code
      if (code === 2) met.refused += 1
      if (code === undefined || code === 2) await arena.run(0, { flags: RESTORE, settings: { ...MANY, ...REPLAY } })
      met.facts += expectOnce(arena)
    })
    tell('savepoints', { strikes: some.length, ...met })
    expect(met.refused).toBeGreaterThan(0)
    expect(met.facts).toBeGreaterThan(300 * some.length)
  },
)
