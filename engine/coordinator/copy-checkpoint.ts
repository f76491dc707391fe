/**
 * Copies a committed checkpoint to a place of its own (a savepoint), of a job that rests or runs. Only reads the job's store.
 *
 * A job that runs retires checkpoints and deletes what only they refer to. A blob that is gone for that reason is no damage: the copy
 * begins anew with the newest checkpoint; what is there already is not copied again, so that it catches up. Everything is checked on its
 * way: what is missing or damaged is never copied.
 */
import { createHash } from 'node:crypto'
import { CorruptCheckpointError, TerminalError, type CheckpointStore, type Runtime } from '../api/index.ts'
import type { LogEntry, RetainedCheckpoint } from '../checkpoint/log-entry.ts'
import { blobsOf, type BlobReference, type Manifest } from '../checkpoint/manifest.ts'
import {
  asSavepoint,
  contentsOf,
  DESCRIPTION_KEY,
  encodeDescription,
  openSinksOf,
  savepointKey,
  type SavepointDescription,
} from '../checkpoint/savepoint.ts'
import { getBlob, readBlob } from './blobs.ts'
import { JobLog } from './job-log.ts'
import { loadManifest } from './recovery.ts'

/** What is copied, and where to. */
export interface CopyOptions {
  /** Of the job; only read. */
  readonly store: CheckpointStore
  readonly job: string
  /** The place: a store that holds nothing but this savepoint. */
  readonly to: CheckpointStore
  readonly runtime: Runtime
  /** Exactly this one; left out: the newest that is committed. */
  readonly checkpoint?: number
  /** The newest that is committed, but none before this one. */
  readonly from?: number
}

/** A savepoint that has just been made. */
export interface Copied {
  readonly uri: string
  readonly description: SavepointDescription
}

/** How often a copy begins anew because its checkpoint was retired. */
const MOST_TRIES = 10
const SIDE_BY_SIDE = 4
/** A commit is in the log at most some 2 s after it was made, and a job that runs may keep nothing that is in the log as committed. */
const COMMITTED_WITHIN_MS = 10_000
const LOOK_AGAIN_MS = 100

/**
 * Durable and whole when it resolves.
 * @throws TerminalError when there is no such checkpoint, or the place is taken; CorruptCheckpointError for one that is damaged
 */
export async function copyCheckpoint(options: CopyOptions): Promise<Copied> {
  const { store, job, to, runtime } = options
  if (store.uri === to.uri) {
    throw new TerminalError(`${to.uri} is the store of the job itself; give another place for the savepoint`, {
      code: 'SLUICE_SAVEPOINT_PLACE',
    })
  }
  await refuseTaken(to)
  const log = await JobLog.open(store, job, runtime)
  if (options.checkpoint === undefined) await untilCommitted(log, options.from, runtime)
  for (let tries = 1; ; tries += 1) {
    const { newest } = log
    if (newest === undefined)
      throw new TerminalError(`${store.uri} knows no job "${job}"; name the store of its run with --store`, {
        code: 'SLUICE_JOB_UNKNOWN',
      })
    const chosen = chosenOf(options, newest)
    try {
      return await copyOf(chosen, newest, options)
    } catch (error) {
      if (!(error instanceof CorruptCheckpointError)) throw error
      const now = await log.refresh()
      if (now?.retained.some((one) => one.checkpoint === chosen.checkpoint) !== false) throw error
      if (tries >= MOST_TRIES || options.checkpoint !== undefined) throw retired(job, chosen.checkpoint, error)
    }
  }
}

/** @throws TerminalError when a savepoint is there already */
export async function refuseTaken(to: CheckpointStore): Promise<void> {
  if ((await to.get(DESCRIPTION_KEY)) !== undefined) throw taken(to)
}

/** Waits until one is there that may be copied, or none will be. */
async function untilCommitted(log: JobLog, from: number | undefined, { clock, timers }: Runtime): Promise<void> {
  const untilMs = clock.monotonicMs() + COMMITTED_WITHIN_MS
  for (;;) {
    const { newest } = log
    const isOver = newest === undefined || newest.kind === 'ended' || newest.retained.length === 0
    if (isOver || newestCommitted(newest, from) !== undefined || clock.monotonicMs() > untilMs) return
    await timers.sleep(LOOK_AGAIN_MS)
    await log.refresh()
  }
}

function newestCommitted({ retained, committedThrough }: LogEntry, from = 1): RetainedCheckpoint | undefined {
  return retained.findLast(({ checkpoint }) => checkpoint <= committedThrough && checkpoint >= from)
}

