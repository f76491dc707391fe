/**
 * A page of records: what a value of keyed state needs at each access lies in adjacent words of one array, found by open addressing. No
 * object per key, and no string is hashed by V8.
 *
 *   tags:  │ hash                        │ …          0: the cell was never used; -1: buried
 *   words: │ key, value, parts, writtenIn │ …
 *
 * A record is at most `WINDOW` cells from its home. Records keep their cell until the page is left for others, as a whole.
 */
import { javaHash } from './key-group.ts'
import type { KeyGroup } from './key-group-records.ts'
import { SlotParts, UNSET } from './entry.ts'

/** Words of a record, from its place on. */
const KEY = 0
/** The first value state, in place; the others are in `parts`. {@link UNSET} when there is none. */
export const VALUE = 1
/** SlotParts, or undefined for a slot with nothing but its first value. */
const PARTS = 2
/** The epoch that wrote a value last; 0 for what was restored. */
export const WRITTEN_IN = 3
export const WIDTH = 4

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

/** Where a record is. */
export interface RecordPlace {
  page: RecordPage
  at: number
}

export class RecordPage {
  readonly words: unknown[]
  /** Java hashes of the keys: numbers side by side, so that most of what a look-up passes over lies in one cache line. */
  readonly #tags: Int32Array
  readonly group: KeyGroup
  readonly cellCount: number
  /** How many bits of the hash its records share. */
  readonly depth: number
  /** Cells that are not free, buried ones included. */
  used = 0
  live = 0
  /** Its records are in other pages now. */
  isLeft = false
  #encoded: Uint8Array | undefined
  #encodedFor = 0

  constructor(group: KeyGroup, cellCount: number, depth: number) {
    this.group = group
    this.cellCount = cellCount
    this.depth = depth
    // oxlint-disable-next-line unicorn/no-new-array -- Array.from takes ten times as long
    this.words = new Array<unknown>(cellCount * WIDTH).fill(undefined)
    this.#tags = new Int32Array(cellCount)
  }

  /** The place of the record of `key`, or -1. */
  find(key: string, hash: number): number {
    const tags = this.#tags
    const last = tags.length - 1
    const tag = tagOf(hash)
    let cell = homeOf(hash) & last
    for (let left = WINDOW; left > 0; left -= 1) {
      const found = tags[cell]
      if (found === tag) {
        if (this.words[cell * WIDTH + KEY] === key) return cell * WIDTH
      } else if (found === FREE) return -1
      cell = (cell + 1) & last
    }
    return -1
  }

  /** Puts an empty record for `key`, which is not there yet. Its place, or -1 if no cell is left for it. */
  put(key: string, hash: number): number {
    const at = this.#freeCell(hash)
    if (at >= 0) this.putAt(at, key, hash)
    return at
  }

  /** The same at a place without a record; by itself for a page that something else finds its way in. */
  putAt(at: number, key: string, hash: number): void {
    const { words } = this
    if (this.#tags[at / WIDTH] === FREE) this.used += 1
    this.live += 1
    this.#tags[at / WIDTH] = tagOf(hash)
    words[at + KEY] = key
    words[at + VALUE] = UNSET
    words[at + PARTS] = undefined
    words[at + WRITTEN_IN] = 0
  }

  /** A record of another page, as it is; false if no cell is left for it. */
  take(from: RecordPage, place: number): boolean {
    const source = from.words
    const at = this.put(source[place + KEY] as string, from.hashAt(place))
    if (at >= 0) this.copyFrom(from, place, at)
    return at >= 0
  }

  /** All but key and hash. */
  copyFrom(from: RecordPage, place: number, at: number): void {
    for (let word = VALUE; word < WIDTH; word += 1) this.words[at + word] = from.words[place + word]
    if (from.#encoded?.[place / WIDTH] === 1) this.markEncoded(at, from.#encodedFor)
  }

  /** The cell is not free then: records behind it are found past it. */
  bury(at: number): void {
    this.words.fill(undefined, at, at + WIDTH)
    this.#tags[at / WIDTH] = BURIED
    this.live -= 1
  }

  isRecord(at: number): boolean {
    return this.words[at + KEY] !== undefined
  }

  hashAt(at: number): number {
    const tag = this.#tags[at / WIDTH] ?? ALIAS
    return tag === ALIAS ? javaHash(this.keyAt(at)) : tag
  }

  keyAt(at: number): string {
    return this.words[at + KEY] as string
  }

  partsAt(at: number): SlotParts | undefined {
    return this.words[at + PARTS] as SlotParts | undefined
  }

  /** Made if there are none. */
  ensurePartsAt(at: number): SlotParts {
    const known = this.partsAt(at)
    if (known !== undefined) return known
    const parts = new SlotParts(this.keyAt(at), this.group)
    this.words[at + PARTS] = parts
    return parts
  }

  writtenAt(at: number): number {
    return this.words[at + WRITTEN_IN] as number
  }

  /** No value is set. */
  isDead(at: number): boolean {
    return this.words[at + VALUE] === UNSET && this.partsAt(at)?.hasValues !== true
  }

  /** By snapshot `number`. */
  isEncoded(at: number, number: number): boolean {
    return this.#encodedFor === number && this.#encoded?.[at / WIDTH] === 1
  }

  markEncoded(at: number, number: number): void {
    if (number < this.#encodedFor) return
    const encoded = (this.#encoded ??= new Uint8Array(this.cellCount))
    if (this.#encodedFor !== number) {
      this.#encodedFor = number
      encoded.fill(0)
    }
    encoded[at / WIDTH] = 1
  }

  #freeCell(hash: number): number {
    const tags = this.#tags
    const last = tags.length - 1
    let cell = homeOf(hash) & last
    for (let left = WINDOW; left > 0; left -= 1) {
      const found = tags[cell]
      if (found === FREE || found === BURIED) return cell * WIDTH
      cell = (cell + 1) & last
    }
    return -1
  }
}
