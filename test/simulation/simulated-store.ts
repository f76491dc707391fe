/**
 * The checkpoint store of one simulated process: what all processes share, with the faults of this one. Answers are those of the store
 * in memory; what becomes of it is told to the truth.
 */
import type { MemoryStore } from '../../checkpoint-store/memory.ts'
import { RetryableError, type CheckpointStore } from '../../engine/api/index.ts'
import type { SimulatedProcess } from './process.ts'
import type { Truth } from './truth.ts'

export function simulatedStore(shared: MemoryStore, process: SimulatedProcess, truth: Truth): CheckpointStore {
  const failing = (what: string): void => {
    if (process.hits(process.rates.store)) throw new RetryableError(`${what}: no answer`)
  }
  /** The store in memory answers without waiting for anything: its effect is there before its promise resolves. */
  const act = async <T>(name: string, operation: () => Promise<T>): Promise<T> => {
    await process.sleep(0)
    const isProbe = name.includes('/probe/')
    if (!isProbe) failing(name)
    const result = await process.effect(name, operation)
    if (!isProbe) failing(name)
    return result
  }
  return {
    uri: shared.uri,
    create: (key, bytes) =>
      act(`store.create ${key}`, () => {
        if (!truth.files.has(key)) truth.stored(key, new Uint8Array(bytes))
        return shared.create(key, bytes)
      }),
    put: (key, bytes) =>
      act(`store.put ${key}`, () => {
        truth.stored(key, new Uint8Array(bytes))
        return shared.put(key, bytes)
      }),
    get: (key) => act(`store.get ${key}`, () => shared.get(key)),
    delete: (key) =>
      act(`store.delete ${key}`, () => {
        truth.deleted(key, process.number)
        return shared.delete(key)
      }),
    async *list(prefix) {
      yield* await act(`store.list ${prefix}`, async () => {
        const keys: string[] = []
        for await (const key of shared.list(prefix)) keys.push(key)
        return keys
      })
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  }
}
