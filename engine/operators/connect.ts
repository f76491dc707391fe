/**
 * `connect`: two inputs, a user's function for each.
 *
 *   two keyed inputs   they share keyed state
 *   two plain inputs   they share operator state
 *   one and broadcast  broadcast state, which only the function of the broadcast input changes: it must stay the same in all subtasks,
 *                      and only that input is the same in all of them
 */
import { assert, TerminalError } from '../api/index.ts'
import type { MapState } from '../graph/descriptors.ts'
import type { ConnectNode } from '../graph/job-graph.ts'
import {
  endFunction,
  functionOf,
  plainFunction,
  type KeyedPush,
  type OperatorParts,
  type UserFunction,
} from './user-function.ts'

export interface ConnectOperator {
  readonly first: KeyedPush
  readonly second: KeyedPush
  readonly end: () => void
}

export function connectOperator(node: ConnectNode, parts: OperatorParts): ConnectOperator {
  const { id, onFirst, onSecond, onEnd } = node
  const { keyed } = parts
  const end = endFunction(id, onEnd, parts)
  const maps = broadcastOf(node, parts.operatorState)
  if (maps === undefined) {
    const members = { state: keyed?.handles ?? parts.operatorState }
    const called = (call: UserFunction['call']): KeyedPush => functionOf({ id, call, members }, parts)
    return { first: called(onFirst), second: called(onSecond), end }
  }
  const broadcast = Object.fromEntries(Object.entries(maps).map(([name, map]) => [name, new ReadOnlyMap(name, map)]))
  const members = keyed === undefined ? { broadcast } : { state: keyed.handles, broadcast }
  return {
    first: functionOf({ id, call: onFirst, members }, parts),
    second: plainFunction({ id, call: onSecond, members: { broadcast: maps } }, parts),
    end,
  }
}

type Maps = Readonly<Record<string, MapState<unknown, unknown>>>

/** Undefined: its second input is not broadcast. */
function broadcastOf(node: ConnectNode, handles: Readonly<Record<string, unknown>>): Maps | undefined {
  const names = Object.entries(node.operatorState).flatMap(([name, { kind }]) =>
    kind === 'broadcast-map' ? [name] : [],
  )
  if (names.length === 0) return undefined
  const missing = names.find((name) => handles[name] === undefined)
  assert(missing === undefined, () => `operator "${node.id}" has no handle of its state "${missing}"`)
  return Object.fromEntries(names.map((name) => [name, handles[name] as MapState<unknown, unknown>]))
}

/** For the function beside the broadcast: what it wrote would be there in one subtask only. */
class ReadOnlyMap implements MapState<unknown, unknown> {
  readonly #name: string
  readonly #map: MapState<unknown, unknown>

  constructor(name: string, map: MapState<unknown, unknown>) {
    this.#name = name
    this.#map = map
  }

  get(key: unknown): unknown {
    return this.#map.get(key)
  }

  has(key: unknown): boolean {
    return this.#map.has(key)
  }

  entries(): IterableIterator<[unknown, unknown]> {
    return this.#map.entries() as IterableIterator<[unknown, unknown]>
  }

  set(): never {
    return this.#refuse()
  }

  delete(): never {
    return this.#refuse()
  }

  clear(): never {
    return this.#refuse()
  }

  #refuse(): never {
    throw new TerminalError(
      `broadcast state "${this.#name}" can only be changed in onBroadcast: elsewhere the change would be in one subtask alone`,
      { code: 'SLUICE_STATE_READ_ONLY' },
    )
  }
}
