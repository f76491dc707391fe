/**
 * Segments back to entries: a key group's base, then its deltas, oldest first. What is decoded is clean: written in epoch 0.
 */
import { CorruptCheckpointError } from '../api/index.ts'
import { CHUNK, CLEAR, ELEMENT, Element, ListBody, ListChunk, MapBody, RECORD, UNSET, type SlotParts } from './entry.ts'
import type { KeyGroup } from './key-group-records.ts'
import { ProbeKey } from './probe-key.ts'
import type { RecordPlace } from './record-page.ts'
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
  // No entry comes twice: nothing has to be looked for.
  const isFresh = group.isEmpty && segment.sections.every(({ kind }) => kind === RECORD)
  for (const section of segment.sections) {
    const state = indexes[section.state] ?? -1
    if (section.kind === RECORD) applyRecords(section, group, { targets: columns, isFresh })
    else if (section.kind === ELEMENT && state >= 0) applyElements(section, group, state)
    else if (section.kind === CHUNK && state >= 0) applyChunks(section, group, state)
    else if (section.kind > CLEAR)
      throw new CorruptCheckpointError(`section kind ${section.kind} is not known`, {
        code: 'SLUICE_CHECKPOINT_CORRUPT',
      })
  }
}

/** After the last segment: what is empty goes, maps get their order back, entries are counted. */
export function settleDecoded(group: KeyGroup): void {
  for (const page of group.pages()) {
    for (let at = 0; at < page.cellCount; at += 1) {
      if (!page.isRecord(at)) continue
      const held = settleBodies(page.partsAt(at))
      group.entryCount += held
      if (held === 0 && page.isDead(at)) group.remove({ page, at })
    }
  }
}

/** How many elements and chunks they have. */
function settleBodies(parts: SlotParts | undefined): number {
  let held = 0
  for (const [state, body] of parts?.bodies?.entries() ?? []) {
    if (body === undefined) continue
    if (body.kind === ELEMENT) sortElements(body)
    const size = body.kind === ELEMENT ? body.elements.size : body.chunks.length
    if (size === 0 && parts?.bodies !== undefined) parts.bodies[state] = undefined
    held += size
  }
  return held
}

function valueNames(states: StateNames): readonly string[] {
  return states.flatMap(([name, kind]) => (kind === 'value' ? [name] : []))
}

function applyRecords(
  { keys, dead, columns }: Section,
  group: KeyGroup,
  { targets, isFresh }: { readonly targets: readonly number[]; readonly isFresh: boolean },
): void {
  const gone = dead.length === 0 ? undefined : new Set(dead)
  const [first] = columns
  const isSimple = columns.length === 1 && targets[0] === 0
  const place = { page: group.pageOf(0), at: -1 }
  const key = new ProbeKey()
  for (let row = 0; row < keys.length; row += 1) {
    key.read(keys[row] ?? '')
    if (isFresh || !group.find(key, place)) group.add(key, place)
    if (gone?.has(row) === true) {
      place.page.values[place.at] = UNSET
      const parts = place.page.partsAt(place.at)
      if (parts !== undefined) parts.more = undefined
    } else if (isSimple && first !== undefined) place.page.values[place.at] = first[row]
    else applyCells(place, columns, targets, row)
  }
}

function applyCells(place: RecordPlace, columns: Section['columns'], targets: readonly number[], row: number): void {
  for (let column = 0; column < columns.length; column += 1) {
    const target = targets[column] ?? -1
    if (target < 0) continue
    const cell = columns[column]?.[row]
    if (target === 0) place.page.values[place.at] = cell
    else setMore(place.page.ensurePartsAt(place.at), target, cell)
  }
}

/** The value of the value state number `column`, which is not the first. */
export function setMore(parts: SlotParts, column: number, value: unknown): void {
  const more = (parts.more ??= [])
  while (more.length < column - 1) more.push(UNSET)
  more[column - 1] = value
}

function applyElements({ keys, dead, columns }: Section, group: KeyGroup, state: number): void {
  const [elementKeys, orders, values] = columns
  const gone = new Set(dead)
  for (const [row, key] of keys.entries()) {
    const elementKey = elementKeys?.[row]
    const slot = partsFor(group, key)
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
    const body = bodyOf(partsFor(group, key), state, CHUNK)
    const index = Number(indexes?.[row])
    const chunk = new ListChunk(body, index, values?.[row] as unknown[])
    chunk.writtenIn = 0
    body.chunks[index] = chunk
  }
}

function applyClears({ keys }: Section, group: KeyGroup, state: number): void {
  for (const key of keys) {
    const place = { page: group.pageOf(0), at: -1 }
    const bodies = group.find(new ProbeKey().read(key), place) ? place.page.partsAt(place.at)?.bodies : undefined
    if (bodies !== undefined && state >= 0) bodies[state] = undefined
  }
}

function partsFor(group: KeyGroup, text: string): SlotParts {
  const key = new ProbeKey().read(text)
  const place = { page: group.pageOf(key.hash), at: -1 }
  if (!group.find(key, place)) group.add(key, place)
  return place.page.ensurePartsAt(place.at)
}

function bodyOf(slot: SlotParts, state: number, kind: typeof ELEMENT): MapBody
function bodyOf(slot: SlotParts, state: number, kind: typeof CHUNK): ListBody
function bodyOf(slot: SlotParts, state: number, kind: typeof ELEMENT | typeof CHUNK): MapBody | ListBody {
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
