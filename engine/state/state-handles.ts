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
  type SlotParts,
} from './entry.ts'
import { setMore } from './key-group-decoder.ts'
import type { RecordPage } from './record-page.ts'

/** The part of the backend that handles need; `KeyedStateBackend` says what each does. */
export interface CurrentKey {
  readonly page: RecordPage
  readonly at: number
  readonly parts: SlotParts | undefined
  readonly snapshot:
    | { beforeChange(entry: Entry): void; beforeRecordChange(page: RecordPage, at: number): void }
    | undefined
  beforeWriteValues(): void
  ensureParts(): SlotParts
  beforeWrite(entry: Entry): void
  bury(entry: Entry): void
  buryIfDead(): void
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

/** The first value state lies in the record itself. */
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
    const { page, at, snapshot } = this.#current
    if (at < 0) return this.#initial()
    const value = page.values[at]
    if (typeof value === 'number') return value
    if (value === UNSET) return this.#initial()
    if (snapshot !== undefined && typeof value === 'object') snapshot.beforeRecordChange(page, at)
    return this.#show === undefined ? value : this.#show(value)
  }

  set(value: unknown): void {
    const current = this.#current
    current.beforeWriteValues()
    current.page.values[current.at] = value
  }

  clear(): void {
    const current = this.#current
    if (current.at < 0 || current.page.values[current.at] === UNSET) return
    current.beforeWriteValues()
    current.page.values[current.at] = UNSET
    current.buryIfDead()
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
    const { page, at, parts, snapshot } = this.#current
    const cells = parts?.more
    if (cells === undefined || cells.length < this.#column) return this.#initial()
    const value = cells[this.#column - 1]
    if (value === UNSET) return this.#initial()
    if (typeof value === 'object') snapshot?.beforeRecordChange(page, at)
    return this.#show === undefined ? value : this.#show(value)
  }

  set(value: unknown): void {
    const parts = this.#current.ensureParts()
    this.#current.beforeWriteValues()
    setMore(parts, this.#column, value)
  }

  clear(): void {
    const cells = this.#current.parts?.more
    if (cells === undefined || cells.length < this.#column) return
    if (cells[this.#column - 1] === UNSET) return
    this.#current.beforeWriteValues()
    cells[this.#column - 1] = UNSET
    this.#current.buryIfDead()
  }
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
    const body = this.#body() ?? this.#newBody(current.ensureParts())
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
    const body = this.#newBody(this.#current.ensureParts())
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
    const body = this.#current.parts?.bodies?.[this.#state]
    return body?.kind === CHUNK ? body : undefined
  }

  #newBody(slot: SlotParts): ListBody {
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
    const body = this.#body() ?? this.#newBody(current.ensureParts())
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
    const body = this.#current.parts?.bodies?.[this.#state]
    return body?.kind === ELEMENT ? body : undefined
  }

  #newBody(slot: SlotParts): MapBody {
    const body = new MapBody(slot, this.#state)
    putBody(slot, body)
    return body
  }
}

export function assertElementKey(key: unknown): void {
  if (typeof key === 'string' || typeof key === 'number' || typeof key === 'boolean' || typeof key === 'bigint') return
  const what = key === null ? 'null' : typeof key
  throw new TerminalError(`${what} is not a key of a map state: use a string, number, boolean or bigint`, {
    code: 'SLUICE_KEY_INVALID',
  })
}

function putBody(slot: SlotParts, body: Body): void {
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
