/**
 * What a savepoint holds becomes a checkpoint of the job that restores it: blobs under names of this generation (C3, C5), a manifest that
 * refers to them. Nothing refers to it until its `committed` entry is durable: what a crash leaves is swept by the next start, which
 * imports anew.
 */
import type { CheckpointStore, Runtime } from '../api/index.ts'
import type { RetainedCheckpoint } from '../checkpoint/log-entry.ts'
import type { BlobReference } from '../checkpoint/manifest.ts'
import { asImported, contentsOf, withoutDropped, type ImportNames } from '../checkpoint/savepoint.ts'
import { Blobs } from './blobs.ts'
import { INLINE_LIMIT_BYTES } from './port.ts'
import type { Completed } from './retained.ts'
import type { Savepoint } from './savepoint.ts'

export interface ImportOptions {
  readonly store: CheckpointStore
  readonly runtime: Runtime
  readonly signal: AbortSignal
  readonly names: ImportNames
  /** Operators whose part is given up. */
  readonly dropped: readonly string[]
}

/** Blobs that are copied side by side; each is in memory as a whole. */
const SIDE_BY_SIDE = 4

/** @throws CorruptCheckpointError for a savepoint that is damaged; what the stores throw */
export async function importSavepoint(savepoint: Savepoint, options: ImportOptions): Promise<Completed> {
  const { store, runtime, signal, names } = options
  const blobs = new Blobs(store, names.job, names.generation, runtime)
  const manifest = withoutDropped(savepoint.manifest, options.dropped)
  const mine = new Map<string, BlobReference>()
  const contents = contentsOf(manifest)
  for (let from = 0; from < contents.length; from += SIDE_BY_SIDE) {
    signal.throwIfAborted()
    const copied = await Promise.all(
      contents.slice(from, from + SIDE_BY_SIDE).map(async (blob) => {
        const reference = await blobs.put('savepoint', await savepoint.getBlob(blob))
        return [blob.sha256, reference] as const
      }),
    )
    for (const [sha256, reference] of copied) mine.set(sha256, reference)
  }
  const imported = asImported(manifest, names, mine)
  const bytes = new TextEncoder().encode(JSON.stringify(imported))
  const reference = bytes.byteLength <= INLINE_LIMIT_BYTES ? undefined : await blobs.put('manifest', bytes)
  return { manifest: imported, reference }
}

/** As the log names it. `at`: when it was imported; wall clock, for people. */
export function retainedOf({ manifest, reference }: Completed, at: number): RetainedCheckpoint {
  const { checkpoint, generation } = manifest
  const facts = { checkpoint, generation, final: false, at }
  return reference === undefined ? { ...facts, inline: manifest } : { ...facts, ...reference }
}
