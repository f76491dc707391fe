/**
 * What one completed checkpoint holds. JSON; binary parts are base64 or blob references.
 */

export interface Manifest {
  readonly format: 1
  readonly job: string
  readonly lineage: string
  readonly generation: number
  readonly checkpoint: number
  readonly maxParallelism: number
  readonly operators: readonly OperatorSnapshot[]
}

/** One operator's subtask, as the task acknowledged it. */
export interface OperatorSnapshot {
  readonly operator: string
  readonly subtask: number
  readonly parallelism: number
  /** The operator's input has ended (a source: all its splits): it is never ended again. */
  readonly ended: boolean
  /** Sources: every known split. */
  readonly splits?: readonly {
    readonly split: { readonly id: string }
    readonly position: unknown
    readonly ended: boolean
  }[]
  /**
   * Sources: records taken; sinks: records given to the writer. In the whole life of the job up to the cut, each once; the sum over all
   * subtasks counts, since subtask 0 goes on from that of all. Left out by older releases: counted from then on.
   */
  readonly records?: number
  /** Sinks: the newest event time among those records, milliseconds since 1970. Left out: none of them had one. */
  readonly newestEventAt?: number
  /** Operators with keyed state. */
  readonly state?: KeyedStateHandle
  /** Operators that declare operator state. */
  readonly operatorState?: OperatorStateHandle
  /** Sinks: encoded writer state of this subtask, base64. */
  readonly writerState?: { readonly version: number; readonly entries: readonly string[] }
  /** Sinks: every committable that no completed checkpoint holds yet, in origin order. */
  readonly committables?: readonly StoredCommittable[]
}

export interface StoredCommittable {
  readonly generation: number
  /** The epoch it was prepared in. */
  readonly checkpoint: number
  readonly operator: string
  readonly subtask: number
  readonly index: number
  readonly version: number
  readonly bytes: string
}

/** A blob in the store: named once, length and sha256 checked before use. */
export interface BlobReference {
  readonly key: string
  readonly sizeBytes: number
  readonly sha256: string
}

export interface KeyedStateHandle {
  readonly format: 1
  readonly descriptors: Readonly<Record<string, { readonly kind: string }>>
  readonly blobs: readonly BlobReference[]
  /** Per key group with entries: its base, then its deltas, oldest first; each segment is [index into blobs, offset, length]. */
  readonly keyGroups: readonly {
    readonly keyGroup: number
    readonly segments: readonly (readonly [number, number, number])[]
  }[]
}

/**
 * Operator state of one subtask. Its entries lie here, in base64, where they are few bytes, else in a blob of their own. Entries of a
 * `broadcast-map` are in the part of subtask 0 only.
 */
export type OperatorStateHandle = {
  readonly format: 1
  readonly descriptors: Readonly<Record<string, { readonly kind: string }>>
} & ({ readonly inline: string } | { readonly blob: BlobReference })

/** All that a restore of this part reads. */
export function blobsOf({ state, operatorState }: OperatorSnapshot): readonly BlobReference[] {
  const blobs = state?.blobs ?? []
  return operatorState !== undefined && 'blob' in operatorState ? [...blobs, operatorState.blob] : blobs
}

/** What `manifest` holds of an operator, of all its subtasks then; nothing of one that is given up. */
export function partsOf(
  manifest: Manifest | null,
  operator: string,
  dropped: readonly string[],
): readonly OperatorSnapshot[] {
  if (dropped.includes(operator)) return []
  return manifest?.operators.filter((one) => one.operator === operator) ?? []
}
