/**
 * A savepoint: a completed and committed checkpoint as a self-contained copy in another place. Its blobs are named by what they hold, its
 * manifest is one of them, and a description names them all with their sha256. The description is written last, by a conditional
 * create: a copy without one is half of one, and never taken for a whole (F17).
 *
 * Bytes of the description: `sluice-savepoint 1 <sha256 of the body> <body length>\n<body>`, the body being JSON.
 */
import { createHash } from 'node:crypto'
import { CorruptCheckpointError, type Key } from '../api/index.ts'
import type { LogEntry } from './log-entry.ts'
import { blobsOf, type BlobReference, type Manifest, type OperatorSnapshot } from './manifest.ts'

/** Where the description lies in the store that is the savepoint. */
export const DESCRIPTION_KEY: Key = 'savepoint'

/** What a savepoint says of itself. */
export interface SavepointDescription {
  readonly format: 1
  /** Whose checkpoint it is. */
  readonly job: string
  readonly lineage: string
  readonly generation: number
  readonly checkpoint: number
  /** The input had ended: there is nothing left to run. */
  readonly final: boolean
  /** Wall clock, for people: when the checkpoint completed, and when it was copied. */
  readonly at: number
  readonly copiedAt: number
  /** Key groups its keyed state is divided into. */
  readonly maxParallelism: number
  /** The run that the log was in when it was copied. */
  readonly run: {
    readonly generation: number
    readonly planHash: string
    readonly codeIdentity: string
    readonly parallelism: number
    readonly settings: Readonly<Record<string, string>>
  }
  readonly manifest: BlobReference
  /** All that the manifest refers to. */
  readonly blobs: readonly BlobReference[]
  readonly sizeBytes: number
  /** Sinks that hold something open outside, which is not in here. */
  readonly openSinks: readonly string[]
}

/** Of content with this sha256: copied twice it is there once. */
export function savepointKey(sha256: string): Key {
  return `blob/${sha256}`
}

/** The checkpoint as a savepoint holds it: nothing to commit, blobs under the savepoint's names. */
export function asSavepoint(manifest: Manifest): Manifest {
  return withBlobs({ ...manifest, operators: manifest.operators.map(withoutCommittables) }, ({ sha256, ...blob }) => ({
    ...blob,
    sha256,
    key: savepointKey(sha256),
  }))
}

export interface ImportNames {
  readonly job: string
  readonly lineage: string
  readonly generation: number
  readonly checkpoint: number
}

/** What of a savepoint a run takes over. */
export function withoutDropped(manifest: Manifest, dropped: readonly string[]): Manifest {
  return { ...manifest, operators: manifest.operators.filter(({ operator }) => !dropped.includes(operator)) }
}

/** The savepoint's checkpoint as one of the job that restores it; `blobs`: where theirs lie now, by their sha256. */
export function asImported(
  manifest: Manifest,
  names: ImportNames,
  blobs: ReadonlyMap<string, BlobReference>,
): Manifest {
  return withBlobs({ ...manifest, ...names }, (blob) => {
    const mine = blobs.get(blob.sha256)
    if (mine !== undefined) return mine
    throw new CorruptCheckpointError(`blob ${blob.key} of the savepoint is not among those it names`, {
      code: 'SLUICE_SAVEPOINT_DAMAGED',
    })
  })
}

/** Each once, by content. */
export function contentsOf(manifest: Manifest): readonly BlobReference[] {
  return [...new Map(manifest.operators.flatMap(blobsOf).map((blob) => [blob.sha256, blob])).values()]
}

/** Sinks whose writers hold something that is not committed and lies outside. */
export function openSinksOf(manifest: Manifest): readonly string[] {
  const open = manifest.operators.filter(({ writerState }) => (writerState?.entries.length ?? 0) > 0)
  return [...new Set(open.map(({ operator }) => operator))]
}

/** Does it hold the very checkpoint that is the newest of this log? */
export function isNewestOf({ job, lineage, generation, checkpoint }: SavepointDescription, newest: LogEntry): boolean {
  const last = newest.retained.at(-1)
  if (last === undefined || job !== newest.job || lineage !== newest.lineage) return false
  return generation === last.generation && checkpoint === last.checkpoint
}

export function encodeDescription(description: SavepointDescription): Uint8Array {
  const body = Buffer.from(JSON.stringify(description))
  return Buffer.concat([Buffer.from(`${MAGIC} ${sha256Of(body)} ${body.byteLength}\n`), body])
}

/** `uri` is for people. @throws CorruptCheckpointError if the bytes are not exactly what `encodeDescription` made */
export function decodeDescription(
  uri: string,
  bytes: Uint8Array,
): { readonly description: SavepointDescription; readonly sha256: string } {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const lineEnd = buffer.indexOf(10)
  const match = /^sluice-savepoint 1 ([0-9a-f]{64}) (\d+)$/.exec(buffer.toString('latin1', 0, Math.max(0, lineEnd)))
  const body = buffer.subarray(lineEnd + 1)
  if (match === null) throw damaged(uri, 'does not start like one of a version this release reads')
  if (body.byteLength !== Number(match[2])) throw damaged(uri, `has ${body.byteLength} bytes, ${match[2]} were written`)
  if (sha256Of(body) !== match[1]) throw damaged(uri, 'does not match its sha256')
  const description = JSON.parse(body.toString('utf8')) as SavepointDescription
  if (description.format !== 1) throw damaged(uri, `has format ${String(description.format)}, this release reads 1`)
  return { description, sha256: match[1] }
}

function damaged(uri: string, what: string): CorruptCheckpointError {
  return new CorruptCheckpointError(
    `${DESCRIPTION_KEY} in ${uri}, the description of the savepoint, ${what}; copy the savepoint here once more`,
    { code: 'SLUICE_SAVEPOINT_DAMAGED' },
  )
}

function withoutCommittables({ committables: _delivered, ...snapshot }: OperatorSnapshot): OperatorSnapshot {
  return snapshot
}

function withBlobs(manifest: Manifest, rename: (blob: BlobReference) => BlobReference): Manifest {
  const renamed = (snapshot: OperatorSnapshot): OperatorSnapshot => {
    const { state, operatorState } = snapshot
    return {
      ...snapshot,
      ...(state === undefined ? {} : { state: { ...state, blobs: state.blobs.map(rename) } }),
      ...(operatorState !== undefined && 'blob' in operatorState
        ? { operatorState: { ...operatorState, blob: rename(operatorState.blob) } }
        : {}),
    }
  }
  return { ...manifest, operators: manifest.operators.map(renamed) }
}

const MAGIC = 'sluice-savepoint 1'

function sha256Of(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}
