/**
 * How a run tells of its progress: once in a while, for as long as it lasts, and once more at its end.
 */
import type { Runtime } from '../api/index.ts'
import type { JobState } from '../checkpoint/job-state.ts'
import type { Figure } from '../task/figures.ts'

/** What a run does, in figures; plain data. What is called a total begins at 0 with the run and only grows; it survives restarts of the job within the run. */
export interface Progress {
  readonly state: JobState
  /** 0: not started yet. */
  readonly generation: number
  /** Since the begin of the run. */
  readonly uptimeMs: number
  /** Restarts of the job within this run; each reads again what no checkpoint held. */
  readonly restarts: number
  readonly sources: readonly SourceProgress[]
  readonly sinks: readonly SinkProgress[]
  readonly checkpoints: {
    readonly completed: number
    /** Declined, not stored or not acknowledged in time. */
    readonly notCompleted: number
    /** Completed, and not committed by all sinks yet. */
    readonly uncommitted: number
    /** The last one that completed in this run. */
    readonly last: {
      readonly checkpoint: number
      /** From its trigger until it was durable. */
      readonly durationMs: number
      /** The longest that a task had some input blocked for it. */
      readonly alignedMs: number
      /** Of the blobs of keyed and operator state that it refers to, old ones included. */
      readonly stateBytes: number
      /** Since it completed. */
      readonly sinceMs: number
    } | null
  }
  /** Answers of committers; one epoch of one subtask of a sink is committed by one commit, or a few. */
  readonly commits: {
    readonly committed: number
    /** Commits that were repeated and changed nothing; over `committed` plus these it is the duplicate rate. */
    readonly alreadyCommitted: number
    /** Commits that had no clear answer and are asked again. */
    readonly retried: number
    /** What older attempts had left behind, open or prepared, and was taken away; over `committed` plus these it is the abort rate. */
    readonly aborted: number
  }
  readonly visible: {
    /** The newest checkpoint that all sinks have committed; null: none yet. */
    readonly checkpoint: number | null
    /**
     * Since that checkpoint was triggered: everything that sources gave before is visible. It grows until the next one is committed. null:
     * nothing is visible, or an older release has made that checkpoint.
     */
    readonly lagMs: number | null
  }
  /** Counters and gauges that sources and sinks of the job name themselves. */
  readonly figures: readonly Figure[]
}

/** What a run knows of one source. */
export interface SourceProgress {
  readonly operator: string
  /** Records taken in this run: a total. What is read again after a restart counts again. */
  readonly read: number
  /** Since the last report. */
  readonly readPerSecond: number
  /** Bad records that the source passed over in this run, as the job says: a total. */
  readonly skipped: number
  /** Records in the newest checkpoint: of the whole life of the job, each once. */
  readonly confirmed: number
}

/** What a run knows of one sink. */
export interface SinkProgress {
  readonly operator: string
  /** Records given to the sink in this run: a total. What is written again after a restart counts again. */
  readonly written: number
  readonly writtenPerSecond: number
  /** Records that all can see: of the whole life of the job, each once. */
  readonly visible: number
  /** Now minus the newest event time among the visible records; null: they have none. Two clocks: ours and that of the events. */
  readonly eventLagMs: number | null
}

export type WithoutRates = Omit<Progress, 'sources' | 'sinks'> & {
  readonly sources: readonly Omit<SourceProgress, 'readPerSecond'>[]
  readonly sinks: readonly Omit<SinkProgress, 'writtenPerSecond'>[]
}

export interface ProgressReporterOptions {
  readonly runtime: Runtime
  /** 0: never. */
  readonly everyMs: number
  read(): WithoutRates
  tell(progress: Progress): void
}

export class ProgressReporter implements AsyncDisposable {
  readonly #options: ProgressReporterOptions
  readonly #stop = new AbortController()
  readonly #running: Promise<void>
  #before: { readonly atMs: number; readonly totals: ReadonlyMap<string, number> }

  constructor(options: ProgressReporterOptions) {
    this.#options = options
    this.#before = { atMs: options.runtime.clock.monotonicMs(), totals: new Map() }
    this.#running = options.everyMs > 0 ? this.#run() : Promise.resolve()
  }

  /** Tells a last time. */
  async [Symbol.asyncDispose](): Promise<void> {
    const hasFailed = this.#stop.signal.aborted
    this.#stop.abort(new Error('the run is over'))
    await this.#running
    if (this.#options.everyMs > 0 && !hasFailed) this.#tell()
  }

  /** Whoever listens may fail; the job is none the worse for it. */
  #tell(): void {
    try {
      this.#tellNow()
    } catch (error) {
      this.#stop.abort(error)
      this.#options.runtime.logger.warn('who is told of the progress has failed; nothing more is told', { error })
    }
  }

  async #run(): Promise<void> {
    const { everyMs, runtime } = this.#options
    const { signal } = this.#stop
    for (;;) {
      await runtime.timers.sleep(everyMs, signal).catch(() => undefined)
      if (signal.aborted) return
      this.#tell()
    }
  }

  #tellNow(): void {
    const atMs = this.#options.runtime.clock.monotonicMs()
    const progress = this.#options.read()
    const { sources, sinks } = progress
    const before = this.#before
    this.#before = {
      atMs,
      totals: new Map([
        ...sources.map((one) => [one.operator, one.read] as const),
        ...sinks.map((one) => [one.operator, one.written] as const),
      ]),
    }
    const perSecond = (operator: string, total: number): number =>
      atMs > before.atMs ? Math.round(((total - (before.totals.get(operator) ?? 0)) * 1_000) / (atMs - before.atMs)) : 0
    this.#options.tell({
      ...progress,
      sources: sources.map((one) => ({ ...one, readPerSecond: perSecond(one.operator, one.read) })),
      sinks: sinks.map((one) => ({ ...one, writtenPerSecond: perSecond(one.operator, one.written) })),
    })
  }
}
