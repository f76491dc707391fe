/**
 * A savepoint as it lies in a store of its own: found by its description, everything checked before use.
 */
import { CorruptCheckpointError, TerminalError, type CheckpointStore } from '../api/index.ts'
import type { BlobReference, Manifest } from '../checkpoint/manifest.ts'
import { contentsOf, decodeDescription, DESCRIPTION_KEY, type SavepointDescription } from '../checkpoint/savepoint.ts'
import { readBlob } from './blobs.ts'

/** A savepoint that was found and whose description holds; to be given to `runJob` as `restore`. */
export interface Savepoint {
  /** Where it is, without secrets. */
  readonly uri: string
  /** Of its description, which holds that of everything else. */
  readonly sha256: string
  readonly description: SavepointDescription
  readonly manifest: Manifest
  /** @throws CorruptCheckpointError naming it if it is missing or not what was written */
  getBlob(blob: BlobReference): Promise<Uint8Array>
}

/**
 * The store must stay open for as long as the savepoint is used.
 * @throws TerminalError where there is none; CorruptCheckpointError for one that is damaged
 */
export async function openSavepoint(store: CheckpointStore): Promise<Savepoint> {
  const bytes = await store.get(DESCRIPTION_KEY)
  if (bytes === undefined) {
    throw new TerminalError(
      `there is no savepoint in ${store.uri}: its description "${DESCRIPTION_KEY}" is missing, as in a copy that was not finished; ` +
        'give the place that a savepoint was copied to, or copy it once more',
      { code: 'SLUICE_SAVEPOINT_MISSING' },
    )
  }
  const { description, sha256 } = decodeDescription(store.uri, bytes)
  const getBlob = (blob: BlobReference): Promise<Uint8Array> => readSavepointBlob(store, blob)
  const manifest = JSON.parse(new TextDecoder().decode(await getBlob(description.manifest))) as Manifest
  return { uri: store.uri, sha256, description, manifest, getBlob }
}

/** Reads all of it, bytes and checksums. @throws CorruptCheckpointError */
export async function checkSavepoint(savepoint: Savepoint): Promise<void> {
  for (const blob of contentsOf(savepoint.manifest)) await savepoint.getBlob(blob)
}

async function readSavepointBlob(store: CheckpointStore, blob: BlobReference): Promise<Uint8Array> {
  const read = await readBlob(store, blob)
  if (read.kind === 'whole') return read.bytes
  throw new CorruptCheckpointError(
    `${blob.key} ${read.problem}; the savepoint cannot be used: bring the file back, or copy the savepoint there once more`,
    { code: 'SLUICE_SAVEPOINT_DAMAGED' },
  )
}
