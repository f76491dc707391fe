/**
 * Runs tasks of an attempt in this thread: all of them, or those of one worker. Makes the channels between them; what leads elsewhere is
 * given by who knows the way.
 */
import { assert, TaskFailure, type Runtime } from '../api/index.ts'
import type { JobGraph } from '../graph/job-graph.ts'
import { taskGraphOf, type Exchange, type TaskGraph, type Vertex } from '../graph/task-graph.ts'
import { channelCapacity, ChannelQueue, type ChannelWriter } from './channel.ts'
import type { Figures } from './figures.ts'
import type { AttemptSpec, BlobPort, HostPort, TaskGroup, TaskHost, TaskId } from './host.ts'
import type { TaskInput } from './task-inputs.ts'
import type { FromTask } from './messages.ts'
import { startTask, type Task, type TaskLimits } from './task.ts'
import { Turns } from './turns.ts'

/** One channel of an attempt. */
export interface ChannelAddress {
  /** Index in the task graph. */
  readonly exchange: number
  /** Subtask that writes. */
  readonly from: number
  /** Subtask that reads. */
  readonly to: number
}

/** Ends of channels between a task here and one elsewhere. Asked for once for each, before any task is opened. */
export interface Elsewhere {
  isHere(task: TaskId): boolean
  writerTo(address: ChannelAddress, capacity: number): ChannelWriter
  queueFrom(address: ChannelAddress, capacity: number): ChannelQueue
}

export interface LocalTasksOptions {
  readonly graph: JobGraph
  readonly spec: AttemptSpec
  readonly port: Omit<HostPort, 'store' | 'figures'> & { readonly store: BlobPort }
  readonly runtime: Runtime
  /** Left out: all tasks are here. */
  readonly elsewhere?: Elsewhere
  /** Left out: nobody looks at them. */
  readonly figures?: Figures
  readonly limits?: Partial<TaskLimits>
}

/** Everything in this process. */
export class LocalHost implements TaskHost {
  readonly #graph: JobGraph
  readonly #runtime: Runtime

  constructor(graph: JobGraph, runtime: Runtime) {
    this.#graph = graph
    this.#runtime = runtime
  }

