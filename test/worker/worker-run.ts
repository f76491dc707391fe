/** A run of a job whose tasks are in worker processes, steered and observed by a test. */
import { deepEqual } from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { diskStore } from '../../checkpoint-store/disk.ts'
import { codeIdentity } from '../../cli/code-identity.ts'
import { loadJob } from '../../cli/load-job.ts'
import { packageVersion } from '../../cli/version.ts'
import type { Progress } from '../../engine/coordinator/progress.ts'
import { runJob, type RunEnd, type RunEvent } from '../../engine/coordinator/run-job.ts'
import type { RestartStrategy } from '../../engine/checkpoint/restart.ts'
import { createHolder, isHolderAlive } from '../../engine/host/holder.ts'
import { nodeRuntime } from '../../engine/host/node-runtime.ts'
import { textLogger } from '../../engine/host/text-logger.ts'
import type { HostPort, TaskHost } from '../../engine/task/host.ts'
import { WorkerHost, type WorkerLimits } from '../../engine/worker/worker-host.ts'
import type { Counted } from './counts.job.ts'

export const COUNTS = fileURLToPath(new URL('counts.job.ts', import.meta.url))
const WORKER = fileURLToPath(new URL('../../bin/worker.mjs', import.meta.url))
/** A job ends by itself or by a stop well before this. */
const PATIENCE_MS = 20_000

export interface WorkerRunOptions {
  readonly workers: number
  /** Default: what the job says. */
  readonly parallelism?: number
  readonly settings?: Readonly<Record<string, string>>
  readonly limits?: Partial<WorkerLimits>
  readonly job?: string
  readonly restart?: RestartStrategy
  readonly progressEveryMs?: number
  /** Of each attempt, as it is handed to the host. */
  readonly port?: (port: HostPort) => HostPort
}

export class WorkerRun {
  readonly directory: string
  readonly events: RunEvent[] = []
  readonly logged: string[] = []
  readonly ended: Promise<RunEnd>
  readonly #stop = new AbortController()
  readonly #options: WorkerRunOptions
  #host: WorkerHost | undefined

  constructor(directory: string, options: WorkerRunOptions) {
    this.directory = directory
    this.#options = options
    this.ended = this.#run()
    this.ended.catch(() => undefined)
  }

  get pids(): readonly number[] {
    return (this.#host?.pids ?? []).flatMap((pid) => pid ?? [])
  }

  get completed(): number {
    return this.events.filter(({ kind }) => kind === 'completed').length
  }

  /** As it was told, in order. */
  get progress(): readonly Progress[] {
    return this.events.flatMap((event) => (event.kind === 'progress' ? [event.progress] : []))
  }

  get failures(): readonly string[] {
    return this.events.flatMap((event) =>
      event.kind === 'restarting'
        ? [event.failure instanceof Error ? event.failure.message : String(event.failure)]
        : [],
    )
  }

  /** Checkpoints completed from now on. */
  async completes(checkpoints: number): Promise<void> {
    const until = this.completed + checkpoints
    await this.#until(() => this.completed >= until, `${until} checkpoints`)
  }

  async restarts(times = 1): Promise<void> {
    const running = (): number => this.events.filter(({ kind }) => kind === 'running').length
    await this.#until(() => running() > times, `${times} restarts`)
  }

  async stop(): Promise<RunEnd> {
    this.#stop.abort(new Error('stopped by the test'))
    return await this.ended
  }

  /** What is visible, in no order. */
  visible(): readonly Counted[] {
    const directory = join(this.directory, 'counts')
    return readdirSync(directory)
      .filter((name) => !name.startsWith('.'))
      .flatMap((name) => readFileSync(join(directory, name), 'utf8').split('\n'))
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as Counted)
  }

