/**
 * Operator state of one operator's subtask: lists and maps that belong to no key. All of it is in each snapshot, so it should stay small.
 *
 * - C4: a cut is what was there when it was taken, whatever becomes of it afterwards; see operator-state-cut.ts for how (F31).
 * - C2: at another parallelism each entry of a `split-list` goes to one subtask. Each subtask gets all of a `union-list`, also at the same
 *   parallelism, and writes what it was dealt of it and what it added: a restart does not multiply it (C8). A `broadcast-map` is the same in
 *   all subtasks, so subtask 0 alone writes it, and all restore what it wrote.
 */
import { unreachable } from '../api/index.ts'
import type { ListState, MapState } from '../graph/descriptors.ts'
import type { OperatorStateDescriptor } from '../graph/job-graph.ts'
import { deepFreeze } from './deep-freeze.ts'
import type { DecodedOperatorState, OperatorStateKind } from './operator-state-codec.ts'
import { Cell, OperatorStateCut } from './operator-state-cut.ts'
import { assertCompatible } from './segment-chains.ts'
import { inOrder, shareOf, type EntriesOf, type Subtask } from './share.ts'
import { assertElementKey } from './state-handles.ts'

export { restoreOperatorState, storeOperatorState } from './operator-state-store.ts'
export type { OperatorStateCut } from './operator-state-cut.ts'

/** What one subtask of a checkpoint holds. */
export interface OperatorStatePart extends Subtask {
  readonly state: DecodedOperatorState
}

export class OperatorStateBackend {
  /** One per descriptor name: ListState for `split-list` and `union-list`, MapState for `broadcast-map`. */
  readonly handles: Readonly<Record<string, unknown>>
  readonly #states: readonly State[]
  readonly #cutting: Cutting = { number: 0, cut: undefined }

  /** `freeze`: what `get` returns is deep-frozen. */
  constructor(
    descriptors: Readonly<Record<string, OperatorStateDescriptor>>,
    options: { readonly freeze?: boolean } = {},
  ) {
    const show = options.freeze === true ? deepFreeze : same
    this.#states = Object.entries(descriptors).map(([name, { kind }]) => {
      const seen = new Seen(name, this.#cutting, show)
      return { name, kind, held: kind === 'broadcast-map' ? new BroadcastMap(seen) : new List(seen) }
    })
    this.handles = Object.fromEntries(this.#states.map(({ name, held }) => [name, held]))
  }

  /**
   * The synchronous cut of this subtask, its first slice encoded. One at a time: one that is still being encoded is given up.
   * @throws TerminalError for a value that cannot be kept
   */
  cut(subtask: number): OperatorStateCut {
    const cutting = this.#cutting
    cutting.cut?.abandon()
    cutting.number += 1
    const cut = new OperatorStateCut({
      number: cutting.number,
      states: this.#states.map(({ name, kind, held }) => {
        const isWritten = kind !== 'broadcast-map' || subtask === 0
        return { name, kind, ...(isWritten ? held.contents() : { cells: [] }) }
      }),
      encoded: () => {
        cutting.cut = undefined
      },
    })
    cutting.cut = cut
    cut.encodeSlice()
    return cut
  }

  /**
   * Before the first record. `parts` are those of all subtasks of the checkpoint; none: nothing was held.
   * @throws TerminalError for state that the job does not declare alike, CorruptCheckpointError if a part is missing
   */
  restore(parts: readonly OperatorStatePart[], me: Subtask): void {
    const states = this.#states.map(({ name, kind }) => [name, kind] as const)
    assertCompatible(
      parts.map(({ state }) => ({ descriptors: Object.fromEntries(state) })),
      states,
      [],
    )
    const ordered = inOrder(parts)
    for (const { name, kind, held } of this.#states) {
      const entries = ordered.map(({ state, ...of }) => ({ ...of, entries: state.get(name)?.entries ?? [] }))
      held.fill(entriesOf(kind, entries, me))
    }
  }
}

