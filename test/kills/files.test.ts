/**
 * Files of every format through real processes that are killed at their effects, alone and in parallel: good records and bad lines, each
 * once. CI takes a sample; SLUICE_KILLS=all every effect.
 */
import { expect, test } from 'vitest'
import { FileArena, type Shape } from './file-arena.ts'
import { inPairs, IS_LONG, sampled, tell, type Strike } from './harness.ts'

const TIMEOUT = { timeout: IS_LONG ? 3_600_000 : 120_000 }
const LOG = '.sluice/files/log'
const FILES = ['a', 'b', 'c', 'd', 'e'] as const
const LINES = 24
const MOMENTS = ['before', 'after'] as const
/** Other blocks and another pace than before. */
const REPLAY = { BLOCK_BYTES: 333, LOCKSTEP: 2, INTERVAL_MS: 3 }

function arenaOf(shape: Shape): FileArena {
  const arena = new FileArena(shape)
  // Two members each.
  for (const file of FILES) for (const lines of [LINES / 2, LINES / 2]) arena.append(file, lines)
  return arena
}

/** Behind its start; a little fewer than there are, as no two runs have the same number. */
async function strikesOf(shape: Shape, parallelism: number, size: number): Promise<readonly Strike[]> {
  using files = arenaOf(shape)
  const run = files.start(parallelism)
  await run.expectCode(0)
  expect(files.expectComplete()).toBe(FILES.length * LINES)
  const first = run.effects.findIndex((effect) => effect.startsWith(`open ${LOG}/`))
  const all = run.effects.flatMap((_, index) =>
    index < first || index > run.effects.length * 0.95
      ? []
      : MOMENTS.map((moment) => ({ nth: index + 1, moment, how: 'KILL' as const })),
  )
  expect(all.length).toBeGreaterThan(100)
  return sampled(all, size)
}

interface Counts {
  readonly places: number
  fired: number
  facts: number
  /** Parts that were open when another life began. */
  restored: number
}

/** Killed at each place, and again somewhere behind it in each of the lives that follow, then finished. */
async function killed(shape: Shape, parallelisms: readonly number[], size: number): Promise<Counts> {
  const [first = 1, ...others] = parallelisms
  const places = await strikesOf(shape, first, size)
  const counts: Counts = { places: places.length, fired: 0, facts: 0, restored: 0 }
  await inPairs(places, async (strike) => {
    using files = arenaOf(shape)
    for (const [life, parallelism] of [first, ...others].entries()) {
      const again = { ...strike, nth: 60 + (((strike.nth ?? 0) * 7) % 90) }
      const isLast = life === parallelisms.length - 1
      const isKilled = await files.runTo(parallelism, {
        strikes: isLast ? [] : [life === 0 ? strike : again],
        settings: life === 0 ? {} : REPLAY,
      })
      if (isKilled) counts.fired += 1
      counts.facts += files.expectSound()
      if (!isLast) counts.restored += files.openParts
    }
    counts.facts += files.expectComplete()
  })
  return counts
}

test.each<[string, Shape, readonly number[]]>([
  ['NDJSON, one task', { format: 'json', compression: 'none' }, [1, 1]],
  ['NDJSON, three tasks', { format: 'json', compression: 'none' }, [3, 3]],
  ['CSV, one task', { format: 'csv', compression: 'none' }, [1, 3]],
  ['CSV with gzip, three tasks', { format: 'csv', compression: 'gzip' }, [3, 1]],
  ['NDJSON with zstd, one task', { format: 'json', compression: 'zstd' }, [1, 1]],
  ['CSV with zstd, three tasks', { format: 'csv', compression: 'zstd' }, [3, 2]],
])(
  'killed at any effect, each record comes out once, and each bad line by the side: %s',
  TIMEOUT,
  async (name, shape, lives) => {
    const { places, fired, facts } = await killed(shape, lives, 3)
    tell(`files: ${name}`, { places, 'kills fired': fired, facts })
    expect(fired).toBeGreaterThanOrEqual(places * 0.75)
    expect(facts).toBeGreaterThanOrEqual(places * FILES.length * LINES * 3)
  },
)

test.each<[string, Shape]>([
  ['plain', { format: 'csv', compression: 'none', rolling: 'when-full' }],
  ['gzip', { format: 'json', compression: 'gzip', rolling: 'when-full' }],
])(
  'with parts that stay open, killed at any effect and started at another parallelism each time, it does too: %s (F14, F23, F34)',
  TIMEOUT,
  async (name, shape) => {
    const { places, fired, facts, restored } = await killed(shape, [3, 1, 2], 5)
    tell(`files that stay open: ${name}`, { places, 'kills fired': fired, 'parts restored': restored, facts })
    // How many are open at a death is up to the machine.
    expect(restored).toBeGreaterThanOrEqual(places * 0.5)
    expect(fired).toBeGreaterThanOrEqual(places * 1.4)
    expect(facts).toBeGreaterThanOrEqual(places * FILES.length * LINES * 4)
  },
)
