/**
 * The completed checkpoints a generation knows: what the newest log entry retains, with their manifests. Says what a new entry
 * retains, and deletes what no retained manifest and no pinned base refers to, after the entry that stopped referring to it.
 */
import type { BlobReference, Manifest } from '../checkpoint/manifest.ts'
import type { CheckpointStore, Logger } from '../api/index.ts'
import { messageOf } from '../api/index.ts'

/** A completed checkpoint as the log entry names it. */
export interface Completed {
  readonly manifest: Manifest
  /** Where the manifest is stored; undefined when it rides in the log entry. */
  readonly reference: BlobReference | undefined
}

export class Retained {
  readonly #store: CheckpointStore
  readonly #logger: Logger
  readonly #all = new Map<number, Completed>()
  #garbage: string[] = []

  constructor(store: CheckpointStore, logger: Logger, completed: readonly Completed[]) {
    this.#store = store
    this.#logger = logger
    for (const one of completed) this.#all.set(one.manifest.checkpoint, one)
  }

  get newest(): Manifest | undefined {
    return [...this.#all.values()].at(-1)?.manifest
  }

  get oldest(): Manifest | undefined {
    return this.#all.values().next().value?.manifest
  }

  /** In the order of their numbers. */
  all(): readonly Completed[] {
    return [...this.#all.values()]
  }

  add(completed: Completed): void {
    this.#all.set(completed.manifest.checkpoint, completed)
  }

  /** The entry that no longer names them is durable: they, and what only they refer to, may be deleted. */
  drop(checkpoints: readonly number[]): void {
    const candidates = new Set<string>()
    for (const checkpoint of checkpoints) {
      const gone = this.#all.get(checkpoint)
      if (gone === undefined) continue
      this.#all.delete(checkpoint)
      for (const key of keysOf(gone)) candidates.add(key)
    }
    for (const kept of this.#all.values()) for (const key of keysOf(kept)) candidates.delete(key)
    this.#garbage.push(...candidates)
  }

  /** Blobs of a checkpoint that was declined or abandoned, by name; what a retained one refers to stays. */
  discard(keys: readonly string[]): void {
    const referred = new Set([...this.#all.values()].flatMap(keysOf))
    this.#garbage.push(...keys.filter((key) => !referred.has(key)))
  }

  /** Deletes what nothing refers to any more. A failed delete is tried again the next time. */
  async collect(): Promise<void> {
    const batch = this.#garbage
    this.#garbage = []
    const results = await Promise.allSettled(batch.map((key) => this.#store.delete(key)))
    for (const [index, result] of results.entries()) {
      if (result.status === 'fulfilled') continue
      const key = batch[index]
      if (key === undefined) continue
      this.#garbage.push(key)
      this.#logger.warn(`could not delete ${key}; it is tried again later`, { error: messageOf(result.reason) })
    }
  }
}

/** Everything in the store that a completed checkpoint refers to. */
export function keysOf(completed: Completed): string[] {
  const keys = completed.reference === undefined ? [] : [completed.reference.key]
  for (const operator of completed.manifest.operators) {
    for (const blob of operator.state?.blobs ?? []) keys.push(blob.key)
  }
  return keys
}
