/**
 * One worker as its coordinator sees it: a child process, what is said to it, and whether it is there.
 *
 *   starting ─▶ ready ─▶ gone          gone at any time, and for good: its place is taken by another process
 *
 * - Who has been declared dead is killed: it does not come back, and nothing of it counts.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { Socket } from 'node:net'
import { assert, RetryableError, TaskFailure, type Logger } from '../api/index.ts'
import { Control } from './control.ts'
import { errorOf, type PlainError } from './error-codec.ts'
import { ProtocolError } from './frame.ts'
import type { AskCoordinator, AskWorker, FromWorker, ToWorker, WorkerJob } from './messages.ts'

/** The connection to the coordinator in a worker; `sluice` starts it with one there. */
export const CONTROL_FD = 3

export interface WorkerCommand {
  readonly file: string
  readonly argv: readonly string[]
}

export interface WorkerProcessOptions {
  readonly index: number
  readonly command: WorkerCommand
  readonly job: WorkerJob
  readonly heartbeatMs: number
  readonly logger: Logger
  told(message: Exclude<FromWorker, { kind: 'log' | 'heartbeat' }>): void
  asked(request: AskCoordinator): Promise<unknown>
  /** Once, at once when it is known; `gone` resolves when the process is no more. */
  died(error: TaskFailure): void
}

export class WorkerProcess {
  /** Resolves when it has loaded the job. @throws TerminalError, TaskFailure */
  readonly ready: Promise<void>
  /** Resolves when the process is no more; never rejects. */
  readonly gone: Promise<void>
  readonly #options: WorkerProcessOptions
  readonly #child: ChildProcess
  readonly #control: Control<ToWorker, AskWorker, FromWorker, AskCoordinator>
  readonly #exited = Promise.withResolvers<void>()
  #death: TaskFailure | undefined
  /** Since it was heard the last time, as far as this process was running itself. */
  #silentMs = 0
  #wasReady = false

  constructor(options: WorkerProcessOptions) {
    this.#options = options
    const { file, argv } = options.command
    this.gone = this.#exited.promise
    this.#child = spawn(file, argv, { stdio: ['ignore', 'inherit', 'inherit', 'pipe'] })
    this.#child.once('error', (error) => this.#ended(`could not be started: ${error.message}`))
    this.#child.once('exit', (code, signal) =>
      this.#ended(`died: ${signal === null ? `exit code ${code}` : `signal ${signal}`}`),
    )
    const socket: unknown = this.#child.stdio[CONTROL_FD]
    assert(socket instanceof Socket, () => 'a worker is started with a connection to it')
    this.#control = new Control<ToWorker, AskWorker, FromWorker, AskCoordinator>(socket, {
      heard: () => {
        this.#silentMs = 0
      },
      told: (message) => this.#told(message),
      asked: (request) => options.asked(request),
      closed: (error) => this.#cut(error),
    })
    this.ready = this.#load()
    this.ready.catch(() => undefined)
  }

  get pid(): number | undefined {
    return this.#child.pid
  }

  get isReady(): boolean {
    return this.wasReady && !this.isDead
  }

  /** It had loaded the job, whether it is still there or not. */
  get wasReady(): boolean {
    return this.#wasReady
  }

  get isDead(): boolean {
    return this.#death !== undefined
  }

  /** Why it is dead. */
  get death(): TaskFailure | undefined {
    return this.#death
  }

  tell(message: ToWorker): void {
    this.#control.tell(message)
  }

  /** @throws what the worker threw; TaskFailure with the reason of its death when it dies */
  async ask(request: AskWorker): Promise<unknown> {
    try {
      return await this.#control.ask(request)
    } catch (error) {
      // It says what happened, where the closed connection is only what came of it.
      if (this.#control.isClosed) await this.gone
      throw this.#death ?? error
    }
  }

  /** So much time has passed without anything heard; `heardMs` of it this process could have heard it. */
  silent(heardMs: number, limitMs: number): void {
    this.#silentMs += heardMs
    if (this.#silentMs >= limitMs && !this.isDead) this.kill(`said nothing for ${limitMs} ms and was killed`)
  }

  /** It is dead from here on. */
  kill(why: string): void {
    this.#die(why)
    this.#child.kill('SIGKILL')
  }

  async #load(): Promise<void> {
    const { job, index, heartbeatMs } = this.#options
    try {
      await this.ask({ kind: 'load', job, index, heartbeatMs })
      this.#wasReady = true
    } catch (error) {
      if (!this.isDead) this.kill('was refused')
      throw error instanceof RetryableError ? new TaskFailure(error.message, { cause: error }) : error
    }
  }

  #told(message: FromWorker): void {
    if (this.isDead) return
    switch (message.kind) {
      case 'heartbeat':
        return
      case 'log':
        return this.#options.logger[message.level](message.message, fieldsOf(message.fields))
      default:
        this.#options.told(message)
    }
  }

  /** The exit that follows says why; without one it cannot be reached any more. */
  #cut(error: Error | undefined): void {
    if (error instanceof ProtocolError) this.kill(`cannot be understood: ${error.message}`)
    else this.#child.kill('SIGKILL')
  }

  #ended(why: string): void {
    this.#die(why)
    this.#control.close()
    this.#exited.resolve()
  }

  #die(why: string): void {
    if (this.#death !== undefined) return
    const { index } = this.#options
    this.#death = new TaskFailure(`worker ${index} (pid ${this.#child.pid ?? 'none'}) ${why}`, {
      code: 'SLUICE_WORKER_LOST',
    })
    this.#options.died(this.#death)
  }
}

/** Errors in it are errors again, so that the logger shows their stacks. */
function fieldsOf(fields: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  return Object.fromEntries(
    Object.entries(fields).map(([name, field]) => [name, isPlainError(field) ? errorOf(field) : field]),
  )
}

function isPlainError(field: unknown): field is PlainError {
  return typeof field === 'object' && field !== null && 'stack' in field && 'name' in field && 'message' in field
}
