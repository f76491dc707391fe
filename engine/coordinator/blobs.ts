/**
 * Blobs and manifests in the store: named once, with length and sha256, checked before use. Names hold generation and a nonce, so a
 * sweeper can tell whose they are (C3, C5).
 *
 * - T3: what is hashed beside records is hashed in slices.
 */
import { createHash } from 'node:crypto'
import { CorruptCheckpointError, type CheckpointStore, type Runtime, type Timers } from '../api/index.ts'
import type { BlobReference } from '../checkpoint/manifest.ts'
import type { AnnouncedBlob } from '../task/host.ts'
import { sha256InSlices } from '../task/blob-hash.ts'

export class Blobs {
  readonly #store: CheckpointStore
  readonly #prefix: string
  readonly #nonce: string
  readonly #timers: Timers
  /** Keys that no completed checkpoint refers to yet; true: nothing of it is on its way any more. */
  readonly #unreferenced = new Map<string, boolean>()
  #counter = 0

  /** `<job>/blob/<generation>/<nonce>-<counter>-<what>` */
  constructor(store: CheckpointStore, job: string, generation: number, runtime: Runtime) {
    this.#store = store
    this.#prefix = blobPrefix(job, generation)
    this.#nonce = runtime.random.token(8)
    this.#timers = runtime.timers
  }

  /** Durable when it resolves. `what` is decoration (an operator id, `manifest`). */
  async put(what: string, bytes: Uint8Array): Promise<BlobReference> {
    const sha256 = await sha256InSlices(bytes, this.#timers)
    const announced = this.announce(what)
    try {
      await this.#store.put(announced.key, bytes)
    } finally {
      announced.settled()
    }
    return { key: announced.key, sizeBytes: bytes.byteLength, sha256 }
  }

  /** The name of a blob that is written elsewhere: from here on it is known, and debris once it is settled and nothing refers to it. */
  announce(what: string): AnnouncedBlob {
    this.#counter += 1
    const key = `${this.#prefix}${this.#nonce}-${this.#counter}-${what}`
    this.#unreferenced.set(key, false)
    return {
      key,
      settled: () => {
        if (this.#unreferenced.has(key)) this.#unreferenced.set(key, true)
      },
    }
  }

  /**
   * Called when the checkpoint in flight is resolved: keys put so far that `referenced` does not name are debris of declined and abandoned
   * ones. Forgets them; those still on their way come the next time.
   */
  takeUnreferenced(referenced: ReadonlySet<string>): readonly string[] {
    const settled = [...this.#unreferenced].flatMap(([key, isSettled]) => (isSettled ? [key] : []))
    for (const key of settled) this.#unreferenced.delete(key)
    return settled.filter((key) => !referenced.has(key))
  }

  get(reference: BlobReference): Promise<Uint8Array> {
    return getBlob(this.#store, reference)
  }
}

/** Blobs of one generation; ends in `/`. */
export function blobPrefix(job: string, generation: number): string {
  return `${job}/blob/${String(generation).padStart(8, '0')}/`
}

/** The generation in a blob's key, or undefined if it is not one of ours. */
export function generationOfBlob(job: string, key: string): number | undefined {
  const match = new RegExp(`^${job.replaceAll('.', '\\.')}/blob/(\\d{8,})/`).exec(key)
  return match?.[1] === undefined ? undefined : Number(match[1])
}

/** @throws CorruptCheckpointError naming the key if it is missing or not what was written */
export async function getBlob(store: CheckpointStore, reference: BlobReference): Promise<Uint8Array> {
  const read = await readBlob(store, reference)
  if (read.kind === 'whole') return read.bytes
  throw new CorruptCheckpointError(`${reference.key} ${read.problem}; ${CURE}`, { code: 'SLUICE_CHECKPOINT_CORRUPT' })
}

export type BlobRead =
  | { readonly kind: 'whole'; readonly bytes: Uint8Array }
  /** In words that go on behind its key. */
  | { readonly kind: 'damaged'; readonly problem: string }

export async function readBlob(store: CheckpointStore, reference: BlobReference): Promise<BlobRead> {
  const bytes = await store.get(reference.key)
  if (bytes === undefined) return { kind: 'damaged', problem: `is missing from ${store.uri}` }
  if (bytes.byteLength !== reference.sizeBytes) {
    const problem = `in ${store.uri} has ${bytes.byteLength} bytes, ${reference.sizeBytes} were written`
    return { kind: 'damaged', problem }
  }
  if (sha256(bytes) === reference.sha256) return { kind: 'whole', bytes }
  return { kind: 'damaged', problem: `in ${store.uri} does not match its sha256` }
}

const CURE =
  'bring the file back from a backup, or restore an older checkpoint with --restore <checkpoint> --accept-duplicates'

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}
