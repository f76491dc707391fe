import fc from 'fast-check'
import { expect, test } from 'vitest'
import { CorruptCheckpointError } from '../../engine/api/index.ts'
import { dealNewSplits, dealSplits, endedOf, shareOf } from '../../engine/task/share.ts'
import type { SplitState } from '../../engine/task/source-port.ts'

/** 1 → 2 → 3 → 5 → 6 → 5 → 2 → 5 → 3 → 2 → 1: the ten pairs that Flink is tried with, one after another. */
const pairs = [
  [1, 2],
  [2, 3],
  [3, 5],
  [5, 6],
  [6, 5],
  [5, 2],
  [2, 5],
  [5, 3],
  [3, 2],
  [2, 1],
] as const

const subtasksOf = (parallelism: number): readonly number[] => Array.from({ length: parallelism }, (_, index) => index)
const ascending = (a: number, b: number): number => a - b
const spread = (counts: readonly number[]): number => Math.max(...counts) - Math.min(...counts)

interface Part {
  readonly subtask: number
  readonly parallelism: number
  readonly entries: readonly number[]
}
function restore(parts: readonly Part[], parallelism: number): readonly Part[] {
  return subtasksOf(parallelism).map((subtask) => {
    const me = { subtask, parallelism }
    return { ...me, entries: shareOf(parts, me) }
  })
}
const shuffled = <T>(all: readonly T[]) => fc.shuffledSubarray([...all], { minLength: all.length })

test('through ten rescales no entry is lost or doubled, and shares are even (F23)', () => {
  const rounds = fc.record({ count: fc.nat(40), growth: fc.array(fc.nat(5), { minLength: 10, maxLength: 10 }) })
  fc.assert(
    fc.property(rounds, fc.gen(), ({ count, growth }, gen) => {
      let all = subtasksOf(count)
      let parts: readonly Part[] = [{ subtask: 0, parallelism: 1, entries: all }]
      for (const [round, [from, to]] of pairs.entries()) {
        expect(parts).toHaveLength(from)
        parts = restore(gen(shuffled, parts), to)
        expect(parts.flatMap(({ entries }) => entries).toSorted(ascending)).toEqual(all)
        expect(spread(parts.map(({ entries }) => entries.length))).toBeLessThanOrEqual(1)
        // Subtask 0 goes on adding, so the next shares begin uneven.
        const added = subtasksOf(growth[round] ?? 0).map((one) => all.length + one)
        all = [...all, ...added]
        parts = parts.map((part) => (part.subtask === 0 ? { ...part, entries: [...part.entries, ...added] } : part))
      }
    }),
  )
})

test('at the same parallelism each subtask has what it had, however uneven', () => {
  const parts = fc.array(fc.array(fc.integer()), { minLength: 1, maxLength: 6 })
  fc.assert(
    fc.property(parts, (entries) => {
      const parallelism = entries.length
      const old = entries.map((one, subtask) => ({ subtask, parallelism, entries: one }))
      expect(restore(old.toReversed(), parallelism)).toEqual(old)
    }),
  )
})

test('entries are dealt out in the order of subtask and index', () => {
  const parts = [
    { subtask: 1, parallelism: 2, entries: ['d'] },
    { subtask: 0, parallelism: 2, entries: ['a', 'b', 'c'] },
  ]
  expect(subtasksOf(3).map((subtask) => shareOf(parts, { subtask, parallelism: 3 }))).toEqual([
    ['a', 'd'],
    ['b'],
    ['c'],
  ])
  expect(shareOf(parts, { subtask: 0, parallelism: 1 })).toEqual(['a', 'b', 'c', 'd'])
  expect(shareOf([], { subtask: 0, parallelism: 1 })).toEqual([])
})

test('parts that are not one whole are refused', () => {
  const part = (subtask: number, parallelism: number) => ({ subtask, parallelism, entries: [], ended: true })
  for (const parts of [[part(1, 2)], [part(0, 2), part(0, 2)], [part(0, 1), part(1, 2)], [part(0, 2), part(1, 3)]]) {
    expect(() => shareOf(parts, { subtask: 0, parallelism: 2 })).toThrow(CorruptCheckpointError)
    expect(() => endedOf(parts, 0)).toThrow(/one part of each subtask; it holds those of \d of \d/)
  }
})

