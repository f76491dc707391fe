/**
 * What every replayable source must do, as named checks that return or throw: run by `testSource`, and against seeded broken sources to
 * show that each of them can fail. The variants of a source differ in batch sizes and pace, never in records: identical replays hide bugs.
 */
import assert from 'node:assert/strict'
import { isDeepStrictEqual } from 'node:util'
import type { Source, SplitLike } from '../../engine/api/index.ts'
import {
  contextIn,
  copyOf,
  openReader,
  pause,
  takeBatches,
  withReader,
  type AnySource,
  type Positions,
  type Take,
  type TakenBatch,
} from './source-run.ts'

/** How one kind of source is opened on the same records, again and again. */
export interface SourceUnderTest<Out, Split extends SplitLike, Position> {
  /** The same records each time, in batches of other sizes for other variants (0, 1: small; 2: large): as several processes would. */
  readonly open: (variant: number) => Source<Out, Split, Position>
  /** How many records there are in all splits: 20 or more, in more than one batch. Of an endless source: how many are read. */
  readonly records: number
  /** There is no end: the checks of the end are left out. */
  readonly isEndless?: boolean
  readonly baseDirectory?: string
  /** Before each check, where `acknowledge` makes the system forget: all records are there again. */
  readonly renew?: () => Promise<void>
}

/** A source whose types no longer matter. */
export interface AnySourceUnderTest {
  /** As in {@link SourceUnderTest}. */
  readonly open: (variant: number) => AnySource
  readonly records: number
  readonly isEndless?: boolean
  readonly baseDirectory?: string
}

/** Resolves when the source holds what is asked of it. */
export type SourceCheck = (source: AnySourceUnderTest) => Promise<void>

const VARIANTS = [0, 1, 2]
const PLACES_TRIED = 24
const KILL_ROUNDS = 8
const LEAST_RECORDS = 20

