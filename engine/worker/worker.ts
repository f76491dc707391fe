/**
 * A worker: the process that runs some of the tasks of a job, as its coordinator says. One attempt at a time.
 *
 * - It does not outlive its coordinator: when the connection to it closes, however that came, it ends at once, and what is under way in it
 *   is as safe as after a crash.
 * - It refuses to run another graph or other code than its coordinator has.
 */
import type { Socket } from 'node:net'
import { assert, TaskFailure, TerminalError, unreachable, type Logger, type Runtime } from '../api/index.ts'
import type { JobGraph } from '../graph/job-graph.ts'
import type { FromTask } from '../task/messages.ts'
import { Control } from './control.ts'
import { errorOf, plainError } from './error-codec.ts'
import {
  parseBlobName,
  type AskCoordinator,
  type AskWorker,
  type FromWorker,
  type LogLevel,
  type PlainFromTask,
  type Prepared,
  type ToWorker,
  type WorkerJob,
} from './messages.ts'
import { WorkerAttempt } from './worker-attempt.ts'
import { WorkerBlobs, type BlobStore } from './worker-blobs.ts'

export interface WorkerOptions {
  /** To the coordinator. */
  readonly socket: Socket
  /** With the logger of this worker: its lines appear where the coordinator's do. */
  createRuntime(logger: Logger): Runtime
  load(job: WorkerJob): Promise<LoadedJob>
  /** Ends the process. `gone`: the coordinator is; nothing may happen any more, not even what waits for the end. */
  exit(why: 'asked' | 'gone'): void
}

export interface LoadedJob {
  readonly graph: JobGraph
  readonly planHash: string
  readonly codeIdentity: string
  readonly version: string
  readonly store: BlobStore
}

export function runWorker(options: WorkerOptions): void {
  void new Worker(options)
}

/** Figures are told with every so-manieth heartbeat: about once a second. */
const BEATS_PER_FIGURES = 4

class Worker {
  readonly #options: WorkerOptions
  readonly #control: Control<FromWorker, AskCoordinator, ToWorker, AskWorker>
  readonly #runtime: Runtime
  #loaded: LoadedJob | undefined
  #preparing: Promise<Prepared> | undefined
  #attempt: WorkerAttempt | undefined
  /** Before the load. */
  #index = -1

