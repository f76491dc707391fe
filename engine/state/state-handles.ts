/**
 * What a user's function sees of keyed state: handles bound to the current key of a backend.
 */
import { unreachable } from '../api/index.ts'
import type { StateDescriptor } from '../graph/job-graph.ts'
import type { ListState, MapState, ValueState } from '../graph/descriptors.ts'

/** The part of the backend that handles need. */
export interface Cells {
  read(state: number): unknown
  write(state: number, value: unknown): void
}

export function createHandle(descriptor: StateDescriptor, state: number, cells: Cells): unknown {
  switch (descriptor.kind) {
    case 'value':
      return valueHandle(state, cells, descriptor.initial ?? (() => undefined))
    case 'list':
      return listHandle(state, cells)
    case 'map':
      return mapHandle(state, cells)
    default:
      return unreachable(descriptor.kind)
  }
}

function valueHandle(state: number, cells: Cells, initial: () => unknown): ValueState<unknown> {
  return {
    get: () => {
      const value = cells.read(state)
      return value === undefined ? initial() : value
    },
    set: (value) => cells.write(state, value),
    clear: () => cells.write(state, undefined),
  }
}

function listHandle(state: number, cells: Cells): ListState<unknown> {
  const read = (): unknown[] => (cells.read(state) as unknown[] | undefined) ?? []
  return {
    get: read,
    add: (value) => {
      const list = read()
      // The read above has encoded the entry if a snapshot still needs it as it was (F31); a cell never written gets its array now.
      cells.write(state, list)
      list.push(value)
    },
    set: (values) => cells.write(state, values.length === 0 ? undefined : [...values]),
    clear: () => cells.write(state, undefined),
  }
}

function mapHandle(state: number, cells: Cells): MapState<unknown, unknown> {
  const read = (): Map<unknown, unknown> => (cells.read(state) as Map<unknown, unknown> | undefined) ?? new Map<unknown, unknown>()
  return {
    get: (key) => read().get(key),
    has: (key) => read().has(key),
    set: (key, value) => {
      const map = read()
      cells.write(state, map)
      map.set(key, value)
    },
    delete: (key) => {
      const map = read()
      if (!map.delete(key)) return
      cells.write(state, map.size === 0 ? undefined : map)
    },
    entries: () => read().entries(),
    clear: () => cells.write(state, undefined),
  }
}
