/**
 * Cleaning at a start: blobs of older generations that no retained manifest refers to. Only names of
 * generations below ours are touched (C3): a fenced sweeper that wakes up deletes nothing its successor needs.
 */
import { messageOf, type CheckpointStore, type Logger } from '../api/index.ts'
import { isDebris } from '../checkpoint/sweep.ts'
import { generationOfBlob } from './blobs.ts'
import { keysOf, type Retained } from './retained.ts'

export async function sweepDebris(
  store: CheckpointStore,
  facts: { readonly job: string; readonly generation: number; readonly retained: Retained },
  logger: Logger,
): Promise<number> {
  const { job, generation, retained } = facts
  const referred = new Set(retained.all().flatMap(keysOf))
  let swept = 0
  try {
    for await (const key of store.list(`${job}/blob/`)) {
      if (!isDebris({ key, owner: generationOfBlob(job, key), sweeper: generation, referred })) continue
      await store.delete(key)
      swept += 1
    }
  } catch (error) {
    logger.warn('cleaning after older generations did not finish; it is repeated at the next start', {
      error: messageOf(error),
    })
  }
  return swept
}
