/**
 * What a run knows of itself in figures: what its tasks count, and what its coordinator sees of checkpoints and commits. Told as a
 * `Progress`; nothing here decides anything.
 *
 * - Counters only grow from the begin of the run to its end, also over restarts; what is done again counts again.
 * - `confirmed` and `visible` come out of manifests: each record counts once in them, whatever was done again (C4).
 */
import type { Clock, CommitOutcome } from '../api/index.ts'
import type { LogEntry } from '../checkpoint/log-entry.ts'
import { blobsOf, type Manifest } from '../checkpoint/manifest.ts'
import type { JobGraph } from '../graph/job-graph.ts'
import { Figures } from '../task/figures.ts'
import type { CheckpointTimes } from './attempt.ts'
import type { Progress, WithoutRates } from './progress.ts'

/** A checkpoint that may become visible. */
interface Known {
  readonly manifest: Manifest
  /** Monotonic; undefined: of an older release, which did not say. */
  readonly triggeredAtMs: number | undefined
}

type Totals = Omit<WithoutRates, 'state' | 'generation'>

export class RunFigures {
  /** Of the tasks, and of what connectors name. */
  readonly tasks = new Figures()
  readonly #graph: JobGraph
  readonly #clock: Clock
  readonly #startedAtMs: number
  readonly #commits = { committed: 0, alreadyCommitted: 0, retried: 0, aborted: 0 }
  #restarts = 0
  #completed = 0
  #notCompleted = 0
  #last: ({ readonly checkpoint: number; readonly completedAtMs: number } & CheckpointTimes) | undefined
  /** The newest completed checkpoint: what the job would go on from. */
  #newest: Manifest | undefined
  /** Completed and not known to be committed, by number. */
  readonly #pending = new Map<number, Known>()
  #visible: Known | undefined

  constructor(graph: JobGraph, clock: Clock) {
    this.#graph = graph
    this.#clock = clock
    this.#startedAtMs = clock.monotonicMs()
  }