const splitsOf = (ended: readonly boolean[]): readonly SplitState[] =>
  ended.map((one, index) => ({ split: { id: `s${index}` }, position: index, ended: one }))
const positions = (share: readonly SplitState[]): readonly number[] => share.map(({ position }) => Number(position))

test('through ten rescales no split is lost or read twice, and what is still read is even (F23)', () => {
  fc.assert(
    fc.property(fc.array(fc.boolean(), { maxLength: 30 }), fc.gen(), (ended, gen) => {
      const splits = splitsOf(ended)
      for (const [from, to] of pairs) {
        const old = dealSplits(splits, from)
        expect(old.flatMap(positions).toSorted(ascending)).toEqual(splits.map((_, index) => index))
        for (const split of splits) if (gen(fc.boolean)) split.ended = true
        const shares = dealSplits(splits, to)
        expect(shares).toHaveLength(to)
        expect(shares.flatMap(positions).toSorted(ascending)).toEqual(splits.map((_, index) => index))
        for (const share of shares) expect(positions(share)).toEqual(positions(share).toSorted(ascending))
        expect(spread(shares.map((share) => share.length))).toBeLessThanOrEqual(1)
        expect(spread(shares.map((share) => share.filter((one) => one.ended).length))).toBeLessThanOrEqual(1)
        expect(spread(shares.map((share) => share.filter((one) => !one.ended).length))).toBeLessThanOrEqual(1)
      }
    }),
  )
})

test('splits are dealt out alike whenever they are the same', () => {
  const splits = splitsOf([false, true, false, false, true, false, true])
  expect(dealSplits(splits, 3).map(positions)).toEqual([
    [0, 5, 6],
    [2, 4],
    [1, 3],
  ])
  expect(dealSplits(splits, 3)).toEqual(dealSplits(splits, 3))
  expect(dealSplits([], 2)).toEqual([[], []])
})

test('closing output is given once: what the part of subtask 0 says holds at every parallelism (F24)', () => {
  const parts = (...ended: boolean[]) =>
    ended.map((one, subtask) => ({ subtask, parallelism: ended.length, ended: one })).toReversed()
  expect(endedOf(parts(true, false), 0)).toBe(true)
  expect(endedOf(parts(false, true), 0)).toBe(false)
  expect(endedOf(parts(true), 0)).toBe(true)
  // No other subtask has any: it is as if it had not ended, until its inputs say so again.
  expect(endedOf(parts(true, true), 1)).toBe(false)
  expect(endedOf([], 0)).toBe(false)
})

test('new splits go, in order, to whom has the fewest open ones; whoever takes no more gets none', () => {
  const counts = fc.array(fc.option(fc.nat(6), { nil: undefined }), { minLength: 1, maxLength: 5 })
  fc.assert(
    fc.property(counts, fc.nat(12), (before, count) => {
      const splits = Array.from({ length: count }, (_, index) => ({
        split: { id: `${index}` },
        position: 0,
        ended: false,
      }))
      const open = [...before]
      const shares = dealNewSplits(splits, open)
      const dealt = [...shares.values()].flat()
      const isTaken = before.some((one) => one !== undefined)
      const expected = isTaken ? splits.map((_, index) => index) : []
      expect(dealt.map(({ split }) => Number(split.id)).toSorted(ascending)).toEqual(expected)
      for (const [subtask, share] of shares) {
        expect(before[subtask]).not.toBe(undefined)
        expect(share.map(({ split }) => Number(split.id))).toEqual(
          share.map(({ split }) => Number(split.id)).toSorted(ascending),
        )
        // Nobody who got one has more than one above anybody.
        const fewest = Math.min(...open.filter((one) => one !== undefined))
        expect((open[subtask] ?? 0) - fewest).toBeLessThanOrEqual(1)
      }
    }),
  )
})
