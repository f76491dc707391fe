/**
 * What keyed state is made of. An entry is the unit that is written, stamped, encoded and deleted: one key's values (a record), one element
 * of a map, one chunk of a list, one range tombstone (a clear).
 *
 *   KeyGroup ─ pages ─▶ record (key, first value) ─ parts ─▶ SlotParts ─ bodies ─▶ MapBody ─▶ Element…      ListBody ─▶ ListChunk…
 *                                                                      └ clears ─▶ Clear
 *
 * Entries are mutable and owned by the backend. A body that was cleared is detached, never reused: `endedIn` says since which epoch.
 */
import type { KeyGroup } from './key-group-records.ts'

/** A value that was never set, or cleared; `undefined` is a value. */
export const UNSET: unique symbol = Symbol('unset')
export const LIST_CHUNK_ITEMS = 64
/** `endedIn` of a body that is alive. */
export const ALIVE = Number.POSITIVE_INFINITY

/** `writtenIn` of an element or chunk that no epoch has stamped yet: later than every cut (and a small integer). */
const NOT_YET = 0x3fff_ffff

export const RECORD = 0
export const ELEMENT = 1
export const CHUNK = 2
export const CLEAR = 3

/** Those that are objects of their own. */
export type Entry = Element | ListChunk | Clear
export type Body = MapBody | ListBody

/** What a slot has besides its first value, if anything. */
export class SlotParts {
  readonly key: string
  readonly group: KeyGroup
  /** The value states but the first. */
  more: unknown[] | undefined = undefined
  /** By state. */
  bodies: (Body | undefined)[] | undefined = undefined
  clears: (Clear | undefined)[] | undefined = undefined

  constructor(key: string, group: KeyGroup) {
    this.key = key
    this.group = group
  }

  get hasValues(): boolean {
    return this.more?.some((cell) => cell !== UNSET) === true
  }

  /** Bodies with something in them, or clears. */
  get hasEntries(): boolean {
    return (
      this.bodies?.some((body) => body !== undefined && sizeOf(body) > 0) === true ||
      this.clears?.some((clear) => clear !== undefined) === true
    )
  }
}

export class Element {
  readonly kind = ELEMENT
  readonly body: MapBody
  readonly key: unknown
  value: unknown
  /** Ascending in the order of insertion, so that a restored map iterates like the one it was. */
  order: number
  dead = false
  writtenIn = NOT_YET
  encodedFor = 0

  constructor(body: MapBody, key: unknown, order: number) {
    this.body = body
    this.key = key
    this.order = order
  }
}

export class ListChunk {
  readonly kind = CHUNK
  readonly body: ListBody
  readonly index: number
  values: unknown[]
  readonly dead = false
  writtenIn = NOT_YET
  encodedFor = 0

  constructor(body: ListBody, index: number, values: unknown[]) {
    this.body = body
    this.index = index
    this.values = values
  }
}

/** Everything that older checkpoints hold of this state of the key is gone. */
export class Clear {
  readonly kind = CLEAR
  readonly slot: SlotParts
  readonly state: number
  readonly dead = true
  writtenIn = 0
  encodedFor = 0

  constructor(slot: SlotParts, state: number) {
    this.slot = slot
    this.state = state
  }
}

export class MapBody {
  readonly kind = ELEMENT
  readonly slot: SlotParts
  readonly state: number
  /** Dead ones stay as tombstones until a completed checkpoint covers them. */
  readonly elements = new Map<unknown, Element>()
  nextOrder = 0
  endedIn = ALIVE

  constructor(slot: SlotParts, state: number) {
    this.slot = slot
    this.state = state
  }
}

export class ListBody {
  readonly kind = CHUNK
  readonly slot: SlotParts
  readonly state: number
  readonly chunks: ListChunk[] = []
  endedIn = ALIVE

  constructor(slot: SlotParts, state: number) {
    this.slot = slot
    this.state = state
  }
}

export function slotOf(entry: Entry): SlotParts {
  return entry.kind === CLEAR ? entry.slot : entry.body.slot
}

/** Everything of a slot but its record and its clears, detached bodies apart. */
export function* entriesOf(slot: SlotParts): Generator<Entry, void, undefined> {
  for (const body of slot.bodies ?? []) if (body !== undefined) yield* partsOf(body)
}

export function partsOf(body: Body): Iterator<Entry, void, undefined> & Iterable<Entry> {
  return body.kind === ELEMENT ? body.elements.values() : body.chunks.values()
}

export function sizeOf(body: Body): number {
  return body.kind === ELEMENT ? body.elements.size : body.chunks.length
}

/** A tombstone that a completed checkpoint covers is forgotten. */
export function release(entry: Entry): void {
  const slot = slotOf(entry)
  if (entry.kind === ELEMENT && entry.body.elements.get(entry.key) === entry) {
    entry.body.elements.delete(entry.key)
    if (entry.body.endedIn === ALIVE) slot.group.entryCount -= 1
  }
  if (entry.kind === CLEAR && slot.clears !== undefined) slot.clears[entry.state] = undefined
}