  constructor(options: WorkerOptions) {
    this.#options = options
    this.#control = new Control<FromWorker, AskCoordinator, ToWorker, AskWorker>(options.socket, {
      told: (message) => this.#told(message),
      asked: (request) => this.#asked(request),
      closed: () => options.exit('gone'),
    })
    this.#runtime = options.createRuntime(this.#logger())
  }

  #told(message: ToWorker): void {
    if (message.nonce !== this.#attempt?.nonce) return
    if (message.kind === 'abort') this.#attempt.abort(errorOf(message.error))
    else this.#attempt.tell(message.message)
  }

  async #asked(request: AskWorker): Promise<unknown> {
    switch (request.kind) {
      case 'load':
        return this.#load(request)
      case 'prepare':
        this.#preparing = this.#prepare(request)
        return this.#preparing
      case 'open':
        return this.#attemptOf(request.nonce).open(request.spec, request.addresses)
      case 'dispose':
        return this.#dispose(request.nonce)
      case 'exit':
        return this.#options.exit('asked')
      default:
        return unreachable(request)
    }
  }

  async #load({ job, index, heartbeatMs }: Extract<AskWorker, { kind: 'load' }>): Promise<void> {
    assert(this.#loaded === undefined, () => 'a worker loads one job')
    this.#index = index
    const loaded = await this.#options.load(job)
    refuseOther(job, loaded)
    this.#loaded = loaded
    void this.#beat(heartbeatMs)
  }

  async #prepare(request: Extract<AskWorker, { kind: 'prepare' }>): Promise<Prepared> {
    const loaded = this.#loaded
    assert(loaded !== undefined && this.#attempt === undefined, () => 'an attempt is prepared in a worker that is free')
    const { nonce } = request.attempt
    const blobs = new WorkerBlobs({
      store: loaded.store,
      timers: this.#runtime.timers,
      announce: async (operator) =>
        parseBlobName(await this.#control.ask({ kind: 'announce-blob', nonce, operator })).key,
      settled: (key) => this.#control.tell({ kind: 'blob-settled', nonce, key }),
    })
    this.#attempt = await WorkerAttempt.listen({
      ...request,
      graph: loaded.graph,
      runtime: this.#runtime,
      blobs,
      fromTask: (task, message) => {
        // What a checkpoint holds has been counted when it completes, also where this process dies before its next heartbeat.
        if (message.kind === 'acknowledged') this.#tellFigures()
        this.#control.tell({ kind: 'from-task', nonce, task, message: plainFromTask(message) })
      },
      lost: (error) => this.#control.tell({ kind: 'broken', nonce, error: plainError(error) }),
    })
    return { address: this.#attempt.address }
  }

  /** It may come while it is still being prepared. */
  async #dispose(nonce: string): Promise<void> {
    await this.#preparing?.catch(() => undefined)
    const attempt = this.#attempt
    if (nonce !== attempt?.nonce) return
    try {
      await attempt[Symbol.asyncDispose]()
    } finally {
      this.#tellFigures()
      this.#attempt = undefined
    }
  }

  #attemptOf(nonce: string): WorkerAttempt {
    const attempt = this.#attempt
    if (attempt?.nonce === nonce) return attempt
    throw new TaskFailure('the attempt is over')
  }

  async #beat(heartbeatMs: number): Promise<void> {
    for (let beat = 1; !this.#control.isClosed; beat += 1) {
      this.#control.tell({ kind: 'heartbeat' })
      if (beat % BEATS_PER_FIGURES === 0) this.#tellFigures()
      await this.#runtime.timers.sleep(heartbeatMs)
    }
  }

  #tellFigures(): void {
    const attempt = this.#attempt
    const changes = attempt?.takeFigures() ?? []
    if (attempt !== undefined && changes.length > 0)
      this.#control.tell({ kind: 'figures', nonce: attempt.nonce, changes })
  }

  #logger(): Logger {
    const at =
      (level: LogLevel): Logger['info'] =>
      (message, fields = {}) => {
        const plain = Object.entries(fields).map(([name, field]) => [name, plainField(field)] as const)
        const worker = this.#index
        this.#control.tell({ kind: 'log', level, message, fields: { ...Object.fromEntries(plain), worker } })
      }
    return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') }
  }
}

/** @throws TerminalError when the two processes would not do the same */
function refuseOther(job: WorkerJob, loaded: LoadedJob): void {
  const cure = 'stop the run and start it again: then all of it runs what is there now'
  if (loaded.version !== job.version) {
    throw new TerminalError(
      `sluice was changed while the job ran (version ${job.version}, a new worker is ${loaded.version}); ${cure}`,
      { code: 'SLUICE_CODE_CHANGED' },
    )
  }
  if (loaded.codeIdentity !== job.codeIdentity) {
    throw new TerminalError(
      `the code of the job was changed while it ran: ${job.file} is ${loaded.codeIdentity} for a new worker and ` +
        `${job.codeIdentity} for the run; ${cure}`,
      { code: 'SLUICE_CODE_CHANGED' },
    )
  }
  if (loaded.planHash !== job.planHash) {
    throw new TerminalError(
      `${job.file} gives another graph in a worker (plan ${loaded.planHash}) than in the run (plan ${job.planHash}): build must ` +
        `depend on its settings alone, not on the process it runs in`,
      { code: 'SLUICE_BUILD_NOT_PURE' },
    )
  }
}

function plainFromTask(message: FromTask): PlainFromTask {
  return message.kind === 'failed' || message.kind === 'declined'
    ? { ...message, error: plainError(message.error) }
    : message
}

/** Logging never fails. */
function plainField(field: unknown): unknown {
  if (field instanceof Error) return plainError(field)
  try {
    return JSON.stringify(field) === undefined ? String(field) : field
  } catch {
    return String(field)
  }
}
