/**
 * Permits for the conformance suites, made as the engine makes them: out of log entries that complete a checkpoint, or that leave nothing
 * due.
 */
import {
  parseGeneration,
  parseJobId,
  parseLineageId,
  type AbortPermit,
  type CommitPermit,
} from '../../engine/api/index.ts'
import { permitForCompleted, permitToAbort } from '../../engine/checkpoint/commit-permit.ts'
import type { LogEntry } from '../../engine/checkpoint/log-entry.ts'
import type { Manifest } from '../../engine/checkpoint/manifest.ts'

export const JOB = parseJobId('conformance')
const LINEAGE = parseLineageId('kit00000000')

export function permitToCommit(generation: number, checkpoint: number): CommitPermit {
  const manifest: Manifest = {
    format: 1,
    job: JOB,
    lineage: LINEAGE,
    generation,
    checkpoint,
    maxParallelism: 128,
    operators: [],
  }
  const retained = [{ checkpoint, generation, final: false, at: 0, inline: manifest }]
  return permitForCompleted({ ...startedEntry(generation), kind: 'completed', retained }, manifest)
}

export function permitToSweep(generation: number): AbortPermit {
  return permitToAbort(startedEntry(generation))
}

/** A complete entry of which nothing but its generation matters. */
export function startedEntry(generation: number): LogEntry {
  return {
    format: 1,
    seq: 1,
    kind: 'started',
    job: JOB,
    lineage: LINEAGE,
    generation: parseGeneration(generation),
    nonce: 'kit',
    holder: { bootId: 'kit', netNamespace: 'kit', socket: 'kit', pid: 1, host: 'kit' },
    at: 0,
    retained: [],
    committedThrough: 0,
    nextCheckpoint: 1,
    unclean: [],
    acceptedLosses: [],
    settings: {},
    codeIdentity: 'kit',
    planHash: 'kit',
    parallelism: 1,
    restarts: 0,
    failures: [],
  }
}
