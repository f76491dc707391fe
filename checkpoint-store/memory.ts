/**
 * The checkpoint store in memory, for tests: same answers as a durable one, gone with the process. Hooks see every operation, so that a
 * simulation can fail it, delay it or crash before and after it; `clone` is what a restarted process would find.
 */
import type { CheckpointStore, Key } from '../engine/api/index.ts'
import { checkKey, checkPrefix } from './key.ts'

/** One call, as hooks see it. */
export interface StoreOperation {
  readonly name: 'create' | 'put' | 'get' | 'delete' | 'list'
  /** The prefix, for `list`. */
  readonly key: Key
}

/** What is in it, and who watches. */
export interface MemoryStoreOptions {
  readonly uri?: string
  /** What is in it at first. */
  readonly files?: Iterable<readonly [Key, Uint8Array]>
  /** A throw: the operation failed and had no effect. */
  readonly before?: (operation: StoreOperation) => void | Promise<void>
  /** A throw: the operation took effect and its answer was lost. */
  readonly after?: (operation: StoreOperation) => void | Promise<void>
}

/** A store that can be copied. */
export interface MemoryStore extends CheckpointStore {
  /** A copy of what is in it now. */
  snapshot(): ReadonlyMap<Key, Uint8Array>
  /** Another store with a copy of what is in this one now, without its hooks. */
  clone(options?: Omit<MemoryStoreOptions, 'files'>): MemoryStore
}

/** Empty, if nothing is given; each call makes another one. */
export function memoryStore(options: MemoryStoreOptions = {}): MemoryStore {
  const { before, after, uri = 'memory:' } = options
  const files = copied(options.files ?? [])

  /** `act` is synchronous: the conditional create needs no lock. */
  async function run<T>(operation: StoreOperation, act: () => T): Promise<T> {
    await before?.(operation)
    const result = act()
    await after?.(operation)
    return result
  }

  return {
    uri,
    async create(key, bytes) {
      checkKey(key)
      const copy = new Uint8Array(bytes)
      return run({ name: 'create', key }, () => {
        if (files.has(key)) return 'exists'
        files.set(key, copy)
        return 'created'
      })
    },
    async put(key, bytes) {
      checkKey(key)
      const copy = new Uint8Array(bytes)
      await run({ name: 'put', key }, () => files.set(key, copy))
    },
    async get(key) {
      checkKey(key)
      return run({ name: 'get', key }, () => {
        const bytes = files.get(key)
        return bytes === undefined ? undefined : new Uint8Array(bytes)
      })
    },
    async delete(key) {
      checkKey(key)
      await run({ name: 'delete', key }, () => files.delete(key))
    },
    async *list(prefix) {
      checkPrefix(prefix)
      yield* await run({ name: 'list', key: prefix }, () => [...files.keys()].filter((key) => key.startsWith(prefix)))
    },
    snapshot: () => copied(files),
    clone: (more = {}) => memoryStore({ uri, ...more, files }),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  }
}

function copied(files: Iterable<readonly [Key, Uint8Array]>): Map<Key, Uint8Array> {
  return new Map([...files].map(([key, bytes]) => [key, new Uint8Array(bytes)]))
}
