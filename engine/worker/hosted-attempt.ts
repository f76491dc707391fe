/**
 * One attempt as the coordinator's process sees it: opens its tasks in all workers, carries messages between them and the coordinator, and
 * lets go of it everywhere.
 *
 *   prepare all ─▶ open all ─▶ messages ─▶ dispose all
 *
 * - What one worker reports of another one (a lost connection) is blamed on the other's death where it dies of it.
 * - Names of blobs that a worker wrote are settled when it says so, or when it is gone.
 */
import { TaskFailure, unreachable, type Logger, type Timers } from '../api/index.ts'
import type { Manifest } from '../checkpoint/manifest.ts'
import type { AnnouncedBlob, AttemptSpec, HostPort, TaskGroup, TaskId } from '../task/host.ts'
import type { FromTask, ToTask } from '../task/messages.ts'
import { workerOf } from './channel-numbers.ts'
import { errorOf, PeerLost, plainError } from './error-codec.ts'
import { parsePrepared, type AskCoordinator, type BlobName, type FromWorker, type PlainFromTask } from './messages.ts'
import type { WorkerProcess } from './worker-process.ts'

export interface HostedAttemptOptions {
  readonly nonce: string
  /** In the order of their numbers; ready. */
  readonly workers: readonly WorkerProcess[]
  readonly tasks: readonly TaskId[]
  readonly port: HostPort
  readonly timers: Timers
  readonly logger: Logger
  readonly disposeMs: number
}

/** The death of a process is known soon after its connections have broken. */
const BLAME_MS = 500

export class HostedAttempt implements TaskGroup {
  readonly #options: HostedAttemptOptions
  /** By worker: the names it was given and has not settled. */
  readonly #announced = new Map<number, Map<string, AnnouncedBlob>>()
  readonly #failed = Promise.withResolvers<never>()
  #isOpen = false
  /** Nobody is interested any more in what fails. */
  #isOver = false
  #isDisposed = false
  #disposed: Promise<void> | undefined

