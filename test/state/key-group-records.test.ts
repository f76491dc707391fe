/** Records by key beside a Map: growth, removal, keys made to collide, and cursors that go on while pages are replaced. */
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { KeyGroup } from '../../engine/state/key-group-records.ts'
import { javaHash } from '../../engine/state/key-group.ts'
import type { RecordPlace } from '../../engine/state/record-page.ts'
import { ProbeKey } from '../../engine/state/probe-key.ts'
import { GroupCursor } from '../../engine/state/snapshot-cursor.ts'

/** "Aa" and "BB" have one Java hash, and so has every sequence of them. */
function colliding(count: number, pairs = 14): readonly string[] {
  return Array.from({ length: count }, (_, index) =>
    index.toString(2).padStart(pairs, '0').replaceAll('0', 'Aa').replaceAll('1', 'BB'),
  )
}

class Records {
  readonly group = new KeyGroup(0)
  readonly place: RecordPlace = { page: this.group.pageOf(0), at: -1 }

  get(key: string): unknown {
    return this.group.find(new ProbeKey().read(key), this.place) ? this.place.page.values[this.place.at] : undefined
  }

  set(key: string, value: number): void {
    if (!this.group.find(new ProbeKey().read(key), this.place)) this.group.add(new ProbeKey().read(key), this.place)
    this.place.page.values[this.place.at] = value
  }

  delete(key: string): void {
    if (this.group.find(new ProbeKey().read(key), this.place)) this.group.remove(this.place)
  }
}

test('records are those of a Map, whatever is set and deleted, keys of one hash too', () => {
  const keys = [...colliding(120), ...Array.from({ length: 200 }, (_, index) => `k${index}`)]
  const step = fc.record({ key: fc.nat(keys.length - 1), isDelete: fc.nat(3).map((n) => n === 0), value: fc.nat() })
  let compared = 0
  fc.assert(
    fc.property(fc.array(step, { minLength: 1, maxLength: 2_000, size: 'max' }), (steps) => {
      const records = new Records()
      const truth = new Map<string, number>()
      for (const { key: number, isDelete, value } of steps) {
        const key = keys[number] ?? ''
        if (isDelete) {
          records.delete(key)
          truth.delete(key)
        } else {
          records.set(key, value)
          truth.set(key, value)
        }
      }
      for (const key of keys) {
        expect(records.get(key)).toBe(truth.get(key))
        compared += 1
      }
      expect(records.group.entryCount).toBe(truth.size)
    }),
    { numRuns: 60, seed: 11 },
  )
  expect(compared).toBeGreaterThan(10_000)
})

test('a hundred thousand keys are found again, and the pages of what was deleted are used again (C8)', () => {
  const records = new Records()
  for (let key = 0; key < 100_000; key += 1) records.set(`key-${key}`, key)
  let found = 0
  for (let key = 0; key < 100_000; key += 1) if (records.get(`key-${key}`) === key) found += 1
  expect(found).toBe(100_000)
  const cells = (): number => records.group.pages().reduce((sum, page) => sum + page.cellCount, 0)
  const before = cells()
  expect(before).toBeLessThan(600_000)
  for (let key = 100_000; key < 500_000; key += 1) {
    records.delete(`key-${key - 100_000}`)
    records.set(`key-${key}`, key)
  }
  expect(records.group.entryCount).toBe(100_000)
  expect(cells()).toBeLessThan(before * 1.5)
})

test('keys made to collide cost a bounded number of looks, not one per key (C8)', () => {
  // Long ones are compared as strings, short ones as words.
  const [long, short] = [colliding(16_000), colliding(1_000, 10)]
  expect([new Set(long.map(javaHash)).size, new Set(short.map(javaHash)).size]).toEqual([1, 1])
  const keys = [...long, ...short]
  const records = new Records()
  for (const [index, key] of keys.entries()) records.set(key, index)
  expect(keys.every((key, index) => records.get(key) === index)).toBe(true)
  // Those that lie elsewhere are in pages of 64, which nobody has to search.
  expect(Math.max(...records.group.pages().map(({ cellCount }) => cellCount))).toBeLessThanOrEqual(2_048)
  for (const key of keys) records.delete(key)
  expect(records.group.isEmpty).toBe(true)
})

test('a cursor meets every record that was there when it was made, although pages are replaced meanwhile', () => {
  for (const keys of [Array.from({ length: 3_000 }, (_, index) => `k${index}`), colliding(300), colliding(300, 10)]) {
    const records = new Records()
    for (const [index, key] of keys.entries()) records.set(key, index)
    const cursor = new GroupCursor(records.group)
    const met = new Map<string, unknown>()
    for (let added = 0; cursor.next(); added += 1) {
      met.set(cursor.page.keyAt(cursor.at), cursor.page.values[cursor.at])
      expect(cursor.page.isLeft).toBe(false)
      for (let more = 0; more < 5; more += 1) records.set(`new-${added}-${more}`, 0)
      // As a user does: what was met may change; what comes is seen as it is now.
      records.set(keys.at(-1) ?? '', -1)
    }
    expect(keys.filter((key) => !met.has(key))).toEqual([])
    expect(records.get(keys.at(-1) ?? '')).toBe(-1)
  }
})
