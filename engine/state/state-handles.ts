/**
 * What a user's function sees of keyed state: handles bound to the current key of a backend. They read and change entries; the backend
 * is told before each change, and before an object is handed out while a snapshot is being written (F31).
 */
import { TerminalError, unreachable } from '../api/index.ts'
import type { StateDescriptor } from '../graph/job-graph.ts'
import { deepFreeze } from './deep-freeze.ts'
import {
  CHUNK,
  Clear,
  ELEMENT,
  Element,
  LIST_CHUNK_ITEMS,
  ListBody,
  ListChunk,
  MapBody,
  UNSET,
  type Body,
  type Entry,
  type Slot,
} from './entry.ts'
import { setCell } from './key-group-decoder.ts'

/** The part of the backend that handles need; `KeyedStateBackend` says what each does. */
export interface CurrentKey {
  readonly slot: Slot | undefined
  readonly snapshot: { beforeChange(entry: Entry): void } | undefined
  writeSlot(): Slot
  ensureSlot(): Slot
  beforeWrite(entry: Entry): void
  bury(entry: Entry): void
  detach(body: Body, clear: Clear): void
}

export function createHandles(
  descriptors: Readonly<Record<string, StateDescriptor>>,
  current: CurrentKey,
  freeze: boolean,
): Readonly<Record<string, unknown>> {
  const show = freeze ? deepFreeze : undefined
  let column = 0
  const handles: [string, unknown][] = []
  for (const [state, [name, descriptor]] of Object.entries(descriptors).entries()) {
    const { kind, initial = () => undefined } = descriptor
    if (kind === 'value') {
      handles.push([
        name,
        column === 0 ? new FirstValue(current, initial, show) : new OtherValue(current, column, initial, show),
      ])
      column += 1
    } else if (kind === 'list') handles.push([name, new List(current, state, show)])
    else if (kind === 'map') handles.push([name, new MapHandle(current, state, show)])
    else unreachable(kind)
  }
  return Object.fromEntries(handles)
}

type Show = ((value: unknown) => unknown) | undefined

/** The first value state lies in the slot itself: no array between. */
class FirstValue {
  readonly #current: CurrentKey
  readonly #initial: () => unknown
  readonly #show: Show

  constructor(current: CurrentKey, initial: () => unknown, show: Show) {
    this.#current = current
    this.#initial = initial
    this.#show = show
  }

  get(): unknown {
    const { slot } = this.#current
    if (slot === undefined) return this.#initial()
    const { value } = slot
    if (typeof value === 'number') return value
    if (value === UNSET) return this.#initial()
    if (typeof value === 'object') this.#current.snapshot?.beforeChange(slot)
    return this.#show === undefined ? value : this.#show(value)
  }

  set(value: unknown): void {
    const slot = this.#current.writeSlot()
    slot.value = value
    slot.dead = false
  }

  clear(): void {
    const { slot } = this.#current
    if (slot === undefined || slot.value === UNSET) return
    this.#current.writeSlot()
    slot.value = UNSET
    buryIfEmpty(this.#current, slot)
  }
}

class OtherValue {
  readonly #current: CurrentKey
  readonly #column: number
  readonly #initial: () => unknown
  readonly #show: Show

  constructor(current: CurrentKey, column: number, initial: () => unknown, show: Show) {
    this.#current = current
    this.#column = column
    this.#initial = initial
    this.#show = show
  }

