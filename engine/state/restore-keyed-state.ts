/**
 * Brings a checkpoint's keyed state into a new backend: loads the blobs that its key groups need, once each. Key groups
 * are decoded on first touch, or by `restoreIdleSlice`.
 */
import type { BlobReference, KeyedStateHandle } from '../checkpoint/manifest.ts'

export interface RestoreOptions {
  /** The checkpoint restored: the base of the next one. */
  readonly checkpoint: number
  /** Of all old subtasks of the operator: they are merged by key group. */
  readonly handles: readonly KeyedStateHandle[]
  /** Checks the bytes, too. @throws CorruptCheckpointError naming the blob */
  readonly getBlob: (blob: BlobReference) => Promise<Uint8Array>
  /** Names of states that the checkpoint holds and that may go. */
  readonly dropped?: readonly string[]
}

interface Restorable {
  readonly firstKeyGroup: number
  readonly lastKeyGroup: number
  restore(
    checkpoint: number,
    handles: readonly KeyedStateHandle[],
    blobs: ReadonlyMap<string, Uint8Array>,
    dropped?: readonly string[],
  ): void
}

/** @throws what `getBlob` throws, TerminalError for state that the job does not declare alike */
export async function restoreKeyedState(backend: Restorable, options: RestoreOptions): Promise<void> {
  const { firstKeyGroup, lastKeyGroup } = backend
  const needed = new Map<string, BlobReference>()
  for (const { keyGroups, blobs } of options.handles) {
    for (const { keyGroup, segments } of keyGroups) {
      if (keyGroup < firstKeyGroup || keyGroup > lastKeyGroup) continue
      for (const [index] of segments) {
        const blob = blobs[index]
        if (blob !== undefined) needed.set(blob.key, blob)
      }
    }
  }
  const loaded = await Promise.all(
    [...needed.values()].map(async (blob) => [blob.key, await options.getBlob(blob)] as const),
  )
  backend.restore(options.checkpoint, options.handles, new Map(loaded), options.dropped)
}
