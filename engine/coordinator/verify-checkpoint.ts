/**
 * Is a checkpoint as it was written? Reads every blob, compares length and sha256, and decodes every state segment to its end: what a
 * restore would do, and more, since a restore decodes key groups when they are touched. Only reads.
 */
import { messageOf } from '../api/index.ts'
import type { BlobReference, Manifest, OperatorSnapshot } from '../checkpoint/manifest.ts'
import { referredBlobs } from '../checkpoint/summary.ts'
import { decodeHandle } from '../state/operator-state-handle.ts'
import { chainsOf } from '../state/segment-chains.ts'
import { decodeSegment } from '../state/segment-codec.ts'
import type { BlobRead } from './blobs.ts'

export interface Verification {
  readonly blobs: number
  readonly sizeBytes: number
  readonly segments: number
  /** Entries in all segments; one that was written again since its base counts twice. */
  readonly entries: number
  readonly problems: readonly Problem[]
}

export interface Problem {
  /** A key of the store, or the operator whose part of the manifest it is. */
  readonly where: string
  /** In words that go on behind it. */
  readonly problem: string
}

export type ReadBlob = (blob: BlobReference) => Promise<BlobRead>

export async function verifyManifest(manifest: Manifest, read: ReadBlob): Promise<Verification> {
  const problems: Problem[] = []
  if (manifest.format !== 1) {
    const problem = `has format ${String(manifest.format)}, this release reads 1`
    return { blobs: 0, sizeBytes: 0, segments: 0, entries: 0, problems: [{ where: 'the manifest', problem }] }
  }
  let counts = { segments: 0, entries: 0 }
  const referred = referredBlobs(manifest)
  // One blob after another: each is in memory as a whole.
  for (const blob of referred) {
    const found = await read(blob)
    if (found.kind === 'damaged') {
      problems.push({ where: blob.key, problem: found.problem })
      continue
    }
    for (const part of manifest.operators) counts = added(counts, decodePart(part, blob, found.bytes, problems))
  }
  for (const part of manifest.operators) problems.push(...structureProblems(part, manifest))
  return {
    blobs: referred.length,
    sizeBytes: referred.reduce((sum, one) => sum + one.sizeBytes, 0),
    ...counts,
    problems,
  }
}

interface Counts {
  readonly segments: number
  readonly entries: number
}

function added(a: Counts, b: Counts): Counts {
  return { segments: a.segments + b.segments, entries: a.entries + b.entries }
}

function decodePart(
  { operator, state, operatorState }: OperatorSnapshot,
  blob: BlobReference,
  bytes: Uint8Array,
  problems: Problem[],
): Counts {
  let counts: Counts = { segments: 0, entries: 0 }
  for (const { keyGroup, segments } of state?.keyGroups ?? []) {
    for (const [index, offset, length] of segments) {
      if (state?.blobs[index]?.key !== blob.key) continue
      try {
        const entries = decodeSegment(bytes.subarray(offset, offset + length)).sections.reduce(
          (sum, { keys }) => sum + keys.length,
          0,
        )
        counts = added(counts, { segments: 1, entries })
      } catch (error) {
        const problem = `holds no state of key group ${keyGroup} of "${operator}" at ${offset}: ${messageOf(error)}`
        problems.push({ where: blob.key, problem })
      }
    }
  }
  if (operatorState === undefined || !('blob' in operatorState) || operatorState.blob.key !== blob.key) return counts
  try {
    const entries = [...decodeHandle(operatorState, bytes).values()].reduce((sum, one) => sum + one.entries.length, 0)
    return added(counts, { segments: 1, entries })
  } catch (error) {
    problems.push({ where: blob.key, problem: `holds no operator state of "${operator}": ${messageOf(error)}` })
    return counts
  }
}

/** What can be wrong without a blob: places outside of blobs, operator state in the manifest. */
function structureProblems(part: OperatorSnapshot, { maxParallelism }: Manifest): readonly Problem[] {
  const { operator, subtask, state, operatorState } = part
  const where = `operator "${operator}" subtask ${subtask}`
  try {
    if (state !== undefined) chainsOf([state], { maxParallelism, first: 0, last: maxParallelism - 1 })
    if (operatorState !== undefined && 'inline' in operatorState) decodeHandle(operatorState, null)
    return []
  } catch (error) {
    return [{ where, problem: `cannot be read: ${messageOf(error)}` }]
  }
}
