/**
 * State as a job declares it, and the handles a function sees. Values are kept as msgpack: JSON values, undefined, bigint, Date, Map, Set
 * and bytes survive.
 *
 * - Keyed state, behind a `keyBy`: `value`, `list`, `map`. A key's state goes where the key goes, at any parallelism.
 * - Operator state, without a key: `splitList`, `unionList`. Each subtask has its own.
 * - Broadcast state, of what reads a broadcast stream: `broadcastMap`. All subtasks have the same.
 */
import type { OperatorStateDescriptor, StateDescriptor } from './job-graph.ts'

declare const held: unique symbol

/** Made by `value()`. */
export interface ValueDescriptor<T> extends StateDescriptor {
  readonly kind: 'value'
  readonly [held]?: T
}
/** Made by `list()`. */
export interface ListDescriptor<T> extends StateDescriptor {
  readonly kind: 'list'
  readonly [held]?: T
}
/** Made by `map()`. */
export interface MapDescriptor<K, V> extends StateDescriptor {
  readonly kind: 'map'
  readonly [held]?: readonly [K, V]
}
/** Made by `splitList()`. */
export interface SplitListDescriptor<T> extends OperatorStateDescriptor {
  readonly kind: 'split-list'
  readonly [held]?: T
}
/** Made by `unionList()`. */
export interface UnionListDescriptor<T> extends OperatorStateDescriptor {
  readonly kind: 'union-list'
  readonly [held]?: T
}
/** Made by `broadcastMap()`. */
export interface BroadcastMapDescriptor<K, V> extends OperatorStateDescriptor {
  readonly kind: 'broadcast-map'
  readonly [held]?: readonly [K, V]
}

/** What the key of a map state may be. */
export type ElementKey = string | number | boolean | bigint

/** One value per key; `initial` is what `get` answers before the first `set`, made anew each time and not stored. */
export function value<T>(initial: () => T): ValueDescriptor<T> {
  return { kind: 'value', initial }
}

/** A growing list per key. */
export function list<T>(): ListDescriptor<T> {
  return { kind: 'list' }
}

/** A map per key, each element stored on its own. */
export function map<K extends ElementKey, V>(): MapDescriptor<K, V> {
  return { kind: 'map' }
}

/**
 * A list of a subtask's own. After a restore at another parallelism the entries of all subtasks are dealt out anew: each is in one subtask,
 * in whichever one. For what may be done by anybody: records that wait, shares of a work list.
 */
export function splitList<T>(): SplitListDescriptor<T> {
  return { kind: 'split-list' }
}

/**
 * A list of which every subtask sees all entries after a restore, at whatever parallelism; each of them is then kept by one subtask, so they
 * do not multiply. `add` adds to what this subtask keeps; `set` and `clear` put what is given in the place of it, and of what it sees.
 */
export function unionList<T>(): UnionListDescriptor<T> {
  return { kind: 'union-list' }
}

/**
 * A map that is the same in all subtasks, because each of them gets every record of the broadcast stream and must make the same of it. At
 * another parallelism each subtask starts with a copy of it.
 */
export function broadcastMap<K extends ElementKey, V>(): BroadcastMapDescriptor<K, V> {
  return { kind: 'broadcast-map' }
}

/** What state hands out: a snapshot may be reading the same object, so it is replaced by `set`, never changed in place. */
export type DeepReadonly<T> = T extends Fixed
  ? T
  : T extends ReadonlyMap<infer K, infer V>
    ? ReadonlyMap<DeepReadonly<K>, DeepReadonly<V>>
    : T extends ReadonlySet<infer E>
      ? ReadonlySet<DeepReadonly<E>>
      : T extends object
        ? { readonly [Name in keyof T]: DeepReadonly<T[Name]> }
        : T

type Fixed =
  | string
  | number
  | boolean
  | bigint
  | symbol
  | null
  | undefined
  | Date
  | Uint8Array
  | ((...all: never) => unknown)

/** One value. Synchronous; what is set is part of the next checkpoint. */
export interface ValueState<T> {
  /** The value, or what `initial` gives, anew each time, when none is set. */
  get(): DeepReadonly<T>
  /** Replaces it. What was set must not be changed in place afterwards. */
  set(value: DeepReadonly<T>): void
  /** As if it had never been set. */
  clear(): void
}
/** A list that grows at its end. Synchronous; what is added is part of the next checkpoint. */
export interface ListState<T> {
  /** All entries in order; empty when there is none. */
  get(): readonly DeepReadonly<T>[]
  /** At the end; the others are not written again. */
  add(value: DeepReadonly<T>): void
  /** Replaces all entries. */
  set(values: readonly DeepReadonly<T>[]): void
  /** Removes all entries. */
  clear(): void
}
/** Elements by key, each stored on its own. Synchronous; what is set is part of the next checkpoint. */
export interface MapState<K, V> {
  /** Undefined: there is no such element. */
  get(key: K): DeepReadonly<V> | undefined
  /** Is there such an element? */
  has(key: K): boolean
  /** Adds or replaces one element. */
  set(key: K, value: DeepReadonly<V>): void
  /** An element that is not there is fine. */
  delete(key: K): void
  /** All elements, in no order to rely on. */
  entries(): IterableIterator<[K, DeepReadonly<V>]>
  /** Removes all elements. */
  clear(): void
}

/** A map that others change. */
export type ReadonlyMapState<K, V> = Pick<MapState<K, V>, 'get' | 'has' | 'entries'>

/** The handle of a descriptor. */
export type StateOf<D> =
  D extends ValueDescriptor<infer T>
    ? ValueState<T>
    : D extends ListDescriptor<infer T> | SplitListDescriptor<infer T> | UnionListDescriptor<infer T>
      ? ListState<T>
      : D extends MapDescriptor<infer K, infer V> | BroadcastMapDescriptor<infer K, infer V>
        ? MapState<K, V>
        : never
