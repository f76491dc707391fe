/**
 * The one module that can make a CommitPermit or an AbortPermit (C1, S2): out of a log entry that is durable; and a HandPermit, out of
 * what the log and the outside say of one transaction.
 */
import {
  assert,
  parseCheckpointId,
  parseOperatorId,
  type AbortPermit,
  type CommitPermit,
  type HandPermit,
  type SourcePosition,
  type TransactionEnd,
} from '../api/index.ts'
import { decideEnd, type Acceptance } from './hand-made-end.ts'
import type { LogEntry } from './log-entry.ts'
import type { Manifest } from './manifest.ts'
import type { TransactionVerdict } from './transaction-verdict.ts'

/** `entry` was appended by us and names the manifest's checkpoint as its newest. */
export function permitForCompleted(entry: LogEntry, manifest: Manifest): CommitPermit {
  assert(
    entry.kind === 'completed' && entry.retained.at(-1)?.checkpoint === manifest.checkpoint,
    () => `entry ${entry.seq} (${entry.kind}) does not complete checkpoint ${manifest.checkpoint} (C1)`,
  )
  return permit(entry, manifest)
}

/** `entry` is our `started` entry; it retains the manifest's checkpoint, which is due. */
export function permitForRecovered(entry: LogEntry, manifest: Manifest): CommitPermit {
  assert(
    entry.kind === 'started' &&
      entry.retained.some((one) => one.checkpoint === manifest.checkpoint) &&
      manifest.checkpoint > entry.committedThrough,
    () => `checkpoint ${manifest.checkpoint} is not due by entry ${entry.seq} (${entry.kind}) (C1)`,
  )
  return permit(entry, manifest)
}

/** `entry` is ours and says that everything completed before our start is committed (S2). */
export function permitToAbort(entry: LogEntry): AbortPermit {
  const started = entry.retained.filter((one) => one.generation < entry.generation)
  assert(
    started.every((one) => one.checkpoint <= entry.committedThrough),
    () => `entry ${entry.seq}: checkpoints of older generations are not committed yet; nothing may be aborted (S2)`,
  )
  return { generation: entry.generation } as unknown as AbortPermit
}

/**
 * At a clean end: `entry` is ours and says that everything completed is committed, and all writers of ours are closed. What our own
 * generation has left (files opened after the last barrier) may then be aborted too (S2).
 */
export function permitToAbortOwn(entry: LogEntry): AbortPermit {
  assert(
    entry.retained.every((one) => one.checkpoint <= entry.committedThrough),
    () =>
      `entry ${entry.seq}: checkpoints above ${entry.committedThrough} are not committed yet; nothing may be aborted (S2)`,
  )
  return { generation: entry.generation } as unknown as AbortPermit
}

/** `sluice txn`, for one transaction: as the log has it, or with its cost accepted by the person who asks (C1, S2). */
export function permitByHand(verdict: TransactionVerdict, how: TransactionEnd, accepted: Acceptance): HandPermit {
  const decision = decideEnd(verdict, how, accepted)
  assert(decision.kind === 'allowed', () => `nobody may ${how} by hand what is "${verdict}" (C1, S2)`)
  return {} as unknown as HandPermit
}

/** Every known split's position in a checkpoint. */
export function sourcePositionsOf(manifest: Manifest): readonly SourcePosition[] {
  return manifest.operators.flatMap((snapshot) =>
    (snapshot.splits ?? []).map(({ split, position, ended }) => ({
      operator: parseOperatorId(snapshot.operator),
      splitId: split.id,
      split,
      position,
      ended,
    })),
  )
}

function permit(entry: LogEntry, manifest: Manifest): CommitPermit {
  return {
    generation: entry.generation,
    checkpoint: parseCheckpointId(manifest.checkpoint),
    sourcePositions: sourcePositionsOf(manifest),
  } as unknown as CommitPermit
}