  start(spec: AttemptSpec, port: HostPort): Promise<TaskGroup> {
    port.figures.dropGauges()
    return startTasks({ graph: this.#graph, runtime: this.#runtime, spec, port, figures: port.figures })
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}

/**
 * Opens the tasks that are here. When one cannot be opened, or fails before all are, it says `failed`, and those that are open are closed
 * again.
 * @throws TaskFailure, TerminalError, CorruptCheckpointError
 */
export async function startTasks(options: LocalTasksOptions): Promise<TaskGroup> {
  const { spec, port, runtime } = options
  const taskGraph = taskGraphOf(options.graph.nodes, spec.parallelism)
  const wiring = new Wiring(taskGraph, options)
  const turns = new Turns(runtime)
  const opening = new AbortController()
  const early = Promise.withResolvers<never>()
  early.promise.catch(() => undefined)
  let isOpen = false
  const signal = AbortSignal.any([port.signal, opening.signal])
  const starting = tasksOf(taskGraph)
    .filter((id) => wiring.isHere(id))
    .map(async (id) => {
      const send = (message: FromTask): void => {
        if (message.kind === 'failed' && !isOpen) early.reject(message.error)
        port.send(id, message)
      }
      try {
        return {
          id,
          task: await startTask({
            ...options,
            id,
            taskGraph,
            turns,
            store: port.store,
            ...wiring.of(id),
            send,
            signal,
          }),
        }
      } catch (error) {
        // At once: others that are being opened may be slow to let go, or never answer.
        if (!signal.aborted) send({ kind: 'failed', error })
        throw error
      }
    })
  try {
    const tasks = await Promise.race([Promise.all(starting), early.promise])
    isOpen = true
    return new LocalTasks(tasks)
  } catch (error) {
    opening.abort(new TaskFailure('another task could not be opened'))
    const opened = await Promise.allSettled(starting)
    await Promise.allSettled(opened.flatMap((one) => (one.status === 'fulfilled' ? [one.value.task.dispose()] : [])))
    throw error
  }
}

/** Every task of the graph, in the order of vertices and subtasks. */
export function tasksOf({ vertices }: TaskGraph): readonly TaskId[] {
  return vertices.flatMap(({ id, parallelism }) =>
    Array.from({ length: parallelism }, (_, subtask): TaskId => ({ vertex: id, subtask })),
  )
}

interface Opened {
  readonly id: TaskId
  readonly task: Task
}

class LocalTasks implements TaskGroup {
  readonly #opened: readonly Opened[]

  constructor(opened: readonly Opened[]) {
    this.#opened = opened
  }

  get tasks(): readonly TaskId[] {
    return this.#opened.map(({ id }) => id)
  }

  tell(message: Parameters<TaskGroup['tell']>[0]): void {
    for (const { task } of this.#opened) task.handle(message)
  }

  async dispose(): Promise<void> {
    const disposed = await Promise.allSettled(this.#opened.map(({ task }) => task.dispose()))
    for (const one of disposed) if (one.status === 'rejected') throw one.reason
  }
}

/** All channels of the tasks that are here. */
class Wiring {
  readonly #graph: TaskGraph
  readonly #elsewhere: Elsewhere | undefined
  readonly #inputRecords: number | undefined
  readonly #queues = new Map<string, ChannelQueue>()

  constructor(graph: TaskGraph, { elsewhere, limits }: Pick<LocalTasksOptions, 'elsewhere' | 'limits'>) {
    this.#graph = graph
    this.#elsewhere = elsewhere
    this.#inputRecords = limits?.inputRecords
  }

  isHere(task: TaskId): boolean {
    return this.#elsewhere?.isHere(task) ?? true
  }

  of({ vertex, subtask }: TaskId): {
    readonly inputs: readonly TaskInput[]
    readonly outputs: readonly { readonly exchange: Exchange; readonly writers: readonly ChannelWriter[] }[]
  } {
    const incoming = this.#graph.exchanges.filter(({ toVertex }) => toVertex === vertex)
    const outgoing = this.#graph.exchanges.filter(({ fromVertex }) => fromVertex === vertex)
    return {
      inputs: incoming.flatMap((exchange) =>
        this.#writersOf(exchange, subtask).map((from) => ({
          exchange: exchange.index,
          queue: this.#queue(exchange, from, subtask),
        })),
      ),
      outputs: outgoing.map((exchange) => ({
        exchange,
        writers: this.#readersOf(exchange, subtask).map((to) => this.#writer(exchange, subtask, to)),
      })),
    }
  }

  #queue(exchange: Exchange, from: number, to: number): ChannelQueue {
    const address = { exchange: exchange.index, from, to }
    const key = `${exchange.index} ${from} ${to}`
    const made = this.#queues.get(key)
    if (made !== undefined) return made
    const capacity = this.#capacityOf(exchange, to)
    const isLocal = this.isHere({ vertex: exchange.fromVertex, subtask: from })
    const queue = isLocal ? new ChannelQueue(capacity) : this.#away().queueFrom(address, capacity)
    this.#queues.set(key, queue)
    return queue
  }

  #writer(exchange: Exchange, from: number, to: number): ChannelWriter {
    if (this.isHere({ vertex: exchange.toVertex, subtask: to })) return this.#queue(exchange, from, to)
    return this.#away().writerTo({ exchange: exchange.index, from, to }, this.#capacityOf(exchange, to))
  }

  /** The same wherever it is computed. */
  #capacityOf({ toVertex }: Exchange, to: number): number {
    const incoming = this.#graph.exchanges.filter((one) => one.toVertex === toVertex)
    const channels = incoming.reduce((sum, one) => sum + this.#writersOf(one, to).length, 0)
    return channelCapacity(channels, this.#inputRecords)
  }

  #writersOf(exchange: Exchange, to: number): readonly number[] {
    return isOneToOne(exchange, this.#graph) ? [to] : subtasksOf(this.#graph, exchange.fromVertex)
  }

  #readersOf(exchange: Exchange, from: number): readonly number[] {
    return isOneToOne(exchange, this.#graph) ? [from] : subtasksOf(this.#graph, exchange.toVertex)
  }

  #away(): Elsewhere {
    assert(this.#elsewhere !== undefined, () => 'a channel leads elsewhere, but all tasks are here')
    return this.#elsewhere
  }
}

/** Each subtask has a channel to its own number only; otherwise barriers go to all, wherever records go. */
function isOneToOne({ partition, fromVertex, toVertex }: Exchange, graph: TaskGraph): boolean {
  return (
    partition.kind === 'forward' && vertexOf(graph, fromVertex).parallelism === vertexOf(graph, toVertex).parallelism
  )
}

function subtasksOf(graph: TaskGraph, vertex: string): readonly number[] {
  return Array.from({ length: vertexOf(graph, vertex).parallelism }, (_, subtask) => subtask)
}

function vertexOf({ vertices }: TaskGraph, id: string): Vertex {
  const vertex = vertices.find((one) => one.id === id)
  assert(vertex !== undefined, () => `"${id}" is no vertex of the job`)
  return vertex
}
