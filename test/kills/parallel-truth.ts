/** What became visible of parallel.job.ts, compared with what one uninterrupted run gives, from outside: files, and the log as files. */
import { deepEqual, ok } from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { OperatorStateHandle } from '../../engine/checkpoint/manifest.ts'
import { loadOperatorState } from '../../engine/state/operator-state-store.ts'
import { Arena, type ManifestFacts, type RetainedFacts } from './harness.ts'
import {
  ALL,
  IN_A,
  IN_B,
  isOdd,
  isRule,
  keyOf,
  linesBefore,
  nameOf,
  orderedOf,
  sharedKeyOf,
  writeInput,
  type Numbered,
} from './parallel-input.ts'

export const PARALLEL_SINKS = ['direct', 'plain', 'ordered', 'odd', 'joined', 'ruled-out'] as const
/** Another pace than the first run. */
export const PARALLEL_REPLAY = { BLOCK: 330, BATCHES: 3, INTERVAL_MS: 7 }

export function parallelArena(): Arena {
  const arena = new Arena()
  writeInput(arena.directory)
  return arena
}

export function at(parallelism: number): readonly string[] {
  return ['--parallelism', String(parallelism)]
}

/**
 * At any moment: nothing twice, nothing out of order, nothing that no completed checkpoint holds (C1), all that the log calls committed
 * (C2). Returns the number of facts compared.
 */
export function expectPrefix(arena: Arena): number {
  const newest = arena.log().at(-1)
  const most = readBy(arena, newest?.retained.at(-1))
  const least = readBy(
    arena,
    newest?.retained.find(({ checkpoint }) => checkpoint === newest.committedThrough),
  )
  let facts = 0
  for (const { seen, expected, sink } of groupsOf((name) => arena.visible(name))) {
    deepEqual(
      seen,
      expected.slice(0, seen.length).map(({ line }) => line),
      sink,
    )
    const bound = (counts: ReadonlyMap<string, number>): number =>
      expected.filter(({ of }) => of !== 'the end' && of.index < (counts.get(of.file) ?? 0)).length
    const records = seen.filter((line) => !line.includes('the end')).length
    ok(records <= bound(most), `${sink}: ${records} visible, ${bound(most)} completed`)
    ok(records >= bound(least), `${sink}: ${records} visible, ${bound(least)} committed`)
    facts += seen.length
  }
  const plain = arena.visible('plain')
  ok(new Set(plain).size === plain.length, 'plain has a record twice')
  const known = new Set(ALL.map((one) => JSON.stringify(nameOf(one))))
  ok(plain.every((name) => known.has(name)))
  return facts + plain.length
}

export interface Expectation {
  /** Names of what a person has given up. */
  readonly lost?: readonly string[]
  /** Left out: that of operator "held". */
  readonly waitingIn?: string
  /** Where a consumer has taken everything to; default the directories of the sinks. */
  readonly taken?: string
  /** A generation of a fenced process: what it prepared after it was woken stays hidden. */
  readonly fenced?: number
}

/** Each record once, in order by key, sums right, closing output once, nothing hidden left. Returns the number of facts compared. */
export async function expectComplete(arena: Arena, expectation: Expectation = {}): Promise<number> {
  const { lost = [], waitingIn = 'held', fenced = 0, taken = '.' } = expectation
  let facts = 0
  const see = (sink: string): readonly string[] => arena.visible(join(taken, sink))
  for (const { sink, seen, expected } of groupsOf(see)) {
    deepEqual(
      seen,
      expected.map(({ line }) => line),
      sink,
    )
    facts += seen.length
  }
  const waiting = await waitingOf(arena, waitingIn)
  const plain = see('plain').map((line) => JSON.parse(line) as string)
  deepEqual([...plain, ...waiting, ...lost].toSorted(), ALL.map(nameOf).toSorted(), 'plain, and what waits')
  const rules = await heldBy(arena, { operator: 'ruled', state: 'rules' })
  deepEqual(
    rules.map(([name]) => name).toSorted(),
    ALL.filter(isRule).map(nameOf).toSorted(),
    'not every subtask has all rules',
  )
  const mayStay = `--${String(fenced).padStart(8, '0')}--`
  for (const sink of PARALLEL_SINKS) {
    deepEqual(
      arena.hidden(sink).filter((name) => !name.includes(mayStay)),
      [],
    )
  }
  return facts + ALL.length + rules.length
}

/** What waits in operator state in the newest checkpoint, all subtasks together. */
export async function waitingOf(arena: Arena, operator = 'held'): Promise<readonly string[]> {
  return (await entriesOf(arena, { operator, state: 'waiting' })) as readonly string[]
}

export interface Ends {
  readonly a: boolean
  readonly b: boolean
}

