/**
 * The records of one key group: pages, found by the upper bits of a spread hash (extendible hashing), and what is dirty among them.
 *
 * - T3: it grows a page at a time: a small page is replaced by a larger one, a full one by two.
 * - C8: what finds no cell within its window lies in a page of its own, found by a Map, whose hash nobody outside can foresee: keys made to
 *   collide (Java's hash invites it) cost a bounded time each.
 */
import { assert, InvariantViolation } from '../api/index.ts'
import type { Entry } from './entry.ts'
import type { ProbeKey } from './probe-key.ts'
import { RecordPage, spread, type RecordPlace } from './record-page.ts'

const LEAST_CELLS = 8
const MOST_CELLS = 2_048
const GROWTH = 2
/** A page that is fuller, in eighths, grows. */
const FULL_EIGHTHS = 6
/** A page with so many buried cells is written anew instead. */
const WORTH_CLEANING_EIGHTHS = 1
/** A page that is emptier does not grow for a record that found no cell: others are just as likely to collide. */
const WORTH_GROWING_EIGHTHS = 2
const MOST_DEPTH = 20
const ELSEWHERE_CELLS = 64
/** Of a group's entries. */
const SCANNED_SHARE = 8

/**
 * What was written in one epoch: records, by the places they had then, and other entries. When the records are much of the group, their
 * places are not kept: all records are looked at instead, which one after another come from memory in a fraction of the time.
 */
export class DirtyList {
  pages: RecordPage[] = []
  places: number[] = []
  readonly entries: Entry[] = []
  #recordCount = 0
  #isScanned = false

  get count(): number {
    return this.#recordCount + this.entries.length
  }

  get recordCount(): number {
    return this.#recordCount
  }

  /** All records of the group are to be looked at. */
  get isScanned(): boolean {
    return this.#isScanned
  }