  /** A start found these in the log, oldest first; some may already be visible. */
  found(
    { retained, committedThrough }: Pick<LogEntry, 'retained' | 'committedThrough'>,
    completed: readonly { readonly manifest: Manifest }[],
  ): void {
    this.#pending.clear()
    for (const { manifest } of completed) {
      const triggeredAt = retained.find(({ checkpoint }) => checkpoint === manifest.checkpoint)?.triggeredAt
      const ageMs = triggeredAt === undefined ? undefined : Math.max(0, this.#clock.now() - triggeredAt)
      const triggeredAtMs = ageMs === undefined ? undefined : this.#clock.monotonicMs() - ageMs
      this.#pending.set(manifest.checkpoint, { manifest, triggeredAtMs })
    }
    this.committed(committedThrough)
  }

  /** The tasks go on from this checkpoint; undefined: from the beginning. */
  restored(manifest: Manifest | undefined): void {
    this.#newest = manifest
  }

  completed(manifest: Manifest, times: CheckpointTimes): void {
    const { checkpoint } = manifest
    const completedAtMs = this.#clock.monotonicMs()
    this.#completed += 1
    this.#newest = manifest
    this.#last = { checkpoint, completedAtMs, ...times }
    this.#pending.set(checkpoint, { manifest, triggeredAtMs: completedAtMs - times.durationMs })
  }

  /** One was declined, not stored, or not acknowledged in time. */
  notCompleted(): void {
    this.#notCompleted += 1
  }

  /** All up to here is visible. The log of a restart may know less than this process does; what was seen stays seen. */
  committed(through: number): void {
    for (const [checkpoint, known] of this.#pending) {
      if (checkpoint > through) continue
      this.#pending.delete(checkpoint)
      if (checkpoint > (this.#visible?.manifest.checkpoint ?? 0)) this.#visible = known
    }
  }

  /** What a committer answered to one call of so many requests. */
  answered(outcomes: readonly CommitOutcome[], requests: number): void {
    this.#commits.retried += Math.max(0, requests - outcomes.length)
    for (const { kind } of outcomes) {
      if (kind === 'committed') this.#commits.committed += 1
      if (kind === 'already-committed') this.#commits.alreadyCommitted += 1
      if (kind === 'retry' || kind === 'unknown') this.#commits.retried += 1
    }
  }

  /** So many things that an older attempt left behind, prepared or open, were taken away. */
  aborted(count: number): void {
    this.#commits.aborted += count
  }

  restarted(): void {
    this.#restarts += 1
  }

  read(): Totals {
    const nowMs = this.#clock.monotonicMs()
    return {
      uptimeMs: Math.round(nowMs - this.#startedAtMs),
      restarts: this.#restarts,
      sources: this.#sources(),
      sinks: this.#sinks(),
      checkpoints: {
        completed: this.#completed,
        notCompleted: this.#notCompleted,
        uncommitted: this.#pending.size,
        last: this.#lastAt(nowMs),
      },
      commits: { ...this.#commits },
      visible: this.#visibleAt(nowMs),
      figures: this.tasks.read(),
    }
  }

  #sources(): WithoutRates['sources'] {
    return this.#graph.nodes.flatMap(({ kind, id: operator }) => {
      if (kind !== 'source') return []
      const read = this.tasks.sum(operator, 'read')
      const skipped = this.tasks.sum(operator, 'skipped')
      return [{ operator, read, skipped, confirmed: recordsOf(this.#newest, operator) }]
    })
  }

  #sinks(): WithoutRates['sinks'] {
    const visible = this.#visible?.manifest
    return this.#graph.nodes.flatMap(({ kind, id: operator }) => {
      if (kind !== 'sink') return []
      const newestEventAt = newestEventOf(visible, operator)
      return [
        {
          operator,
          written: this.tasks.sum(operator, 'written'),
          visible: recordsOf(visible, operator),
          eventLagMs: newestEventAt === null ? null : Math.round(this.#clock.now() - newestEventAt),
        },
      ]
    })
  }

  #lastAt(nowMs: number): Progress['checkpoints']['last'] {
    if (this.#last === undefined) return null
    const { checkpoint, durationMs, alignedMs, completedAtMs } = this.#last
    return {
      checkpoint,
      durationMs: Math.round(durationMs),
      alignedMs: Math.round(alignedMs),
      stateBytes: stateBytesOf(this.#newest),
      sinceMs: Math.round(nowMs - completedAtMs),
    }
  }

  #visibleAt(nowMs: number): Progress['visible'] {
    if (this.#visible === undefined) return { checkpoint: null, lagMs: null }
    const { manifest, triggeredAtMs } = this.#visible
    return {
      checkpoint: manifest.checkpoint,
      lagMs: triggeredAtMs === undefined ? null : Math.round(nowMs - triggeredAtMs),
    }
  }
}

/** Of a source or a sink, as a checkpoint says; 0 without one. */
export function recordsOf(manifest: Manifest | undefined, operator: string): number {
  const parts = manifest?.operators.filter((one) => one.operator === operator) ?? []
  return parts.reduce((sum, { records = 0 }) => sum + records, 0)
}

function newestEventOf(manifest: Manifest | undefined, operator: string): number | null {
  const parts = manifest?.operators.filter((one) => one.operator === operator) ?? []
  return parts.reduce<number | null>((newest, { newestEventAt }) => {
    return newestEventAt === undefined ? newest : Math.max(newest ?? newestEventAt, newestEventAt)
  }, null)
}

/** What a restore would read of the state; what lies in the manifest itself is not counted. */
export function stateBytesOf(manifest: Manifest | undefined): number {
  const sizes = new Map(manifest?.operators.flatMap(blobsOf).map(({ key, sizeBytes }) => [key, sizeBytes]))
  return [...sizes.values()].reduce((sum, size) => sum + size, 0)
}