/** Of the newest completed checkpoint: which source has ended in it. Said by all subtasks alike, or by none. */
export function endsIn(arena: Arena): Ends | undefined {
  const newest = arena.log().at(-1)?.retained.at(-1)
  if (newest === undefined) return undefined
  const { operators } = arena.manifestOf(newest)
  const [a, b] = (['a', 'b'] as const).map((source) => {
    const ended = operators.filter((one) => one.operator === source).map((one) => one.ended)
    deepEqual(new Set(ended).size, 1, `subtasks of ${source} do not agree whether it has ended`)
    return ended[0] === true
  })
  return { a: a ?? false, b: b ?? false }
}

interface Group {
  readonly sink: string
  /** Visible, in order. */
  readonly seen: readonly string[]
  readonly expected: readonly { readonly line: string; readonly of: Numbered | 'the end' }[]
}

/** Lines of a sink, in the order of its files. */
type See = (sink: string) => readonly string[]

/** By sink and by what has an order within it. */
function groupsOf(see: See): readonly Group[] {
  const perFile = [...new Set(IN_A.map(({ file }) => file))].flatMap((file) =>
    (['direct', 'ruled-out'] as const).map((sink): Group => {
      const mine = IN_A.filter((one) => one.file === file)
      const seen = see(sink).filter((line) => line.startsWith(`"${file}.`))
      // Behind an exchange that only broadcasts change the order is that of the file, too.
      return { sink, seen, expected: mine.map((of) => ({ line: JSON.stringify(nameOf(of)), of })) }
    }),
  )
  const perKey = [...new Set(ALL.map(keyOf))].flatMap((key): readonly Group[] => {
    const mine = ALL.filter((one) => keyOf(one) === key)
    const ordered = see('ordered').filter((line) => line.startsWith(`{"key":"${key}"`))
    const odd = mine.filter(isOdd)
    const names = new Set(odd.map((one) => JSON.stringify(nameOf(one))))
    return [
      { sink: 'ordered', seen: ordered, expected: mine.map((of) => ({ line: ORDERED.get(nameOf(of)) ?? '', of })) },
      {
        sink: 'odd',
        seen: see('odd').filter((line) => names.has(line)),
        expected: odd.map((of) => ({ line: JSON.stringify(nameOf(of)), of })),
      },
    ]
  })
  return [...perFile, ...perKey, ...joinedGroups(see), ...ends(see)]
}

const ORDERED = new Map(ALL.map((one) => [nameOf(one), JSON.stringify(orderedOf(one))]))

/** Which records of a key came first is open, as they are in several files; how many there were is not. */
function joinedGroups(see: See): readonly Group[] {
  const visible = see('joined')
  const sides = [
    ['a', IN_A],
    ['b', IN_B],
  ] as const
  return sides.flatMap(([side, records]) =>
    [...new Set(records.map(sharedKeyOf))].map((key): Group => {
      const mine = records.filter((one) => sharedKeyOf(one) === key)
      return {
        sink: 'joined',
        seen: visible.filter((line) => line.startsWith(`["${side}",${key},`)),
        expected: mine.map((of, index) => ({ line: JSON.stringify([side, key, index + 1]), of })),
      }
    }),
  )
}

function ends(see: See): readonly Group[] {
  const lines = { ordered: '{"key":"the end"}', joined: '["the end"]' } as const
  return Object.entries(lines).map(([sink, line]) => ({
    sink,
    seen: see(sink).filter((one) => one === line),
    expected: [{ line, of: 'the end' }],
  }))
}

/** Lines of each file before the positions of a checkpoint. */
function readBy(arena: Arena, retained: RetainedFacts | undefined): ReadonlyMap<string, number> {
  if (retained === undefined) return new Map()
  const splits = arena.manifestOf(retained).operators.flatMap((one) => one.splits ?? [])
  return new Map(
    splits.map(({ split, position }) => {
      const file = /(\w+)\.ndjson$/.exec(split.id)?.[1] ?? ''
      return [file, linesBefore(file, (position as { readonly byte: number }).byte)]
    }),
  )
}

interface StateName {
  readonly operator: string
  readonly state: string
}

async function heldBy(arena: Arena, name: StateName): Promise<readonly (readonly [string, unknown])[]> {
  return (await entriesOf(arena, name)) as readonly (readonly [string, unknown])[]
}

async function entriesOf(arena: Arena, { operator, state }: StateName): Promise<readonly unknown[]> {
  const newest = arena.newest().retained.at(-1)
  if (newest === undefined) return []
  const entries: unknown[] = []
  for (const one of partsOf(arena.manifestOf(newest), operator)) {
    const decoded = await loadOperatorState(one, (blob) =>
      Promise.resolve(readFileSync(arena.path('.sluice', blob.key))),
    )
    entries.push(...(decoded.get(state)?.entries ?? []))
  }
  return entries
}

function partsOf({ operators }: ManifestFacts, operator: string): readonly OperatorStateHandle[] {
  return operators.flatMap((one) =>
    one.operator === operator && one.operatorState !== undefined ? [one.operatorState] : [],
  )
}