  constructor(options: HostedAttemptOptions) {
    this.#options = options
    this.#failed.promise.catch(() => undefined)
    options.port.signal.addEventListener('abort', this.#onAbort)
  }

  get nonce(): string {
    return this.#options.nonce
  }

  get tasks(): readonly TaskId[] {
    return this.#options.tasks
  }

  /** Disposes of it when it cannot. @throws the first failure */
  async open(spec: AttemptSpec): Promise<void> {
    try {
      this.#options.port.signal.throwIfAborted()
      this.#options.port.figures.dropGauges()
      await Promise.race([this.#openAll(spec), this.#failed.promise])
      this.#isOpen = true
    } catch (error) {
      const blamed = await this.#blame(error)
      await this.dispose()
      throw blamed
    }
  }

  tell(message: ToTask): void {
    for (const worker of this.#options.workers) worker.tell({ kind: 'to-tasks', nonce: this.nonce, message })
  }

  dispose(): Promise<void> {
    this.#disposed ??= this.#dispose()
    return this.#disposed
  }

  told(worker: number, message: Exclude<FromWorker, { kind: 'log' | 'heartbeat' }>): void {
    if (message.nonce !== this.nonce) return
    switch (message.kind) {
      case 'from-task':
        return this.#fromTask(message.task, message.message)
      case 'broken':
        return this.#broken(worker, errorOf(message.error))
      case 'figures':
        return this.#options.port.figures.add(message.changes)
      case 'blob-settled':
        this.#announced.get(worker)?.get(message.key)?.settled()
        this.#announced.get(worker)?.delete(message.key)
        return
      default:
        unreachable(message)
    }
  }

  announce(worker: number, { operator, nonce }: AskCoordinator): BlobName {
    if (nonce !== this.nonce || this.#disposed !== undefined) throw new TaskFailure('the attempt is over')
    const announced = this.#options.port.store.announceBlob(operator)
    const names = this.#announced.get(worker) ?? new Map<string, AnnouncedBlob>()
    this.#announced.set(worker, names.set(announced.key, announced))
    return { key: announced.key }
  }

  /** One that has come in the place of one of this attempt's is none of it. */
  died(process: WorkerProcess, error: TaskFailure): 'failed' | 'no part of it' {
    const worker = this.#options.workers.indexOf(process)
    if (worker === -1 || this.#isDisposed) return 'no part of it'
    void process.gone.then(() => {
      for (const announced of this.#announced.get(worker)?.values() ?? []) announced.settled()
      this.#announced.delete(worker)
    })
    if (this.#isOver) return 'no part of it'
    this.#fail(worker, error)
    return 'failed'
  }

  async #openAll(spec: AttemptSpec): Promise<void> {
    const { workers } = this.#options
    const attempt = { nonce: this.nonce, generation: spec.names.generation }
    const prepared = await Promise.all(
      workers.map((worker, index) => worker.ask({ kind: 'prepare', attempt, index, workers: workers.length })),
    )
    const addresses = prepared.map((answer) => parsePrepared(answer).address)
    const lean = { ...spec, restored: withoutCommittables(spec.restored) }
    await Promise.all(workers.map((worker) => worker.ask({ kind: 'open', nonce: this.nonce, spec: lean, addresses })))
  }

  async #dispose(): Promise<void> {
    const { workers, port } = this.#options
    this.#isOver = true
    port.signal.removeEventListener('abort', this.#onAbort)
    await Promise.all(workers.map((worker) => this.#disposeIn(worker)))
    this.#isDisposed = true
  }

  /** Who does not let go in time is killed: nothing of it is at work any more then, either. */
  async #disposeIn(worker: WorkerProcess): Promise<void> {
    const { disposeMs, timers, logger } = this.#options
    const alarm = new AbortController()
    const late = timers.sleep(disposeMs, alarm.signal).then(
      () => worker.kill(`did not let go of its tasks within ${disposeMs} ms and was killed`),
      () => undefined,
    )
    const disposed = worker.ask({ kind: 'dispose', nonce: this.nonce }).catch((error: unknown) => {
      if (!worker.isDead) logger.warn('a worker did not close its tasks cleanly', { error })
    })
    await Promise.race([disposed, late])
    alarm.abort()
    if (worker.isDead) await worker.gone
  }

  readonly #onAbort = (): void => {
    const { port, workers } = this.#options
    const error = plainError(port.signal.reason)
    for (const worker of workers) worker.tell({ kind: 'abort', nonce: this.nonce, error })
    this.#failed.reject(port.signal.reason)
  }

  #fromTask(task: TaskId, message: PlainFromTask): void {
    const told: FromTask =
      message.kind === 'failed' || message.kind === 'declined' ? { ...message, error: errorOf(message.error) } : message
    if (told.kind === 'failed') this.#failed.reject(told.error)
    this.#options.port.send(task, told)
  }

  #broken(worker: number, error: Error): void {
    void this.#blame(error).then((blamed) => this.#fail(worker, blamed))
  }

  /** In the name of the first task of that worker. */
  #fail(worker: number, error: unknown): void {
    if (this.#isOver) return
    this.#failed.reject(error)
    const { workers, port, tasks } = this.#options
    const task = tasks.find(({ subtask }) => workerOf(subtask, workers.length) === worker) ?? tasks[0]
    if (this.#isOpen && task !== undefined) port.send(task, { kind: 'failed', error })
  }

  /** The death of the other one, if it comes soon. */
  async #blame(error: unknown): Promise<unknown> {
    if (!(error instanceof PeerLost)) return error
    const peer = this.#options.workers[error.peer]
    const alarm = new AbortController()
    await Promise.race([peer?.gone, this.#options.timers.sleep(BLAME_MS, alarm.signal).catch(() => undefined)])
    alarm.abort()
    return peer?.death ?? new TaskFailure(error.message, { code: 'SLUICE_WORKER_LOST', cause: error })
  }
}

/** They may be large, and are committed here: no task reads those of an earlier attempt. */
function withoutCommittables(manifest: Manifest | null): Manifest | null {
  if (manifest === null) return null
  return { ...manifest, operators: manifest.operators.map(({ committables: _, ...operator }) => operator) }
}