  addRecord(page: RecordPage, at: number): void {
    this.#recordCount += 1
    if (this.#isScanned) return
    if (isWorthScanning(this.#recordCount, page.group)) {
      this.#isScanned = true
      this.pages = []
      this.places = []
      return
    }
    this.pages.push(page)
    this.places.push(at)
  }
}

/** So many dirty records make it worth while to go over all. */
export function isWorthScanning(recordCount: number, group: KeyGroup): boolean {
  return recordCount * SCANNED_SHARE >= group.entryCount
}

export class KeyGroup {
  readonly index: number
  /** Records, elements and chunks, tombstones included. */
  entryCount = 0
  /** Written in the current epoch. */
  dirty = new DirtyList()
  /** Written in earlier epochs that no completed checkpoint covers yet (F30). */
  earlier: { readonly epoch: number; readonly list: DirtyList }[] = []
  /** By the upper `#depth` bits of a spread hash; a page that shares fewer bits comes as often as it must. */
  #directory: RecordPage[]
  #depth = 0
  #elsewhere: Elsewhere | undefined

  constructor(index: number) {
    this.index = index
    this.#directory = [new RecordPage(this, LEAST_CELLS, 0)]
  }

  get isEmpty(): boolean {
    return this.entryCount === 0
  }

  /** Where a key of this hash is, unless it lies elsewhere. */
  pageOf(hash: number): RecordPage {
    const page = this.#directory[this.#numberOf(hash)]
    if (page !== undefined) return page
    throw new InvariantViolation(`key group ${this.index} has no page for hash ${hash}`, { code: 'SLUICE_BUG' })
  }

  /** Sets `place`, if `key` is there. */
  find(key: ProbeKey, place: RecordPlace): boolean {
    const page = this.pageOf(key.hash)
    const at = page.find(key)
    if (at >= 0) {
      place.page = page
      place.at = at
      return true
    }
    const elsewhere = this.#elsewhere?.places.get(key.text)
    if (elsewhere === undefined) return false
    place.page = elsewhere.page
    place.at = elsewhere.at
    return true
  }

  /** An empty record for `key`, which is not there yet. */
  add(key: ProbeKey, place: RecordPlace): void {
    const { hash } = key
    this.entryCount += 1
    let page = this.pageOf(hash)
    while (page.used * 8 >= page.cellCount * FULL_EIGHTHS && this.#replace(page)) page = this.pageOf(hash)
    for (;;) {
      const at = page.put(key)
      if (at >= 0) {
        place.page = page
        place.at = at
        return
      }
      if (page.live * 8 < page.cellCount * WORTH_GROWING_EIGHTHS || !this.#replace(page)) break
      page = this.pageOf(hash)
    }
    const free = this.#freeElsewhere(key.text)
    free.page.putAt(free.at, key)
    place.page = free.page
    place.at = free.at
  }

  /** No snapshot may be at work. */
  remove({ page, at }: RecordPlace): void {
    this.entryCount -= 1
    const key = page.keyAt(at)
    page.bury(at)
    const elsewhere = this.#elsewhere
    const place = elsewhere?.places.get(key)
    if (elsewhere === undefined || place === undefined) return
    elsewhere.places.delete(key)
    elsewhere.free.push(place)
    if (elsewhere.places.size === 0) this.#elsewhere = undefined
  }

  /** Each once, as they are now. */
  pages(): readonly RecordPage[] {
    return [...new Set(this.#directory), ...(this.#elsewhere?.pages ?? [])]
  }

  #numberOf(hash: number): number {
    return (spread(hash) >>> (32 - this.#depth)) & ((1 << this.#depth) - 1)
  }

  /** By one without buried cells, by a larger one, or by two; false if it must stay as it is. What finds no cell even there goes elsewhere. */
  #replace(page: RecordPage): boolean {
    const { cellCount, depth } = page
    const isWorthCleaning = (page.used - page.live) * 8 >= cellCount * WORTH_CLEANING_EIGHTHS
    if (isWorthCleaning || cellCount < MOST_CELLS) {
      this.#leave(page, [new RecordPage(this, isWorthCleaning ? cellCount : cellCount * GROWTH, depth)])
      return true
    }
    if (depth >= MOST_DEPTH) return false
    if (depth === this.#depth) {
      this.#directory = this.#directory.flatMap((one) => [one, one])
      this.#depth += 1
    }
    this.#leave(page, [new RecordPage(this, cellCount, depth + 1), new RecordPage(this, cellCount, depth + 1)])
    return true
  }

  /** The old page stays as it was: a snapshot may be reading it. */
  #leave(page: RecordPage, pages: readonly RecordPage[]): void {
    const first = this.#directory.indexOf(page)
    const count = 1 << (this.#depth - page.depth)
    for (let index = 0; index < count; index += 1) {
      const next = pages[Math.floor((index * pages.length) / count)]
      if (next !== undefined) this.#directory[first + index] = next
    }
    page.isLeft = true
    for (let at = 0; at < page.cellCount; at += 1) {
      if (!page.isRecord(at) || this.pageOf(page.hashAt(at)).take(page, at)) continue
      const free = this.#freeElsewhere(page.keyAt(at))
      free.page.takeAt(free.at, page, at)
    }
  }

  /** A place of its own for `key`, which has no record there yet. */
  #freeElsewhere(key: string): RecordPlace {
    const elsewhere: Elsewhere = (this.#elsewhere ??= { places: new Map(), pages: [], free: [] })
    if (elsewhere.free.length === 0) {
      const page = new RecordPage(this, ELSEWHERE_CELLS, 0)
      elsewhere.pages.push(page)
      for (let at = 0; at < page.cellCount; at += 1) elsewhere.free.push({ page, at })
    }
    const free = elsewhere.free.pop()
    assert(free !== undefined, () => 'a new page has free places')
    elsewhere.places.set(key, free)
    return free
  }
}

interface Elsewhere {
  readonly places: Map<string, RecordPlace>
  readonly pages: RecordPage[]
  readonly free: RecordPlace[]
}
