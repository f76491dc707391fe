/** What a disk or a person did to the newest checkpoint (F15): refused with the file, the checkpoint and the way out; never an older one instead. */
import { readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { Arena, LOG, REPLAY, tell, type RetainedFacts } from './harness.ts'

/** So many keys that the manifest does not fit into the log entry. */
const MANY = { COUNT: 600, KEYS: 600, BATCH: 30 }

const damages: Readonly<Record<string, (path: string) => void>> = {
  truncated: (path) => truncateSync(path, readFileSync(path).length - 10),
  'cut to zero bytes': (path) => writeFileSync(path, ''),
  missing: (path) => rmSync(path),
  'bit-flipped': (path) => {
    const bytes = readFileSync(path)
    bytes[bytes.length - 20] = (bytes[bytes.length - 20] ?? 0) ^ 1
    writeFileSync(path, bytes)
  },
}

interface Retained {
  readonly newest: RetainedFacts
  readonly before: RetainedFacts
}

const parts: Readonly<Record<string, (arena: Arena, retained: Retained) => string>> = {
  'log entry': (arena) => `kills/log/${arena.names(LOG).findLast((name) => /^\d+$/.test(name))}`,
  manifest: (_arena, { newest }) => newest.key ?? '',
  // One that the checkpoint before does not need.
  'state blob': (arena, { newest, before }) =>
    blobsOf(arena, newest).find((key) => !blobsOf(arena, before).includes(key)) ?? '',
}

const cases = Object.keys(parts).flatMap((part) => Object.keys(damages).map((damage) => [damage, part] as const))
let facts = 0
let damaged = 0

// A newest log entry that somebody took away whole cannot be told from one that was never written.
test.each(cases.filter(([damage, part]) => part !== 'log entry' || damage !== 'missing'))(
  'a %s %s of the newest checkpoint is refused by name, and nothing is changed or fenced',
  async (damage, part) => {
    using arena = new Arena()
    const first = arena.start({
      settings: MANY,
      // By then two completed checkpoints have manifests of their own, however fast the machine is; the newer one is due.
      strikes: [{ match: 'rename .sluice/kills/blob/.*-manifest', nth: 3, how: 'KILL' }],
    })
    await first.expectCode(null)
    const newest = arena.newest().retained.at(-1)
    const before = arena.newest().retained.at(-2)
    if (newest === undefined || before === undefined) throw new Error('two checkpoints are there')
    const key = parts[part]?.(arena, { newest, before }) ?? ''
    const file = arena.path('.sluice', key)
    const sound = readFileSync(file)
    damages[damage]?.(file)
    damaged += 1
    const entries = arena.names(LOG)
    const visible = arena.visible('counts')
    const run = await arena.run(2, { settings: { ...MANY, ...REPLAY } })
    expect(run.said).toContain(key)
    expect(run.said).toContain(part === 'log entry' ? key : `checkpoint ${newest.checkpoint}`)
    expect(run.said).toMatch(/bring .* back from a backup/)
    expect(arena.names(LOG)).toEqual(entries)
    expect(arena.visible('counts')).toEqual(visible)
    facts += entries.length + visible.length
    // Each way out that it names: an older checkpoint, or the file back from the backup.
    const isRestored = part === 'log entry'
    if (isRestored) writeFileSync(file, sound)
    const loss = part === 'manifest' ? ['--accept-loss', String(newest.checkpoint)] : []
    expect(run.said).toContain(isRestored ? 'backup' : '--restore <checkpoint> --accept-duplicates')
    expect(run.said).toContain(loss.join(' '))
    await arena.run(0, {
      settings: { ...MANY, ...REPLAY },
      flags: isRestored ? [] : ['--restore', String(before.checkpoint), '--accept-duplicates', ...loss],
    })
    expect(new Set(arena.visible('counts')).size).toBe(601)
    facts += 601
  },
)

test('the damages were really done', () => {
  tell('damaged checkpoints', { damaged, facts })
  expect(damaged).toBe(11)
  expect(facts).toBeGreaterThan(11 * 700)
})

test('a log entry missing in the middle is refused: what is behind it may be visible already', async () => {
  using arena = new Arena()
  await arena.killed({ match: `link ${LOG}/`, nth: 9, moment: 'after', how: 'KILL' })
  rmSync(arena.path(LOG, '000000000008'))
  const entries = arena.names(LOG)
  const run = await arena.run(2, { settings: REPLAY })
  expect(run.said).toContain('kills/log/000000000008')
  expect(arena.names(LOG)).toEqual(entries)
})

function blobsOf(arena: Arena, retained: RetainedFacts): readonly string[] {
  return arena.manifestOf(retained).operators.flatMap((one) => one.state?.blobs.map(({ key }) => key) ?? [])
}