  get(): unknown {
    const { slot } = this.#current
    const cells = slot?.more
    if (slot === undefined || cells === undefined || cells.length < this.#column) return this.#initial()
    const value = cells[this.#column - 1]
    if (value === UNSET) return this.#initial()
    if (typeof value === 'object') this.#current.snapshot?.beforeChange(slot)
    return this.#show === undefined ? value : this.#show(value)
  }

  set(value: unknown): void {
    const slot = this.#current.writeSlot()
    setCell(slot, this.#column, value)
    slot.dead = false
  }

  clear(): void {
    const { slot } = this.#current
    const cells = slot?.more
    if (slot === undefined || cells === undefined || cells.length < this.#column) return
    if (cells[this.#column - 1] === UNSET) return
    this.#current.writeSlot()
    cells[this.#column - 1] = UNSET
    buryIfEmpty(this.#current, slot)
  }
}

function buryIfEmpty(current: CurrentKey, slot: Slot): void {
  if (slot.value !== UNSET || slot.more?.some((cell) => cell !== UNSET) === true) return
  slot.dead = true
  current.bury(slot)
}

class List {
  readonly #current: CurrentKey
  readonly #state: number
  readonly #show: Show

  constructor(current: CurrentKey, state: number, show: Show) {
    this.#current = current
    this.#state = state
    this.#show = show
  }

  /** An array of the caller's; its members are state's. */
  get(): readonly unknown[] {
    const body = this.#body()
    const values: unknown[] = []
    if (body === undefined) return values
    const { snapshot } = this.#current
    for (const chunk of body.chunks) {
      snapshot?.beforeChange(chunk)
      for (const value of chunk.values) values.push(this.#show === undefined ? value : this.#show(value))
    }
    return values
  }

  add(value: unknown): void {
    const current = this.#current
    const body = this.#body() ?? this.#newBody(current.ensureSlot())
    const last = body.chunks.at(-1)
    if (last === undefined || last.values.length >= LIST_CHUNK_ITEMS) this.#append(body, [value])
    else {
      current.beforeWrite(last)
      last.values.push(value)
    }
  }

  set(values: readonly unknown[]): void {
    this.clear()
    if (values.length === 0) return
    const body = this.#newBody(this.#current.ensureSlot())
    for (let start = 0; start < values.length; start += LIST_CHUNK_ITEMS) {
      this.#append(body, values.slice(start, start + LIST_CHUNK_ITEMS))
    }
  }

  clear(): void {
    const body = this.#body()
    if (body !== undefined) clearBody(this.#current, body)
  }

  #append(body: ListBody, values: unknown[]): void {
    const chunk = new ListChunk(body, body.chunks.length, values)
    this.#current.beforeWrite(chunk)
    body.chunks.push(chunk)
    body.slot.group.entryCount += 1
  }

  #body(): ListBody | undefined {
    const body = this.#current.slot?.bodies?.[this.#state]
    return body?.kind === CHUNK ? body : undefined
  }

  #newBody(slot: Slot): ListBody {
    const body = new ListBody(slot, this.#state)
    putBody(slot, body)
    return body
  }
}

class MapHandle {
  readonly #current: CurrentKey
  readonly #state: number
  readonly #show: Show

  constructor(current: CurrentKey, state: number, show: Show) {
    this.#current = current
    this.#state = state
    this.#show = show
  }

  get(key: unknown): unknown {
    const element = this.#body()?.elements.get(key)
    return element === undefined || element.dead ? undefined : this.#valueOf(element)
  }

  has(key: unknown): boolean {
    return this.#body()?.elements.get(key)?.dead === false
  }

  set(key: unknown, value: unknown): void {
    const current = this.#current
    const body = this.#body() ?? this.#newBody(current.ensureSlot())
    let element = body.elements.get(key)
    if (element === undefined) {
      assertElementKey(key)
      element = new Element(body, key, body.nextOrder)
      body.nextOrder += 1
      body.slot.group.entryCount += 1
      current.beforeWrite(element)
      body.elements.set(key, element)
    } else {
      current.beforeWrite(element)
      if (element.dead) {
        // Set anew, it comes last, as in a Map.
        body.elements.delete(key)
        body.elements.set(key, element)
        element.order = body.nextOrder
        body.nextOrder += 1
        element.dead = false
      }
    }
    element.value = value
  }

  delete(key: unknown): void {
    const element = this.#body()?.elements.get(key)
    if (element === undefined || element.dead) return
    this.#current.beforeWrite(element)
    element.dead = true
    element.value = undefined
    this.#current.bury(element)
  }

  *entries(): IterableIterator<[unknown, unknown]> {
    for (const element of this.#body()?.elements.values() ?? []) {
      if (!element.dead) yield [element.key, this.#valueOf(element)]
    }
  }

  clear(): void {
    const body = this.#body()
    if (body !== undefined) clearBody(this.#current, body)
  }

  #valueOf(element: Element): unknown {
    const { value } = element
    if (typeof value === 'object') this.#current.snapshot?.beforeChange(element)
    return this.#show === undefined ? value : this.#show(value)
  }

  #body(): MapBody | undefined {
    const body = this.#current.slot?.bodies?.[this.#state]
    return body?.kind === ELEMENT ? body : undefined
  }

  #newBody(slot: Slot): MapBody {
    const body = new MapBody(slot, this.#state)
    putBody(slot, body)
    return body
  }
}

function assertElementKey(key: unknown): void {
  if (typeof key === 'string' || typeof key === 'number' || typeof key === 'boolean' || typeof key === 'bigint') return
  const what = key === null ? 'null' : typeof key
  throw new TerminalError(`${what} is not a key of a map state: use a string, number, boolean or bigint`)
}

function putBody(slot: Slot, body: Body): void {
  const bodies = (slot.bodies ??= [])
  while (bodies.length < body.state) bodies.push(undefined)
  bodies[body.state] = body
}

function clearBody(current: CurrentKey, body: Body): void {
  const { slot, state } = body
  const clears = (slot.clears ??= [])
  while (clears.length < state) clears.push(undefined)
  const clear = (clears[state] ??= new Clear(slot, state))
  if (slot.bodies !== undefined) slot.bodies[state] = undefined
  current.detach(body, clear)
}
