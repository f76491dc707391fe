/**
 * What a checkpoint holds, in figures: by operator, over all its subtasks.
 */
import type { RetainedCheckpoint } from './log-entry.ts'
import { blobsOf, type BlobReference, type Manifest, type OperatorSnapshot } from './manifest.ts'

export interface OperatorSummary {
  readonly operator: string
  readonly subtasks: number
  /** All of its input has ended. */
  readonly ended: boolean
  /** Known splits of a source. */
  readonly splits: number
  /** Name to kind; keyed. */
  readonly state: Readonly<Record<string, string>>
  /** Key groups that hold something. */
  readonly keyGroups: number
  /** Of its keyed state, as it lies in blobs. */
  readonly stateBytes: number
  /** Name to kind. */
  readonly operatorState: Readonly<Record<string, string>>
  readonly operatorStateBytes: number
  /** Entries that writers of a sink go on from. */
  readonly writerState: number
  readonly committables: number
}

export function operatorsOf(manifest: Manifest): readonly OperatorSummary[] {
  const byOperator = Map.groupBy(manifest.operators, ({ operator }) => operator)
  return [...byOperator].map(([operator, parts]) => summaryOf(operator, parts))
}

/** Each once. */
export function referredBlobs(manifest: Manifest): readonly BlobReference[] {
  return [...new Map(manifest.operators.flatMap(blobsOf).map((blob) => [blob.key, blob])).values()]
}

/** Of all that it refers to, its manifest too. */
export function storedBytes(manifest: Manifest, retained: RetainedCheckpoint): number {
  return bytesOf(referredBlobs(manifest)) + manifestBytes(manifest, retained)
}

/** Of the manifest itself, which lies in the log entry where it is small. */
export function manifestBytes(manifest: Manifest, retained: RetainedCheckpoint): number {
  return 'key' in retained ? retained.sizeBytes : Buffer.byteLength(JSON.stringify(manifest))
}

export function bytesOf(blobs: readonly BlobReference[]): number {
  return blobs.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
}

function summaryOf(operator: string, parts: readonly OperatorSnapshot[]): OperatorSummary {
  const sum = (of: (part: OperatorSnapshot) => number): number => parts.reduce((total, part) => total + of(part), 0)
  const groups = parts.flatMap(({ state }) => state?.keyGroups ?? [])
  return {
    operator,
    subtasks: parts.length,
    ended: parts.every(({ ended }) => ended),
    splits: sum(({ splits }) => splits?.length ?? 0),
    state: kindsOf(parts.map(({ state }) => state?.descriptors)),
    keyGroups: new Set(groups.map(({ keyGroup }) => keyGroup)).size,
    stateBytes: groups.flatMap(({ segments }) => segments).reduce((total, [, , length]) => total + length, 0),
    operatorState: kindsOf(parts.map(({ operatorState }) => operatorState?.descriptors)),
    operatorStateBytes: sum(operatorStateBytes),
    writerState: sum(({ writerState }) => writerState?.entries.length ?? 0),
    committables: sum(({ committables }) => committables?.length ?? 0),
  }
}

function operatorStateBytes({ operatorState }: OperatorSnapshot): number {
  if (operatorState === undefined) return 0
  return 'blob' in operatorState ? operatorState.blob.sizeBytes : Buffer.byteLength(operatorState.inline, 'base64')
}

function kindsOf(
  all: readonly (Readonly<Record<string, { readonly kind: string }>> | undefined)[],
): Record<string, string> {
  const entries = all.flatMap((descriptors) => Object.entries(descriptors ?? {}))
  return Object.fromEntries(entries.map(([name, { kind }]) => [name, kind]))
}
