/**
 * Runs the tasks of a job in worker processes on this machine. Starts them, keeps an eye on them, and replaces those that are gone; attempts
 * follow each other in the same processes.
 *
 *   coordinator ─▶ WorkerHost ─▶ HostedAttempt ─┬▶ WorkerProcess 0 ═ socket ═ worker 0 ─ tasks 0, N, 2N …
 *                                               └▶ WorkerProcess 1 ═ socket ═ worker 1 ─ tasks 1, N+1 …
 *
 * - One attempt at a time (the next one begins when the last one was disposed of).
 * - A worker is dead when its process has ended, or when nothing was heard of it for `silenceMs` in which this process could hear.
 */
import { assert, TaskFailure, type Runtime } from '../api/index.ts'
import type { JobGraph } from '../graph/job-graph.ts'
import { taskGraphOf, type TaskGraph } from '../graph/task-graph.ts'
import type { AttemptSpec, HostPort, TaskGroup, TaskHost } from '../task/host.ts'
import { tasksOf } from '../task/local-host.ts'
import { HostedAttempt } from './hosted-attempt.ts'
import type { WorkerJob } from './messages.ts'
import { WorkerProcess, type WorkerCommand } from './worker-process.ts'

export interface WorkerHostOptions {
  /** How many; at least 1. */
  readonly workers: number
  readonly graph: JobGraph
  readonly job: WorkerJob
  /** Starts a process that calls `runWorker`. */
  readonly command: WorkerCommand
  readonly runtime: Runtime
  readonly limits?: Partial<WorkerLimits>
}

export interface WorkerLimits {
  /** A worker of which nothing was heard for so long is dead. A function of a job that holds its process for longer looks like it. */
  readonly silenceMs: number
  /** From the start of a process until it has loaded the job. */
  readonly startMs: number
  /** Until all tasks of an attempt are closed. */
  readonly disposeMs: number
}

export const DEFAULT_WORKER_LIMITS: WorkerLimits = { silenceMs: 5_000, startMs: 30_000, disposeMs: 10_000 }
export const MAX_WORKERS = 128

const HEARTBEAT_MS = 250
/** Of two looks at the workers that are further apart, this process was stopped or held itself. */
const LONGEST_LOOK_MS = 2 * HEARTBEAT_MS
const EXIT_MS = 2_000

export class WorkerHost implements TaskHost {
  readonly #options: WorkerHostOptions
  readonly #limits: WorkerLimits
  readonly #workers: WorkerProcess[]
  readonly #closing = new AbortController()
  #attempt: HostedAttempt | undefined
  readonly #watching: Promise<void>

  constructor(options: WorkerHostOptions) {
    const { workers } = options
    assert(Number.isInteger(workers) && workers >= 1 && workers <= MAX_WORKERS, () => `${workers} workers`)
    this.#options = options
    this.#limits = { ...DEFAULT_WORKER_LIMITS, ...options.limits }
    this.#workers = Array.from({ length: workers }, (_, index) => this.#spawn(index))
    this.#watching = this.#watch()
  }

  /** Of the processes, in the order of their numbers. */
  get pids(): readonly (number | undefined)[] {
    return this.#workers.map(({ pid }) => pid)
  }

  async start(spec: AttemptSpec, port: HostPort): Promise<TaskGroup> {
    const { graph, runtime } = this.#options
    assert(!this.#closing.signal.aborted, () => 'the host is closed')
    await this.#attempt?.dispose()
    const taskGraph = taskGraphOf(graph.nodes, spec.parallelism)
    this.#tellIdle(taskGraph)
    const workers = await this.#ready(port.signal)
    const attempt = new HostedAttempt({
      nonce: runtime.random.token(32),
      workers,
      tasks: tasksOf(taskGraph),
      port,
      timers: runtime.timers,
      logger: runtime.logger,
      disposeMs: this.#limits.disposeMs,
    })
    this.#attempt = attempt
    await attempt.open(spec)
    return attempt
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort(new TaskFailure('the host is closed'))
    await this.#attempt?.dispose()
    await Promise.all(this.#workers.map((worker) => this.#end(worker)))
    await this.#watching
  }

  /** Once. */
  #tellIdle({ vertices }: TaskGraph): void {
    const { workers, runtime } = this.#options
    const busy = Math.max(0, ...vertices.map(({ parallelism }) => parallelism))
    if (this.#attempt !== undefined || busy >= workers) return
    runtime.logger.warn(
      `${workers - busy} of ${workers} workers have nothing to do: no operator has more than ${busy} subtasks; give ` +
        `--parallelism ${workers}, or fewer workers`,
    )
  }

  /** All of them, having loaded the job; those that could not be started are started once more. @throws TerminalError, TaskFailure */
  async #ready(signal: AbortSignal): Promise<readonly WorkerProcess[]> {
    for (const [index, worker] of this.#workers.entries()) if (worker.isDead) this.#workers[index] = this.#spawn(index)
    const workers = [...this.#workers]
    const aborted = Promise.withResolvers<never>()
    const abort = (): void => aborted.reject(signal.reason)
    if (signal.aborted) abort()
    signal.addEventListener('abort', abort)
    try {
      await Promise.race([Promise.all(workers.map(({ ready }) => ready)), aborted.promise])
    } finally {
      signal.removeEventListener('abort', abort)
    }
    return workers
  }

  #spawn(index: number): WorkerProcess {
    const { command, job, runtime } = this.#options
    const worker: WorkerProcess = new WorkerProcess({
      index,
      command,
      job,
      heartbeatMs: HEARTBEAT_MS,
      logger: runtime.logger,
      told: (message) => {
        if (this.#workers[index] === worker) this.#attempt?.told(index, message)
      },
      asked: async (request) => {
        const attempt = this.#attempt
        if (attempt === undefined || this.#workers[index] !== worker) throw new TaskFailure('the attempt is over')
        return attempt.announce(index, request)
      },
      died: (error) => this.#died(index, worker, error),
    })
    return worker
  }

  /** Another one takes its place at once, so that it is there when the next attempt begins. One that never was ready waits for that. */
  #died(index: number, worker: WorkerProcess, error: TaskFailure): void {
    if (this.#workers[index] !== worker) return
    const isTold = this.#attempt?.died(worker, error) === 'failed'
    if (this.#closing.signal.aborted || !worker.wasReady) return
    if (!isTold) this.#options.runtime.logger.warn(error.message)
    this.#workers[index] = this.#spawn(index)
  }

  /** Time in which this process was stopped or held is no silence of others. */
  async #watch(): Promise<void> {
    const { clock, timers } = this.#options.runtime
    const { signal } = this.#closing
    for (let lastMs = clock.monotonicMs(); !signal.aborted;) {
      await timers.sleep(HEARTBEAT_MS, signal).catch(() => undefined)
      const nowMs = clock.monotonicMs()
      const heardMs = Math.min(nowMs - lastMs, LONGEST_LOOK_MS)
      lastMs = nowMs
      const { silenceMs, startMs } = this.#limits
      for (const worker of this.#workers) worker.silent(heardMs, worker.wasReady ? silenceMs : startMs)
    }
  }

  async #end(worker: WorkerProcess): Promise<void> {
    const alarm = new AbortController()
    const late = this.#options.runtime.timers.sleep(EXIT_MS, alarm.signal).catch(() => undefined)
    if (worker.isReady) void worker.ask({ kind: 'exit' }).catch(() => undefined)
    else worker.kill('is not needed any more')
    await Promise.race([worker.gone, late])
    alarm.abort()
    if (!worker.isDead) worker.kill('did not end')
    await worker.gone
  }
}
