/**
 * Blobs of the tasks in this worker: written by its own connection to the store, under names that the coordinator has given, so that it
 * can delete what becomes of no use (C3), also when this process is gone.
 *
 * - T3: what is hashed beside records is hashed in slices.
 */
import type { Timers } from '../api/index.ts'
import type { BlobReference } from '../checkpoint/manifest.ts'
import { sha256InSlices } from '../task/blob-hash.ts'
import type { BlobPort } from '../task/host.ts'

/** The part of a store that tasks need. */
export interface BlobStore {
  /** Durable when it resolves. */
  put(key: string, bytes: Uint8Array): Promise<void>
  /** Checked. @throws CorruptCheckpointError */
  getBlob(reference: BlobReference): Promise<Uint8Array>
}

export interface WorkerBlobsOptions {
  readonly store: BlobStore
  readonly timers: Timers
  /** The coordinator knows the name when it resolves. */
  announce(operator: string): Promise<string>
  /** Nothing is on its way under this name any more. */
  settled(key: string): void
}

export class WorkerBlobs implements BlobPort {
  readonly #options: WorkerBlobsOptions
  readonly #writing = new Set<Promise<void>>()

  constructor(options: WorkerBlobsOptions) {
    this.#options = options
  }

  async putBlob(operator: string, bytes: Uint8Array): Promise<BlobReference> {
    const { store, timers } = this.#options
    const [key, sha256] = await Promise.all([this.#options.announce(operator), sha256InSlices(bytes, timers)])
    const writing = store.put(key, bytes).finally(() => this.#options.settled(key))
    const settled = writing.catch(() => undefined).finally(() => this.#writing.delete(settled))
    this.#writing.add(settled)
    await writing
    return { key, sizeBytes: bytes.byteLength, sha256 }
  }

  getBlob(reference: BlobReference): Promise<Uint8Array> {
    return this.#options.store.getBlob(reference)
  }

  /** Resolves when nothing is being written. */
  async idle(): Promise<void> {
    await Promise.all(this.#writing)
  }
}