/** By what they say of a source; for a runner of your own. Each rejects with what went wrong. */
export const sourceChecks: Readonly<Record<string, SourceCheck>> = {
  'every run gives the same records in the same order, split by split, in batches of whatever size': async (source) => {
    const expected = await reference(source)
    for (const variant of VARIANTS) {
      assertSame(source, await readAll(source, { variant }), expected, `variant ${variant}`)
    }
  },

  'from every position exactly the records behind it are read': async (source) => {
    const expected = await reference(source)
    const batches = await readAll(source)
    const read = new Map<string, number>()
    const step = stepOf(batches)
    for (const [index, { split, values, after }] of batches.entries()) {
      const upTo = (read.get(split.id) ?? 0) + values.length
      read.set(split.id, upTo)
      if (index % step !== 0) continue
      const behind = (expected.get(split.id) ?? []).slice(upTo)
      const start = { only: { split: copyOf(split), position: copyOf(after) } }
      const found = await withReader(source.open(1), { ...source, start }, async (reader) =>
        takeBatches(reader, source.isEndless === true ? { records: behind.length } : {}),
      )
      const values1 = found.flatMap((batch) => batch.values)
      assert.deepEqual(
        source.isEndless === true ? values1.slice(0, behind.length) : values1,
        behind,
        JSON.stringify(after),
      )
    }
  },

  'splits and positions are plain JSON, and a position given once does not change later': async (source) => {
    for (const found of await source.open(0).discover(contextOf(source), [])) {
      assertPlain(found.split)
      assertPlain(found.start)
    }
    const batches = await readAll(source)
    for (const { split, after, afterThen } of batches) {
      assertPlain(split)
      assertPlain(after)
      assert.equal(JSON.stringify(after), afterThen, 'a position was changed after it was given')
    }
  },

  'splits have ids of their own, and are found in the same order with the same starts when they are known': async (
    source,
  ) => {
    const first = await source.open(0).discover(contextOf(source), [])
    assert.ok(first.length > 0, 'no split was discovered')
    assert.equal(new Set(first.map(({ split }) => split.id)).size, first.length, 'two splits have one id')
    const known = first.map(({ split }) => copyOf(split))
    assert.deepEqual(await source.open(1).discover(contextOf(source), known), first)
  },

  'each split ends once, behind its records, and the end comes when all have': async (source) => {
    if (source.isEndless === true) return
    const splits = await source.open(0).discover(contextOf(source), [])
    const ended: string[] = []
    await withReader(source.open(0), source, async (reader) => {
      for (let polls = 0; ; polls += 1) {
        assert.ok(polls < 100_000, `${polls} polls, and no end`)
        const polled = await reader.poll(new AbortController().signal)
        if (polled.kind === 'ended') break
        if (polled.kind === 'idle') await pause(polled.retryAfterMs)
        else assert.ok(!ended.includes(polled.split.id), `${polled.split.id}: ${polled.kind} after its end`)
        if (polled.kind === 'split-ended') ended.push(polled.split.id)
      }
    })
    assert.deepEqual(ended.toSorted(), splits.map(({ split }) => split.id).toSorted())
  },

  'with nothing to read the end comes at once': async (source) => {
    if (source.isEndless === true) return
    const start = { none: true }
    await withReader(source.open(0), { ...source, start }, async (reader) => {
      assert.deepEqual(await reader.poll(new AbortController().signal), { kind: 'ended' })
    })
  },

  'an aborted poll answers soon and loses nothing': async (source) => {
    const expected = await reference(source)
    for (const variant of VARIANTS) {
      const found = await readAll(source, { variant, abortFirst: true })
      assertSame(source, found, expected, `variant ${variant}, each poll aborted and asked again`)
    }
  },

  'splits that are added between two polls are read from their start, beside the others, none lost and none twice (F32)':
    async (source) => {
      if (source.open(0).discoverEveryMs === undefined) return
      const expected = await reference(source)
      const all = await source.open(0).discover(contextOf(source), [])
      assert.ok(all.length > 1, 'give a source of several splits')
      const found = await withReader(source.open(1), { ...source, start: { none: true } }, async (reader) => {
        assert.ok(reader.addSplits !== undefined, 'the source has discoverEveryMs, its reader no addSplits')
        const batches: TakenBatch[] = []
        for (const { split } of all) {
          // Found by itself, some time later.
          const known = all.map((one) => one.split).filter(({ id }) => id !== split.id)
          const again = await source.open(2).discover({ ...contextOf(source), isFirst: false }, known)
          const mine = again.find((one) => one.split.id === split.id)
          assert.ok(mine !== undefined, `${split.id} is not found`)
          await reader.addSplits([{ split: copyOf(mine.split), position: copyOf(mine.start) }])
          batches.push(...(await takeBatches(reader, { polls: 3 })))
        }
        const limit = source.isEndless === true ? { records: source.records - countOf(batches) } : {}
        return [...batches, ...(await takeBatches(reader, limit))]
      })
      assertSame(source, found, expected, 'splits added one by one')
      assert.ok(countOf(found) >= source.records, `${countOf(found)} records`)
    },

  'a barrier between the return of a batch and its push loses nothing (F35)': async (source) => {
    const expected = await reference(source)
    const all = await readAll(source)
    const step = stepOf(all)
    for (let barrier = 0; barrier < all.length; barrier += step) {
      // What the checkpoint holds: everything before the batch that was returned, and not that batch.
      const positions: Positions = new Map()
      const pushed = await withReader(source.open(0), source, async (reader) => {
        const batches = await takeBatches(reader, { batches: barrier, positions })
        await takeBatches(reader, { batches: 1 })
        return batches
      })
      const replayed = await readAll(source, { variant: 1, positions, done: pushed })
      assertSame(source, [...pushed, ...replayed], expected, `a barrier after ${barrier} batches`)
    }
  },

  'killed and restored again and again, each record comes once and in order': async (source) => {
    const expected = await reference(source)
    const positions: Positions = new Map()
    const kept: TakenBatch[] = []
    for (let round = 0; round < KILL_ROUNDS; round += 1) {
      // A retained checkpoint, older than those to come.
      const retained = [...positions.values()].map(({ split, position }) => ({ split, position: copyOf(position) }))
      const start = { positions }
      await withReader(source.open(round % 2), { ...source, start }, async (reader) => {
        kept.push(...(await takeBatches(reader, { batches: round % 2, positions })))
        if (retained.length > 0) await reader.acknowledge?.(retained)
        kept.push(...(await takeBatches(reader, { batches: 1 + (round % 3), positions })))
        // Returned, and in no checkpoint.
        await takeBatches(reader, { batches: round % 4 })
        const abort = new AbortController()
        const pending = Promise.resolve(reader.poll(abort.signal)).catch(() => undefined)
        abort.abort()
        await pending
      })
    }
    kept.push(...(await readAll(source, { positions, done: kept })))
    assertSame(source, kept, expected, `${KILL_ROUNDS} kills`)
  },

  'a batch has as many timestamps as records, if any': async (source) => {
    for (const { values, timestamps } of await readAll(source)) {
      if (timestamps !== undefined) assert.equal(timestamps.length, values.length)
    }
  },

  'a reader can be disposed of at any time, a poll pending or not': async (source) => {
    for (const polls of [0, 1, 2]) {
      const reader = await openReader(source.open(0), source)
      await takeBatches(reader, { batches: polls })
      const abort = new AbortController()
      const pending = Promise.resolve(reader.poll(abort.signal)).catch(() => undefined)
      abort.abort()
      await reader[Symbol.asyncDispose]()
      await pending
    }
  },
}

