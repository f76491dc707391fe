/** Log entries and manifests for the tests of the protocol's decisions: complete, with only what a test says differing. */
import { parseGeneration, parseJobId, parseLineageId } from '../../engine/api/index.ts'
import type { LogEntry, RetainedCheckpoint } from '../../engine/checkpoint/log-entry.ts'
import type { Manifest, OperatorSnapshot } from '../../engine/checkpoint/manifest.ts'
import { startedEntry } from '../conformance/permit.ts'

const job = parseJobId('orders')
const lineage = parseLineageId('abcdefgh1234')

export type EntrySample = Partial<Omit<LogEntry, 'generation'>> & { readonly generation?: number }

export function sampleEntry(part: EntrySample = {}): LogEntry {
  return {
    ...startedEntry(part.generation ?? 1),
    job,
    lineage,
    holder: { bootId: 'boot', netNamespace: 'net', socket: 'sluice-0', pid: 42, host: 'here' },
    planHash: 'plan',
    ...part,
    generation: parseGeneration(part.generation ?? 1),
  }
}

export function sampleManifest(
  checkpoint: number,
  part: { readonly generation?: number; readonly operators?: readonly OperatorSnapshot[] } = {},
): Manifest {
  const { generation = 1, operators = [] } = part
  return { format: 1, job, lineage, generation, checkpoint, maxParallelism: 128, operators }
}

export function sampleRetained(
  checkpoint: number,
  part: {
    readonly generation?: number
    readonly final?: boolean
    readonly operators?: readonly OperatorSnapshot[]
  } = {},
): RetainedCheckpoint {
  const { generation = 1, final = false } = part
  return { checkpoint, generation, final, at: 0, inline: sampleManifest(checkpoint, part) }
}

export function sampleOperator(operator: string, part: Partial<OperatorSnapshot> = {}): OperatorSnapshot {
  return { operator, subtask: 0, parallelism: 1, ended: false, ...part }
}