  /** Each record once, each key counted without a gap. Returns how many there are. */
  expectExact(): number {
    const visible = this.visible().toSorted((a, b) => a.index - b.index)
    const seen = new Map<string, number>()
    const expected = visible.map((_, index) => {
      const key = `key-${index % 101}`
      seen.set(key, (seen.get(key) ?? 0) + 1)
      return { index, key, count: seen.get(key) }
    })
    deepEqual(
      visible.map(({ index, key, count }) => ({ index, key, count })),
      expected,
    )
    return visible.length
  }

  /** Events come one turn of the loop after another. @throws when it does not come to that, or the run ends before */
  async #until(isTrue: () => boolean, what: string): Promise<void> {
    const startMs = performance.now()
    let end: RunEnd | undefined
    void this.ended.then((ended) => {
      end = ended
    })
    while (!isTrue()) {
      if (end !== undefined) throw new Error(`the run ended before ${what}: ${JSON.stringify(end)}`)
      if (performance.now() - startMs > PATIENCE_MS) throw new Error(`no ${what} within ${PATIENCE_MS} ms`)
      await setTimeout(1)
    }
  }

  async #run(): Promise<RunEnd> {
    const { workers, settings = {}, limits = {}, job = COUNTS, port, restart, parallelism } = this.#options
    const { progressEveryMs = 0 } = this.#options
    const { definition, file } = await loadJob(job)
    const identity = await codeIdentity(file)
    const location = join(this.directory, '.sluice')
    const store = await diskStore({ directory: location })
    await using holder = await createHolder()
    const runtime = nodeRuntime(textLogger({ level: 'debug', write: (line) => this.logged.push(line) }))
    return await runJob({
      definition: restart === undefined ? definition : { ...definition, restart },
      settings,
      ...(parallelism === undefined ? {} : { parallelism }),
      store,
      runtime,
      baseDirectory: this.directory,
      codeIdentity: identity,
      holder: holder.identity,
      isHolderAlive: (other) => isHolderAlive(other, holder.identity),
      stopSignal: this.#stop.signal,
      onEvent: (event) => this.events.push(event),
      progressEveryMs,
      createHost: (built) => {
        this.#host = new WorkerHost({
          workers,
          graph: built.graph,
          job: {
            file,
            settings: built.settings,
            planHash: built.planHash,
            codeIdentity: identity,
            version: packageVersion(),
            store: location,
            baseDirectory: this.directory,
          },
          command: { file: process.execPath, argv: [WORKER] },
          runtime,
          limits,
        })
        return port === undefined ? this.#host : withPort(this.#host, port)
      },
    })
  }
}

function withPort(host: WorkerHost, change: (port: HostPort) => HostPort): TaskHost {
  return {
    start: (spec, port) => host.start(spec, change(port)),
    [Symbol.asyncDispose]: () => host[Symbol.asyncDispose](),
  }
}

/** A directory of its own for runs; all of it goes when the test ends. */
export class WorkerPlace implements AsyncDisposable {
  readonly directory = mkdtempSync(join(tmpdir(), 'sluice-workers-'))
  readonly #runs: WorkerRun[] = []

  start(options: WorkerRunOptions): WorkerRun {
    const run = new WorkerRun(this.directory, options)
    this.#runs.push(run)
    return run
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.allSettled(this.#runs.map((run) => run.stop()))
    rmSync(this.directory, { recursive: true, force: true, maxRetries: 5 })
  }
}

/** Whether there is a process of this number that has not ended (a zombie has). */
export function isThere(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return !execFileSync('ps', ['-o', 'stat=', '-p', String(pid)], { encoding: 'utf8' }).startsWith('Z')
  } catch {
    return false
  }
}

/** Processes that this one has started. */
export function childrenOf(pid: number): readonly number[] {
  const table = execFileSync('ps', ['-A', '-o', 'pid=,ppid='], { encoding: 'utf8' })
  return table
    .trim()
    .split('\n')
    .map((line) => line.trim().split(/\s+/).map(Number))
    .flatMap(([child = 0, parent = 0]) => (parent === pid ? [child] : []))
}
