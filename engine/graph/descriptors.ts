/**
 * Keyed state as a job declares it, and the handles a process function sees. Values are kept as msgpack: JSON values, undefined, bigint,
 * Date, Map, Set and bytes survive.
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

/** A growing list per key. */
export function list<T>(): ListDescriptor<T> {
  return { kind: 'list' }
}

/** A map per key, each element stored on its own. */
export function map<K extends string | number | boolean | bigint, V>(): MapDescriptor<K, V> {
  return { kind: 'map' }
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

export interface ValueState<T> {
  get(): DeepReadonly<T>
  set(value: DeepReadonly<T>): void
  clear(): void
}
export interface ListState<T> {
  get(): readonly DeepReadonly<T>[]
  add(value: DeepReadonly<T>): void
  set(values: readonly DeepReadonly<T>[]): void
  clear(): void
}
export interface MapState<K, V> {
  get(key: K): DeepReadonly<V> | undefined
  has(key: K): boolean
  set(key: K, value: DeepReadonly<V>): void
  delete(key: K): void
  entries(): IterableIterator<[K, DeepReadonly<V>]>
  clear(): void
}

/** The handle of a descriptor. */
export type StateOf<D> =
  D extends ValueDescriptor<infer T>
    ? ValueState<T>
    : D extends ListDescriptor<infer T>
      ? ListState<T>
      : D extends MapDescriptor<infer K, infer V>
        ? MapState<K, V>
        : never
