/**
 * One attempt in a worker: its connections to the other workers, its channels, its tasks.
 *
 *   listening ─▶ connected ─▶ open ─▶ disposed          it may be disposed of at any time
 */
import { TaskFailure, type Runtime } from '../api/index.ts'
import type { JobGraph } from '../graph/job-graph.ts'
import { taskGraphOf } from '../graph/task-graph.ts'
import type { AttemptSpec, TaskGroup, TaskId } from '../task/host.ts'
import { startTasks } from '../task/local-host.ts'
import { Figures, type FigureChange } from '../task/figures.ts'
import type { FromTask, ToTask } from '../task/messages.ts'
import type { PeerLost } from './error-codec.ts'
import { ProtocolError, type Frame } from './frame.ts'
import type { AttemptName } from './messages.ts'
import { PeerLinks } from './peer-links.ts'
import { RemoteChannels } from './remote-channels.ts'
import type { WorkerBlobs } from './worker-blobs.ts'

export interface WorkerAttemptOptions {
  readonly attempt: AttemptName
  /** The number of this worker, of so many. */
  readonly index: number
  readonly workers: number
  readonly graph: JobGraph
  readonly runtime: Runtime
  readonly blobs: WorkerBlobs
  fromTask(task: TaskId, message: FromTask): void
  lost(error: PeerLost): void
}

export class WorkerAttempt implements AsyncDisposable {
  readonly #options: WorkerAttemptOptions
  readonly #links: PeerLinks
  readonly #abort = new AbortController()
  readonly #figures = new Figures()
  #channels: RemoteChannels | undefined
  #opening: Promise<TaskGroup> | undefined
  #tasks: TaskGroup | undefined
  /** Said before they were open. */
  readonly #early: ToTask[] = []

  private constructor(options: WorkerAttemptOptions, links: PeerLinks) {
    this.#options = options
    this.#links = links
  }

  static async listen(options: WorkerAttemptOptions): Promise<WorkerAttempt> {
    const { attempt, index: self, workers, runtime } = options
    const links: PeerLinks = await PeerLinks.listen({
      attempt,
      self,
      workers,
      random: runtime.random,
      onFrame: (peer, frame) => made.#received(peer, frame),
      onLost: (error) => options.lost(error),
    })
    const made = new WorkerAttempt(options, links)
    return made
  }

  get nonce(): string {
    return this.#options.attempt.nonce
  }

  get address(): string {
    return this.#links.address
  }

  /** All tasks of this worker are open when it resolves. @throws PeerLost, and what startTasks throws */
  async open(spec: AttemptSpec, addresses: readonly string[]): Promise<void> {
    await this.#links.connect(addresses)
    this.#abort.signal.throwIfAborted()
    this.#opening = this.#start(spec)
    this.#tasks = await this.#opening
    for (const message of this.#early.splice(0)) this.#tasks.tell(message)
  }

  tell(message: ToTask): void {
    if (this.#tasks === undefined) this.#early.push(message)
    else this.#tasks.tell(message)
  }

  /** What its tasks have counted since the last call. */
  takeFigures(): readonly FigureChange[] {
    return this.#figures.takeChanges()
  }

  abort(error: Error): void {
    this.#abort.abort(error)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#abort.abort(new TaskFailure('the attempt is over'))
    const tasks = await this.#opening?.catch(() => undefined)
    try {
      await tasks?.dispose()
    } finally {
      await this.#links[Symbol.asyncDispose]()
      await this.#options.blobs.idle()
    }
  }

  #start(spec: AttemptSpec): Promise<TaskGroup> {
    const { graph, runtime, index: self, workers, blobs } = this.#options
    this.#channels = new RemoteChannels({
      graph: taskGraphOf(graph.nodes, spec.parallelism),
      self,
      workers,
      senderTo: (peer) => ({ send: (...frame) => this.#links.send(peer, ...frame) }),
    })
    const starting = startTasks({
      graph,
      spec,
      runtime,
      figures: this.#figures,
      port: {
        send: (task, message) => this.#options.fromTask(task, message),
        store: blobs,
        signal: this.#abort.signal,
      },
      elsewhere: this.#channels,
    })
    // The channels have their ends: what other workers sent has where to go.
    this.#links.resume()
    return starting
  }

  #received(peer: number, frame: Frame): void {
    if (this.#channels === undefined) throw new ProtocolError(`a ${frame.kind} frame came before the tasks`)
    this.#channels.received(peer, frame)
  }
}
