/**
 * Segments back to entries: a key group's base, then its deltas, oldest first. What is decoded is clean: written in epoch 0.
 */
import { CorruptCheckpointError } from '../api/index.ts'
import {
  CHUNK,
  CLEAR,
  ELEMENT,
  Element,
  ListBody,
  ListChunk,
  MapBody,
  SLOT,
  Slot,
  UNSET,
  type KeyGroup,
} from './entry.ts'
import { decodeSegment, type Section, type StateNames } from './segment-codec.ts'

/** Applies one segment. States that are not in `states` any more, by name and kind, are passed over. @throws CorruptCheckpointError */
export function applySegment(bytes: Uint8Array, group: KeyGroup, states: StateNames): void {
  const segment = decodeSegment(bytes)
  const indexes = segment.states.map(([name, kind]) =>
    states.findIndex((state) => state[0] === name && state[1] === kind),
  )
  const now = valueNames(states)
  const columns = valueNames(segment.states).map((name) => now.indexOf(name))
  for (const section of segment.sections) {
    if (section.kind === CLEAR) applyClears(section, group, indexes[section.state] ?? -1)
  }
  for (const section of segment.sections) {
    const state = indexes[section.state] ?? -1
    if (section.kind === SLOT) applySlots(section, group, columns)
    else if (section.kind === ELEMENT && state >= 0) applyElements(section, group, state)
    else if (section.kind === CHUNK && state >= 0) applyChunks(section, group, state)
    else if (section.kind > CLEAR) throw new CorruptCheckpointError(`section kind ${section.kind} is not known`)
  }
}

/** After the last segment: what is empty goes, maps get their order back, entries are counted. */
export function settleDecoded(group: KeyGroup): void {
  group.entryCount = group.slots.size
  for (const slot of group.slots.values()) {
    if (slot.bodies === undefined) {
      if (slot.dead) group.slots.delete(slot.key)
      continue
    }
    let held = 0
    for (const [state, body] of slot.bodies.entries()) {
      if (body === undefined) continue
      if (body.kind === ELEMENT) sortElements(body)
      const size = body.kind === ELEMENT ? body.elements.size : body.chunks.length
      if (size === 0) slot.bodies[state] = undefined
      held += size
    }
    group.entryCount += held
    if (held === 0 && slot.dead) group.slots.delete(slot.key)
  }
}

function valueNames(states: StateNames): readonly string[] {
  return states.flatMap(([name, kind]) => (kind === 'value' ? [name] : []))
}

function applySlots({ keys, dead, columns }: Section, group: KeyGroup, targets: readonly number[]): void {
  const { slots } = group
  const isFresh = slots.size === 0
  const gone = dead.length === 0 ? undefined : new Set(dead)
  const [first] = columns
  const isSimple = columns.length === 1 && targets[0] === 0
  for (let row = 0; row < keys.length; row += 1) {
    const key = keys[row] ?? ''
    let slot = isFresh ? undefined : slots.get(key)
    if (slot === undefined) {
      slot = new Slot(key, group)
      slots.set(key, slot)
    }
    if (gone?.has(row) === true) {
      slot.value = UNSET
      slot.more = undefined
      slot.dead = true
    } else if (isSimple && first !== undefined) {
      const cell = first[row]
      slot.value = cell
      slot.dead = cell === UNSET
    } else applyCells(slot, columns, targets, row)
  }
}

function applyCells(slot: Slot, columns: Section['columns'], targets: readonly number[], row: number): void {
  let isSet = false
  for (let column = 0; column < columns.length; column += 1) {
    const target = targets[column] ?? -1
    if (target < 0) continue
    const cell = columns[column]?.[row]
    setCell(slot, target, cell)
    if (cell !== UNSET) isSet = true
  }
  slot.dead = !isSet
}

/** The value of the value state number `column`. */
export function setCell(slot: Slot, column: number, value: unknown): void {
  if (column === 0) {
    slot.value = value
    return
  }
  const more = (slot.more ??= [])
  while (more.length < column - 1) more.push(UNSET)
  more[column - 1] = value
}

function applyElements({ keys, dead, columns }: Section, group: KeyGroup, state: number): void {
  const [elementKeys, orders, values] = columns
  const gone = new Set(dead)
  for (const [row, key] of keys.entries()) {
    const elementKey = elementKeys?.[row]
    const slot = slotFor(group, key)
    const body = bodyOf(slot, state, ELEMENT)
    if (gone.has(row)) {
      body.elements.delete(elementKey)
      continue
    }
    const order = Number(orders?.[row])
    let element = body.elements.get(elementKey)
    if (element === undefined) {
      element = new Element(body, elementKey, order)
      body.elements.set(elementKey, element)
    }
    element.order = order
    element.writtenIn = 0
    element.value = values?.[row]
    if (order >= body.nextOrder) body.nextOrder = order + 1
  }
}

function applyChunks({ keys, columns }: Section, group: KeyGroup, state: number): void {
  const [indexes, values] = columns
  for (const [row, key] of keys.entries()) {
    const body = bodyOf(slotFor(group, key), state, CHUNK)
    const index = Number(indexes?.[row])
    const chunk = new ListChunk(body, index, values?.[row] as unknown[])
    chunk.writtenIn = 0
    body.chunks[index] = chunk
  }
}

function applyClears({ keys }: Section, group: KeyGroup, state: number): void {
  for (const key of keys) {
    const bodies = group.slots.get(key)?.bodies
    if (bodies !== undefined && state >= 0) bodies[state] = undefined
  }
}

function slotFor(group: KeyGroup, key: string): Slot {
  let slot = group.slots.get(key)
  if (slot === undefined) {
    slot = new Slot(key, group)
    group.slots.set(key, slot)
  }
  return slot
}

function bodyOf(slot: Slot, state: number, kind: typeof ELEMENT): MapBody
function bodyOf(slot: Slot, state: number, kind: typeof CHUNK): ListBody
function bodyOf(slot: Slot, state: number, kind: typeof ELEMENT | typeof CHUNK): MapBody | ListBody {
  const bodies = (slot.bodies ??= [])
  const known = bodies[state]
  if (known !== undefined) return known
  const body = kind === ELEMENT ? new MapBody(slot, state) : new ListBody(slot, state)
  bodies[state] = body
  return body
}

function sortElements(body: MapBody): void {
  let last = -1
  let isSorted = true
  for (const { order } of body.elements.values()) {
    if (order < last) isSorted = false
    last = order
  }
  if (isSorted) return
  const sorted = [...body.elements].toSorted(([, one], [, other]) => one.order - other.order)
  body.elements.clear()
  for (const [key, element] of sorted) body.elements.set(key, element)
}
