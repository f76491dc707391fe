/**
 * Keyed state as a job declares it. Values are kept as msgpack: JSON values, undefined, bigint, Date, Map, Set and bytes survive.
 */
import type { StateDescriptor } from './job-graph.ts'

declare const held: unique symbol

export interface ValueDescriptor<T> extends StateDescriptor {
  readonly kind: 'value'
  readonly [held]?: T
}
export interface ListDescriptor<T> extends StateDescriptor {
  readonly kind: 'list'
  readonly [held]?: T
}
export interface MapDescriptor<K, V> extends StateDescriptor {
  readonly kind: 'map'
  readonly [held]?: readonly [K, V]
}

/** One value per key; `initial` is what `get` answers before the first `set`, made anew each time and not stored. */
export function value<T>(initial: () => T): ValueDescriptor<T> {
  return { kind: 'value', initial }
}

export function list<T>(): ListDescriptor<T> {
  return { kind: 'list' }
}

export function map<K extends string | number | boolean | bigint, V>(): MapDescriptor<K, V> {
  return { kind: 'map' }
}

/** What `get` returns must not be changed in place: `set` the new value. */
export interface ValueState<T> {
  get(): T
  set(value: T): void
  clear(): void
}
export interface ListState<T> {
  get(): readonly T[]
  add(value: T): void
  set(values: readonly T[]): void
  clear(): void
}
export interface MapState<K, V> {
  get(key: K): V | undefined
  has(key: K): boolean
  set(key: K, value: V): void
  delete(key: K): void
  entries(): IterableIterator<[K, V]>
  clear(): void
}

export type StateOf<D> =
  D extends ValueDescriptor<infer T>
    ? ValueState<T>
    : D extends ListDescriptor<infer T>
      ? ListState<T>
      : D extends MapDescriptor<infer K, infer V>
        ? MapState<K, V>
        : never
