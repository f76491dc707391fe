/**
 * What a new generation does before any task starts, as an ordered list. Each step can be repeated: a crash anywhere leads to the next
 * `started` entry and a list made anew from it (F11).
 *
 *   started ─▶ commit due… ─▶ (import) ─▶ committed ─▶ forget ─▶ abort stale ─▶ sweep ─▶ restore ─▶ run
 *                                                                                     └─▶ ended       (after a final checkpoint: no task)
 *
 * - C2: all that was completed is committed before a source runs.
 * - C6: what is due is committed in the order of the checkpoints.
 * - S2: nothing is aborted before all that is due is committed and the log says so; any other order loses data to a slow old
 *   coordinator.
 * - `ended` comes last: what is not forgotten by then would stay outside for ever.
 * - What is restored instead of the newest checkpoint is chosen by the `committed` entry, which retains nothing else; before it, the log
 *   says what was chosen (`restoring`), and the list made anew begins with the same choice.
 */
import { assert } from '../api/index.ts'
import type { LogEntry } from './log-entry.ts'
import type { RestoreChoice } from './restore-choice.ts'

export type RecoveryStep =
  | { readonly kind: 'commit'; readonly checkpoint: number }
  | { readonly kind: 'append-committed'; readonly through: number; readonly retained: readonly number[] }
  /** Blobs of the savepoint under names of this generation, then a `committed` entry that retains what was imported and nothing else. */
  | { readonly kind: 'import' }
  | { readonly kind: 'forget'; readonly checkpoints: readonly number[] }
  | { readonly kind: 'abort-stale' }
  | { readonly kind: 'sweep' }
  | { readonly kind: 'append-ended' }
  /** null: the job begins anew, from the start positions of its sources. */
  | { readonly kind: 'restore'; readonly checkpoint: number | null | 'imported' }
  | { readonly kind: 'run' }

/**
 * `started` is our own durable entry, whose waymark look found nothing. `restore` is what the preflight allowed; anything but the
 * newest is a new lineage, and what the old one completed is delivered first.
 */
export function recoverySteps(
  started: Pick<LogEntry, 'kind' | 'seq' | 'retained' | 'committedThrough'>,
  restore: RestoreChoice,
): readonly RecoveryStep[] {
  assert(started.kind === 'started', () => `recovery begins at a started entry, not at ${started.kind} ${started.seq}`)
  const all = started.retained.map((one) => one.checkpoint)
  assert(
    all.every((one, index) => index === 0 || one > (all[index - 1] ?? 0)),
    () => `entry ${started.seq} retains checkpoints out of order: ${all.join(', ')} (C5)`,
  )
  const due = all.filter((one) => one > started.committedThrough)
  const newest = all.at(-1) ?? null
  if (restore === 'savepoint') return importSteps(all, due)
  const target = restore === 'latest' ? newest : restore === 'none' ? null : restore
  assert(
    target === null || all.includes(target),
    () => `checkpoint ${target} is not retained by entry ${started.seq}; retained are ${all.join(', ') || 'none'}`,
  )
  // Beginning anew is noted even where nothing is given up: a restart in the same process must not begin anew once more.
  const isRollback = restore === 'none' || target !== newest
  const through = due.at(-1) ?? started.committedThrough
  const retained = isRollback ? all.filter((one) => one === target) : all
  const isOver = isDeliveryOnly(started, restore)
  return [
    ...due.map((checkpoint): RecoveryStep => ({ kind: 'commit', checkpoint })),
    ...only(due.length > 0 || isRollback, { kind: 'append-committed', through, retained }),
    // All of them: the process that should have forgotten the older ones may have died before it did.
    ...only(all.length > 0, { kind: 'forget', checkpoints: all }),
    { kind: 'abort-stale' },
    { kind: 'sweep' },
    ...(isOver
      ? [{ kind: 'append-ended' } as const]
      : [{ kind: 'restore', checkpoint: target } as const, { kind: 'run' } as const]),
  ]
}

function importSteps(all: readonly number[], due: readonly number[]): readonly RecoveryStep[] {
  return [
    ...due.map((checkpoint): RecoveryStep => ({ kind: 'commit', checkpoint })),
    { kind: 'import' },
    ...only(all.length > 0, { kind: 'forget', checkpoints: all }),
    { kind: 'abort-stale' },
    { kind: 'sweep' },
    { kind: 'restore', checkpoint: 'imported' },
    { kind: 'run' },
  ]
}

/** The input has ended in what would be restored: there is nothing left but to deliver, so sources are not needed any more. */
export function isDeliveryOnly(newest: Pick<LogEntry, 'retained'>, restore: RestoreChoice): boolean {
  const last = newest.retained.at(-1)
  return last?.final === true && (restore === 'latest' || restore === last.checkpoint)
}

function only(condition: boolean, step: RecoveryStep): readonly RecoveryStep[] {
  return condition ? [step] : []
}