function chosenOf({ job, checkpoint, from }: CopyOptions, newest: LogEntry): RetainedCheckpoint {
  const committed = newest.retained.filter((one) => one.checkpoint <= newest.committedThrough)
  const chosen =
    checkpoint === undefined ? newestCommitted(newest, from) : committed.find((one) => one.checkpoint === checkpoint)
  if (chosen !== undefined) return chosen
  const numbers = committed.map((one) => one.checkpoint).join(', ') || 'none'
  const isDue = newest.retained.some((one) => checkpoint === undefined || one.checkpoint === checkpoint)
  const cure =
    checkpoint === undefined ? ' (a job that runs must keep two checkpoints or more: checkpoint.retained)' : ''
  throw new TerminalError(
    isDue
      ? `checkpoint ${checkpoint ?? newest.retained.at(-1)?.checkpoint} of job "${job}" is completed, but its commits are not delivered yet; ` +
          `run the job until they are${cure}. Committed are ${numbers}`
      : `job "${job}" has no committed checkpoint${checkpoint === undefined ? '' : ` ${checkpoint}`} to copy; committed are ${numbers}`,
    { code: 'SLUICE_CHECKPOINT_UNKNOWN' },
  )
}

async function copyOf(chosen: RetainedCheckpoint, newest: LogEntry, options: CopyOptions): Promise<Copied> {
  const { store, to, runtime } = options
  const { manifest } = await loadManifest(store, chosen)
  await copyBlobs(manifest, store, to)
  const mine = asSavepoint(manifest)
  const bytes = new TextEncoder().encode(JSON.stringify(mine))
  const reference = referenceOf(bytes)
  await placed(to, reference, bytes)
  const blobs = contentsOf(mine)
  const { generation, planHash, codeIdentity, parallelism, settings } = newest
  const description: SavepointDescription = {
    format: 1,
    job: options.job,
    lineage: manifest.lineage,
    generation: manifest.generation,
    checkpoint: manifest.checkpoint,
    final: chosen.final,
    at: chosen.at,
    copiedAt: runtime.clock.now(),
    maxParallelism: manifest.maxParallelism,
    run: { generation, planHash, codeIdentity, parallelism, settings },
    manifest: reference,
    blobs,
    sizeBytes: [reference, ...blobs].reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
    openSinks: openSinksOf(manifest),
  }
  // Last, and by whoever is first: without it there is no savepoint here.
  if ((await to.create(DESCRIPTION_KEY, encodeDescription(description))) === 'exists') throw taken(to)
  return { uri: to.uri, description }
}

async function copyBlobs(manifest: Manifest, store: CheckpointStore, to: CheckpointStore): Promise<void> {
  const blobs = [...new Map(manifest.operators.flatMap(blobsOf).map((blob) => [blob.sha256, blob])).values()]
  for (let first = 0; first < blobs.length; first += SIDE_BY_SIDE) {
    await Promise.all(
      blobs.slice(first, first + SIDE_BY_SIDE).map(async (blob) => {
        const mine = { ...blob, key: savepointKey(blob.sha256) }
        if ((await readBlob(to, mine)).kind === 'whole') return
        await placed(to, mine, await getBlob(store, blob))
      }),
    )
  }
}

/** What is there under this name already must be this very content: an earlier copy that was broken off. */
async function placed(to: CheckpointStore, blob: BlobReference, bytes: Uint8Array): Promise<void> {
  if ((await to.create(blob.key, bytes)) === 'created') return
  const there = await readBlob(to, blob)
  if (there.kind === 'whole') return
  throw new TerminalError(`${blob.key} ${there.problem}: something else is in the way; give another place`, {
    code: 'SLUICE_SAVEPOINT_PLACE',
  })
}

function referenceOf(bytes: Uint8Array): BlobReference {
  const sha256 = createHash('sha256').update(bytes).digest('hex')
  return { key: savepointKey(sha256), sizeBytes: bytes.byteLength, sha256 }
}

function taken(to: CheckpointStore): TerminalError {
  return new TerminalError(`there is a savepoint in ${to.uri} already, and it is kept; give another place`, {
    code: 'SLUICE_SAVEPOINT_EXISTS',
  })
}

function retired(job: string, checkpoint: number, cause: CorruptCheckpointError): TerminalError {
  return new TerminalError(
    `checkpoint ${checkpoint} of job "${job}" was retired while it was copied, and so were newer ones; nothing was left at the place but ` +
      'blobs. Copy again, or let the job keep more checkpoints (checkpoint.retained)',
    { code: 'SLUICE_CHECKPOINT_RETIRED', cause },
  )
}
