/** One process, killed or failed at exactly one effect: rows F1 to F10 by name, each with what must be there right after it. */
import { expect, test } from 'vitest'
import { Arena, FACTS, LOG, tell, type Strike } from './harness.ts'
import { sinceEntry, type Run } from './run.ts'

interface Row {
  /** Left out: it dies by itself. */
  readonly strike?: Strike
  readonly settings?: Readonly<Record<string, number>>
  /** What the crash must have left. */
  readonly check?: (arena: Arena, run: Run) => void
}

const epoch = 5
const kill = (match: string, nth: number, moment: 'before' | 'after'): Strike => ({ match, nth, moment, how: 'KILL' })

const rows: Readonly<Record<string, Row>> = {
  'F1: while processing, before any barrier': {
    // All that may be read between two checkpoints is read long before the next one.
    settings: { INTERVAL_MS: 1_000, DIES_AT: 50 },
    // The other sink opens its parts when they are full.
    check: (arena) => expect(hiddenOf(arena, 'counts', 'part')).toEqual([]),
  },
  'F2: the barrier has come, no sink has prepared and no state is stored': {
    strike: kill('fsync counts/.*part', epoch, 'before'),
    check: (_arena, run) => expect(sinceEntry(run, /^link counts\/.*keep|^rename .*\/blob\//)).toEqual([]),
  },
  'F3: in the middle of a snapshot write': {
    strike: kill('write .sluice/kills/blob/.*~', epoch, 'after'),
    check: (arena) => expect(debrisOf(arena).length).toBe(1),
  },
  'F3: a snapshot written, but not yet under its name': {
    strike: kill('rename .sluice/kills/blob/', epoch, 'before'),
    check: (arena) => expect(debrisOf(arena).length).toBe(1),
  },
  'F3: a snapshot written under its name': {
    strike: kill('rename .sluice/kills/blob/', epoch, 'after'),
    check: (arena) => expect(debrisOf(arena).length).toBe(0),
  },
  'F4: a sink prepared, acknowledgement not sent': {
    strike: kill('link counts/.*keep', epoch, 'after'),
    check: (arena) => expect(hiddenOf(arena, 'counts', 'part').length).toBeGreaterThan(0),
  },
  'F5: one sink prepared, the other not': {
    strike: kill('link evens/.*keep', epoch, 'before'),
    check: (arena) => expect(hiddenOf(arena, 'evens', 'part').length).toBeGreaterThan(0),
  },
  'F6: all acknowledged, entry not written': {
    strike: kill(`link ${LOG}/`, epoch, 'before'),
    check: (arena) => expect(arena.newest().seq).toBe(epoch - 1),
  },
  'F7, F8: entry written, its reply lost with the process, nothing committed': {
    strike: kill(`link ${LOG}/`, epoch, 'after'),
    check: (arena) => expect(arena.newest()).toMatchObject({ seq: epoch, kind: 'completed' }),
  },
  'F8: entry durable, no commit sent': {
    strike: kill('rename (counts|evens)/part', epoch, 'before'),
    check: (arena) => expect(arena.isDue).toBe(true),
  },
  'F9: one sink committed, the other not': {
    strike: kill('rename evens/part', epoch, 'before'),
    check: (arena) => expect(arena.isDue).toBe(true),
  },
  'F9: one sink has committed a part of its files': {
    strike: kill('rename evens/part', epoch, 'after'),
    check: (arena) => expect(arena.isDue).toBe(true),
  },
}

let kills = 0
let facts = 0

test.each(Object.entries(rows))(
  '%s: the next start gives exactly what is missing',
  async (_name, { strike, settings = {}, check }) => {
    using arena = new Arena()
    const run = await arena.run(null, { strikes: strike === undefined ? [] : [strike], settings })
    kills += 1
    facts += arena.expectPrefix()
    check?.(arena, run)
    const prepared = [...arena.hidden('counts'), ...arena.hidden('evens')]
    const isCompleted = arena.isDue
    // Stopped again before its first record: what was due is there from the log alone, all else of the old generation is gone (F4, F5, F8).
    await arena.killed(kill('open (counts|evens)/.*part', 1, 'before'))
    kills += 1
    facts += arena.expectPrefix()
    expect(arena.isDue).toBe(false)
    expect([...arena.hidden('counts'), ...arena.hidden('evens')]).toEqual([])
    expect(isCompleted ? [] : visibleAmong(arena, prepared)).toEqual([])
    const rest = await arena.finish()
    facts += rest
    expect(arena.unnamedBlobs()).toEqual([])
  },
)

const replies: Readonly<Record<string, Strike>> = {
  'F7: the reply to an entry is lost': { match: `link ${LOG}/`, nth: epoch, moment: 'after', how: 'EIO' },
  'F7: the reply to the first entry is lost': { match: `link ${LOG}/`, nth: 1, moment: 'after', how: 'EIO' },
  'F10: the reply to a commit is lost': { match: 'rename counts/part', nth: 3, moment: 'after', how: 'EIO', times: 2 },
  'F10: a commit fails twice': { match: 'rename evens/part', nth: 3, moment: 'before', how: 'EIO', times: 2 },
  'F10: the fsync of a commit fails, nobody knows whether it is durable': {
    match: 'fsync counts$',
    nth: 4,
    moment: 'before',
    how: 'EIO',
  },
}

test.each(Object.entries(replies))('%s, the process lives: asked until clear', async (_name, strike) => {
  using arena = new Arena()
  const run = await arena.run(0, { strikes: [strike] })
  expect(run.struck.length).toBe(strike.times ?? 1)
  kills += run.struck.length
  facts += arena.expectComplete()
})

test('the crash points were really met', () => {
  tell('crash points', { 'kills and faults fired': kills, facts })
  expect(kills).toBeGreaterThanOrEqual(Object.keys(rows).length * 2 + 7)
  expect(facts).toBeGreaterThan((Object.keys(rows).length + Object.keys(replies).length) * FACTS)
})

function hiddenOf(arena: Arena, sink: string, kind: 'part' | 'keep'): readonly string[] {
  return arena.hidden(sink).filter((name) => name.endsWith(`.${kind}`))
}

/** Half-written files of the store. */
function debrisOf(arena: Arena): readonly string[] {
  return arena.names('.sluice/kills/blob/00000001').filter((name) => name.startsWith('~'))
}

/** Visible files that come from these hidden ones. */
function visibleAmong(arena: Arena, hidden: readonly string[]): readonly string[] {
  const keys = new Set(hidden.map((name) => /--(\d{8})--(.+)--(\d{4})--(\d{9})\./.exec(name)?.slice(1).join('--')))
  return [...arena.names('counts'), ...arena.names('evens')].filter((name) =>
    keys.has(/^part-(\d{8}--.+--\d{4}--\d{9})--/.exec(name)?.[1]),
  )
}