interface Read extends Take {
  readonly variant?: number
  readonly positions?: Positions
  /** What was read before, of an endless source: it makes the rest shorter. */
  readonly done?: readonly TakenBatch[]
}

/** To the end, or of an endless source until there are `records` of them. */
async function readAll(source: AnySourceUnderTest, read: Read = {}): Promise<TakenBatch[]> {
  const { variant = 0, positions, done = [], ...take } = read
  const limit = source.isEndless === true ? { records: source.records - countOf(done) } : {}
  const start = positions === undefined ? {} : { positions }
  return await withReader(source.open(variant), { ...source, start }, async (reader) =>
    takeBatches(reader, { ...take, ...limit }),
  )
}

async function reference(source: AnySourceUnderTest): Promise<Map<string, unknown[]>> {
  assert.ok(source.records >= LEAST_RECORDS, `give a source of ${LEAST_RECORDS} records or more`)
  const batches = await readAll(source)
  assert.ok(batches.length > 1, 'give a variant 0 of more than one batch')
  const found = countOf(batches)
  if (source.isEndless === true) assert.ok(found >= source.records, `${found} records`)
  else assert.equal(found, source.records, 'the number of records')
  return bySplit(batches)
}

/** Of an endless source as far as both go: a record that is missing shifts all behind it. */
function assertSame(
  source: AnySourceUnderTest,
  batches: readonly TakenBatch[],
  expected: ReadonlyMap<string, readonly unknown[]>,
  where: string,
): void {
  const found = bySplit(batches)
  for (const split of new Set([...expected.keys(), ...found.keys()])) {
    const one = found.get(split) ?? []
    const other = expected.get(split) ?? []
    const length = source.isEndless === true ? Math.min(one.length, other.length) : undefined
    assert.deepEqual(one.slice(0, length), other.slice(0, length), `${where}: split ${split}`)
  }
}

function bySplit(batches: readonly TakenBatch[]): Map<string, unknown[]> {
  const found = new Map<string, unknown[]>()
  for (const { split, values } of batches) found.set(split.id, [...(found.get(split.id) ?? []), ...values])
  return found
}

function assertPlain(value: unknown): void {
  const text = JSON.stringify(value)
  assert.ok(text !== undefined && isDeepStrictEqual(JSON.parse(text), value), `not plain JSON: ${String(text)}`)
}

function countOf(batches: readonly TakenBatch[]): number {
  return batches.reduce((sum, batch) => sum + batch.values.length, 0)
}

function stepOf(batches: readonly unknown[]): number {
  return Math.max(1, Math.floor(batches.length / PLACES_TRIED))
}

function contextOf(source: AnySourceUnderTest): ReturnType<typeof contextIn> {
  return contextIn(source.baseDirectory ?? process.cwd())
}
