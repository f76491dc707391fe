/**
 * What keyed state is made of. An entry is the unit that is written, stamped, encoded and deleted: one key's values (a slot), one element
 * of a map, one chunk of a list, one range tombstone (a clear).
 *
 *   KeyGroup ─ entries ─▶ Slot (key, values) ─ bodies ─▶ MapBody ─▶ Element…      ListBody ─▶ ListChunk…
 *                                            └ clears ─▶ Clear
 *
 * Entries are mutable and owned by the backend. A body that was cleared is detached, never reused: `endedIn` says since which epoch.
 */

/** A value that was never set, or cleared; `undefined` is a value. */
export const UNSET: unique symbol = Symbol('unset')
export const LIST_CHUNK_ITEMS = 64
/** `endedIn` of a body that is alive. */
export const ALIVE = Number.POSITIVE_INFINITY

/** `writtenIn` of an element or chunk that no epoch has stamped yet: later than every cut (and a small integer). */
const NOT_YET = 0x3fff_ffff

export const SLOT = 0
export const ELEMENT = 1
export const CHUNK = 2
export const CLEAR = 3

export type Entry = Slot | Element | ListChunk | Clear
export type Body = MapBody | ListBody

export class Slot {
  readonly kind = SLOT
  readonly key: string
  readonly group: KeyGroup
  /** The first value state, in place; the others follow in `more`. */
  value: unknown = UNSET
  more: unknown[] | undefined = undefined
  /** By state. */
  bodies: (Body | undefined)[] | undefined = undefined
  clears: (Clear | undefined)[] | undefined = undefined
  /** No value is set. */
  dead = true
  writtenIn = 0
  /** The number of the snapshot that has encoded it last. */
  encodedFor = 0

  constructor(key: string, group: KeyGroup) {
    this.key = key
    this.group = group
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
  readonly slot: Slot
  readonly state: number
  readonly dead = true
  writtenIn = 0
  encodedFor = 0

  constructor(slot: Slot, state: number) {
    this.slot = slot
    this.state = state
  }
}

export class MapBody {
  readonly kind = ELEMENT
  readonly slot: Slot
  readonly state: number
  /** Dead ones stay as tombstones until a completed checkpoint covers them. */
  readonly elements = new Map<unknown, Element>()
  nextOrder = 0
  endedIn = ALIVE

  constructor(slot: Slot, state: number) {
    this.slot = slot
    this.state = state
  }
}

export class ListBody {
  readonly kind = CHUNK
  readonly slot: Slot
  readonly state: number
  readonly chunks: ListChunk[] = []
  endedIn = ALIVE

  constructor(slot: Slot, state: number) {
    this.slot = slot
    this.state = state
  }
}

export class KeyGroup {
  readonly index: number
  readonly slots = new Map<string, Slot>()
  /** Slots, elements and chunks, tombstones included. */
  entryCount = 0
  /** Written in the current epoch. */
  dirty: Entry[] = []
  /** Written in earlier epochs that no completed checkpoint covers yet (F30). */
  earlier: { readonly epoch: number; readonly entries: readonly Entry[] }[] = []

  constructor(index: number) {
    this.index = index
  }
}

export function slotOf(entry: Entry): Slot {
  return entry.kind === SLOT ? entry : entry.kind === CLEAR ? entry.slot : entry.body.slot
}

/** Everything of a slot but its clears, detached bodies apart. */
export function* entriesOf(slot: Slot): Generator<Entry, void, undefined> {
  yield slot
  for (const body of slot.bodies ?? []) if (body !== undefined) yield* partsOf(body)
}

export function partsOf(body: Body): Iterator<Entry, void, undefined> & Iterable<Entry> {
  return body.kind === ELEMENT ? body.elements.values() : body.chunks.values()
}

export function sizeOf(body: Body): number {
  return body.kind === ELEMENT ? body.elements.size : body.chunks.length
}

/** A tombstone that a completed checkpoint covers, with all epochs up to `through`, is forgotten; so is its slot, if that was all: then
 * it is answered. */
export function release(entry: Entry, through: number): Slot | undefined {
  const slot = slotOf(entry)
  if (entry.kind === ELEMENT && entry.body.elements.get(entry.key) === entry) {
    entry.body.elements.delete(entry.key)
    if (entry.body.endedIn === ALIVE) slot.group.entryCount -= 1
  }
  if (entry.kind === CLEAR && slot.clears !== undefined) slot.clears[entry.state] = undefined
  if (!slot.dead || slot.writtenIn > through || slot.group.slots.get(slot.key) !== slot) return undefined
  if (slot.bodies?.some((body) => body !== undefined && sizeOf(body) > 0) === true) return undefined
  if (slot.clears?.some((clear) => clear !== undefined) === true) return undefined
  slot.group.slots.delete(slot.key)
  slot.group.entryCount -= 1
  return slot
}
