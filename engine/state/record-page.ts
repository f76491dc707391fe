/**
 * A page of records, found by open addressing. What a look-up compares lies in adjacent words of one typed array, half a cache line per cell,
 * so that it waits for memory once, and the value is fetched meanwhile. No object per key, and no string is hashed by V8.
 *
 *   marks:  │ hash, writtenIn, encodedFor, key (five words) │ …          hash 0: the cell was never used; -1: buried
 *   values: │ value │ …        keys: │ string │ …        parts: │ what a record has besides, seldom │ …
 *
 * A record is at most `WINDOW` cells from its home. Records keep their cell until the page is left for others, as a whole.
 */
import { javaHash } from './key-group.ts'
import type { KeyGroup } from './key-group-records.ts'
import { SlotParts, UNSET } from './entry.ts'
import type { ProbeKey } from './probe-key.ts'

/** Words of a mark. */
const HASH = 0
/** The epoch that wrote a value last; 0 for what was restored. */
const WRITTEN_IN = 1
/** The snapshot that took the record last. */
const ENCODED_FOR = 2
/** Characters, see {@link ProbeKey}. */
const A = 3
const B = 4
const C = 5
const D = 6
const E = 7
const MARK_WORDS = 8

const WINDOW = 32
const FREE = 0
const BURIED = -1
/** Stands for hashes that mean something else as a tag; keys are compared anyway. */
const ALIAS = 1
/** 2^32 divided by the golden ratio: spreads hashes that differ in few bits. */
const SPREAD = 0x9e37_79b1

/** The upper bits choose a page, lower ones a cell. */
export function spread(hash: number): number {
  return Math.imul(hash, SPREAD)
}

/** Its lower bits: where the window of a hash begins. */
function homeOf(hash: number): number {
  const spreadHash = spread(hash)
  return spreadHash ^ (spreadHash >>> 15)
}

function tagOf(hash: number): number {
  return hash === FREE || hash === BURIED ? ALIAS : hash
}

/** Where a record is: a cell of a page. */
export interface RecordPlace {
  page: RecordPage
  at: number
}

export class RecordPage {
  /** The first value state of each record; the others are in its parts. {@link UNSET} when there is none. */
  readonly values: unknown[]
  readonly group: KeyGroup
  readonly cellCount: number
  /** How many bits of the hash its records share. */
  readonly depth: number
  /** Cells that are not free, buried ones included. */
  used = 0
  live = 0
  /** Its records are in other pages now. */
  isLeft = false
  readonly #marks: Int32Array
  readonly #keys: (string | undefined)[]
  /** Undefined as long as all records have nothing but their first value. */
  #parts: (SlotParts | undefined)[] | undefined

  constructor(group: KeyGroup, cellCount: number, depth: number) {
    this.group = group
    this.cellCount = cellCount
    this.depth = depth
    this.#marks = new Int32Array(cellCount * MARK_WORDS)
    this.values = cells(cellCount)
    this.#keys = cells(cellCount)
  }

