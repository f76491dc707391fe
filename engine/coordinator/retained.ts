/**
 * The completed checkpoints a generation knows: what the newest log entry retains, with their manifests. Says what a new entry
 * retains, and deletes what no retained manifest and no pinned base refers to, after the entry that stopped referring to it.
 */
import type { BlobReference, Manifest } from '../checkpoint/manifest.ts'
import { deletableBlobs, keysOfCheckpoint, type StoredCheckpoint } from '../checkpoint/retention.ts'
import { messageOf, RetryableError, type CheckpointStore } from '../api/index.ts'

/** A completed checkpoint as the log entry names it. */
export interface Completed {
  readonly manifest: Manifest
  /** Where the manifest is stored; undefined when it rides in the log entry. */
  readonly reference: BlobReference | undefined
}

/** Keys remembered for deletion. */
const MOST_GARBAGE = 10_000

export class Retained {
  readonly #store: CheckpointStore
  readonly #all = new Map<number, Completed>()
  #garbage: string[] = []

  constructor(store: CheckpointStore, completed: readonly Completed[]) {
    this.#store = store
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
    const gone = checkpoints.flatMap((checkpoint) => this.#all.get(checkpoint) ?? [])
    for (const checkpoint of checkpoints) this.#all.delete(checkpoint)
    this.#garbage.push(...deletableBlobs(gone.map(storedOf), this.all().map(storedOf)))
  }

  /** Blobs of a checkpoint that was declined or abandoned, by name; what a retained one refers to stays. */
  discard(keys: readonly string[]): void {
    const referred = new Set(this.all().flatMap(keysOf))
    this.#garbage.push(...keys.filter((key) => !referred.has(key)))
  }

  get hasGarbage(): boolean {
    return this.#garbage.length > 0
  }

  /** Deletes what nothing refers to any more. A failed delete is tried again the next time. @throws the first failure */
  async collect(): Promise<void> {
    const batch = this.#garbage
    this.#garbage = []
    const results = await Promise.allSettled(batch.map((key) => this.#store.delete(key)))
    const failed = results.flatMap((result, index) =>
      result.status === 'rejected' ? [{ key: batch[index] ?? '', reason: messageOf(result.reason) }] : [],
    )
    // A store that deletes nothing for days: the sweep of the next start finds the rest (C8).
    this.#garbage = [...failed.map((one) => one.key), ...this.#garbage].slice(-MOST_GARBAGE)
    const [first] = failed
    if (first !== undefined)
      throw new RetryableError(`could not delete ${first.key}: ${first.reason}`, { code: 'SLUICE_CLEANUP_FAILED' })
  }
}

/** Everything in the store that a completed checkpoint refers to. */
export function keysOf(completed: Completed): readonly string[] {
  return keysOfCheckpoint(storedOf(completed))
}

function storedOf({ manifest, reference }: Completed): StoredCheckpoint {
  return { manifest, manifestKey: reference?.key }
}
