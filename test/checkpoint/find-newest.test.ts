import fc from 'fast-check'
import { expect, test } from 'vitest'
import { startSearch } from '../../engine/checkpoint/find-newest.ts'
import { cleanableBelow } from '../../engine/checkpoint/retention.ts'

/** Searches a log of `newest` entries that was cleaned as far as it may be; every other number is gone. */
function search(newest: number, distance: number): { readonly found: number; readonly reads: number } {
  const newestMark = Math.floor(newest / distance)
  const oldest = cleanableBelow(newestMark, distance)
  let step = startSearch(distance)
  let reads = 0
  while (step.kind !== 'found') {
    reads += 1
    const { kind, number } = step
    const exists = kind === 'probe-mark' ? number <= newestMark : number >= oldest && number <= newest
    step = step.next(number > 0 && exists)
  }
  return { found: step.seq, reads }
}

test('the newest entry of any log is found', () => {
  fc.assert(
    fc.property(fc.nat({ max: 5_000 }), fc.integer({ min: 1, max: 50 }), (newest, distance) => {
      expect(search(newest, distance).found).toBe(newest)
    }),
    { numRuns: 2_000 },
  )
})

test('a log without its last waymark is searched all the same', () => {
  let step = startSearch(10)
  while (step.kind !== 'found') step = step.next(step.kind === 'probe-mark' ? step.number <= 1 : step.number <= 20)
  expect(step.seq).toBe(20)
})

test('it takes about twenty reads, at most forty after a year of one entry a second', () => {
  expect(search(0, 1_000).reads).toBe(2)
  expect(search(10_000, 1_000).reads).toBeLessThan(20)
  const year = fc.integer({ min: 1, max: 365 * 24 * 3_600 })
  fc.assert(
    fc.property(year, (newest) => {
      expect(search(newest, 1_000).reads).toBeLessThan(52)
    }),
  )
})