  /** The place of the record of a key, or -1. */
  find(key: ProbeKey): number {
    const marks = this.#marks
    const last = this.cellCount - 1
    const tag = tagOf(key.hash)
    let cell = homeOf(key.hash) & last
    for (let left = WINDOW; left > 0; left -= 1) {
      const mark = cell * MARK_WORDS
      const found = marks[mark]
      if (found === tag) {
        const isAlike =
          marks[mark + A] === key.a &&
          marks[mark + B] === key.b &&
          marks[mark + C] === key.c &&
          marks[mark + D] === key.d &&
          marks[mark + E] === key.e
        if (isAlike && (key.isPacked || this.#keys[cell] === key.text)) return cell
      } else if (found === FREE) return -1
      cell = (cell + 1) & last
    }
    return -1
  }

  /** Puts an empty record for a key that is not there yet. Its place, or -1 if no cell is left for it. */
  put(key: ProbeKey): number {
    const at = this.#freeCell(key.hash)
    if (at >= 0) this.putAt(at, key)
    return at
  }

  /** The same at a place without a record; by itself for a page that something else finds its way in. */
  putAt(at: number, key: ProbeKey): void {
    const marks = this.#marks
    const mark = at * MARK_WORDS
    this.#occupy(mark)
    marks[mark + HASH] = tagOf(key.hash)
    marks[mark + WRITTEN_IN] = 0
    marks[mark + ENCODED_FOR] = 0
    marks[mark + A] = key.a
    marks[mark + B] = key.b
    marks[mark + C] = key.c
    marks[mark + D] = key.d
    marks[mark + E] = key.e
    this.#keys[at] = key.text
    this.values[at] = UNSET
  }

  /** A record of another page, as it is; false if no cell is left for it. */
  take(from: RecordPage, place: number): boolean {
    const at = this.#freeCell(from.hashAt(place))
    if (at >= 0) this.takeAt(at, from, place)
    return at >= 0
  }

  /** As {@link putAt}. */
  takeAt(at: number, from: RecordPage, place: number): void {
    const start = place * MARK_WORDS
    this.#occupy(at * MARK_WORDS)
    for (let word = 0; word < MARK_WORDS; word += 1)
      this.#marks[at * MARK_WORDS + word] = from.#marks[start + word] ?? 0
    this.#keys[at] = from.#keys[place]
    this.values[at] = from.values[place]
    const parts = from.partsAt(place)
    if (parts !== undefined) this.#putParts(at, parts)
  }

  /** The cell is not free then: records behind it are found past it. */
  bury(at: number): void {
    this.#marks[at * MARK_WORDS + HASH] = BURIED
    this.#keys[at] = undefined
    this.values[at] = undefined
    if (this.#parts !== undefined) this.#parts[at] = undefined
    this.live -= 1
  }

  isRecord(at: number): boolean {
    const tag = this.#marks[at * MARK_WORDS + HASH]
    return tag !== FREE && tag !== BURIED
  }

  hashAt(at: number): number {
    const tag = this.#marks[at * MARK_WORDS + HASH] ?? ALIAS
    return tag === ALIAS ? javaHash(this.keyAt(at)) : tag
  }

  keyAt(at: number): string {
    return this.#keys[at] as string
  }

  partsAt(at: number): SlotParts | undefined {
    return this.#parts?.[at]
  }

  /** Made if there are none. */
  ensurePartsAt(at: number): SlotParts {
    const known = this.partsAt(at)
    if (known !== undefined) return known
    const parts = new SlotParts(this.keyAt(at), this.group)
    this.#putParts(at, parts)
    return parts
  }

  writtenAt(at: number): number {
    return this.#marks[at * MARK_WORDS + WRITTEN_IN] ?? 0
  }

  markWritten(at: number, epoch: number): void {
    this.#marks[at * MARK_WORDS + WRITTEN_IN] = epoch
  }

  /** No value is set. */
  isDead(at: number): boolean {
    return this.values[at] === UNSET && this.partsAt(at)?.hasValues !== true
  }

  /** By snapshot `number`. */
  isEncoded(at: number, number: number): boolean {
    return this.#marks[at * MARK_WORDS + ENCODED_FOR] === number
  }

  markEncoded(at: number, number: number): void {
    this.#marks[at * MARK_WORDS + ENCODED_FOR] = number
  }

  #occupy(mark: number): void {
    if (this.#marks[mark + HASH] === FREE) this.used += 1
    this.live += 1
  }

  #putParts(at: number, parts: SlotParts): void {
    this.#parts ??= cells<SlotParts>(this.cellCount)
    this.#parts[at] = parts
  }

  #freeCell(hash: number): number {
    const marks = this.#marks
    const last = this.cellCount - 1
    let cell = homeOf(hash) & last
    for (let left = WINDOW; left > 0; left -= 1) {
      const found = marks[cell * MARK_WORDS]
      if (found === FREE || found === BURIED) return cell
      cell = (cell + 1) & last
    }
    return -1
  }
}

function cells<T>(count: number): (T | undefined)[] {
  // oxlint-disable-next-line unicorn/no-new-array -- Array.from takes ten times as long
  return new Array<T | undefined>(count).fill(undefined)
}