/** Every one of `parts` that this subtask sees, in order, and whether it is this subtask that writes it from now on. */
function entriesOf(kind: OperatorStateKind, parts: readonly EntriesOf<unknown>[], me: Subtask): readonly Restored[] {
  switch (kind) {
    case 'split-list':
      return shareOf(parts, me).map((value) => ({ value, isMine: true }))
    case 'union-list': {
      let count = 0
      const numbered = parts.map((part) => ({ ...part, entries: part.entries.map(() => count++) }))
      const mine = new Set(shareOf(numbered, me))
      return parts.flatMap(({ entries }) => entries).map((value, index) => ({ value, isMine: mine.has(index) }))
    }
    case 'broadcast-map':
      return (parts[0]?.entries ?? []).map((value) => ({ value, isMine: true }))
    default:
      return unreachable(kind)
  }
}

interface Restored {
  readonly value: unknown
  readonly isMine: boolean
}

interface State {
  readonly name: string
  readonly kind: OperatorStateKind
  readonly held: List | BroadcastMap
}

interface Cutting {
  /** Of the newest cut. */
  number: number
  /** It, as long as it is being encoded. */
  cut: OperatorStateCut | undefined
}

const same = (value: unknown): unknown => value

/** Makes the cells of one state, and shows their values. */
class Seen {
  readonly #name: string
  readonly #cutting: Cutting
  readonly #show: (value: unknown) => unknown

  constructor(name: string, cutting: Cutting, show: (value: unknown) => unknown) {
    this.#name = name
    this.#cutting = cutting
    this.#show = show
  }

  cell(value: unknown): Cell {
    return new Cell(value, this.#cutting.number)
  }

  valueOf(cell: Cell): unknown {
    this.#cutting.cut?.beforeSeen(cell, this.#name)
    return this.#show(cell.value)
  }
}

class List implements ListState<unknown> {
  readonly #seen: Seen
  #cells: Cell[] = []
  /** Of a union, those that other subtasks write. */
  #others = new Set<Cell>()

  constructor(seen: Seen) {
    this.#seen = seen
  }

  /** An array of the caller's; its members are state's. */
  get(): readonly unknown[] {
    return this.#cells.map((cell) => this.#seen.valueOf(cell))
  }

  add(value: unknown): void {
    this.#cells.push(this.#seen.cell(value))
  }

  set(values: readonly unknown[]): void {
    this.#others = new Set()
    this.#cells = values.map((value) => this.#seen.cell(value))
  }

  clear(): void {
    this.set([])
  }

  contents(): { readonly cells: readonly Cell[] } {
    return { cells: this.#cells.filter((cell) => !this.#others.has(cell)) }
  }

  fill(entries: readonly Restored[]): void {
    this.set(entries.map(({ value }) => value))
    this.#others = new Set(this.#cells.filter((_, index) => entries[index]?.isMine === false))
  }
}

/** Iterates as a Map does: an element that is set again keeps its place. */
class BroadcastMap implements MapState<unknown, unknown> {
  readonly #seen: Seen
  readonly #cells = new Map<unknown, Cell>()

  constructor(seen: Seen) {
    this.#seen = seen
  }

  get(key: unknown): unknown {
    const cell = this.#cells.get(key)
    return cell === undefined ? undefined : this.#seen.valueOf(cell)
  }

  has(key: unknown): boolean {
    return this.#cells.has(key)
  }

  set(key: unknown, value: unknown): void {
    assertElementKey(key)
    this.#cells.set(key, this.#seen.cell(value))
  }

  delete(key: unknown): void {
    this.#cells.delete(key)
  }

  *entries(): IterableIterator<[unknown, unknown]> {
    for (const [key, cell] of this.#cells) yield [key, this.#seen.valueOf(cell)]
  }

  clear(): void {
    this.#cells.clear()
  }

  contents(): { readonly cells: readonly Cell[]; readonly keys: readonly unknown[] } {
    return { cells: [...this.#cells.values()], keys: [...this.#cells.keys()] }
  }

  fill(entries: readonly Restored[]): void {
    this.clear()
    for (const { value } of entries) {
      const [key, element] = value as readonly [unknown, unknown]
      this.set(key, element)
    }
  }
}
