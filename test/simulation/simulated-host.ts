/**
 * A host whose tasks are in workers of a simulated process: what is said between them and the coordinator comes late, in order for each task
 * only, and may come twice; workers die, are paused, or lose their coordinator. A worker that is not heard of any more is given up: the
 * attempt fails, and what it still does when it wakes reaches nobody.
 *
 *   coordinator ══ Link for each worker ══▶ worker: startTasks ══ SimulatedChannel ══▶ worker
 *        ◀═══════ Link for each task ═══════════╝
 *
 * Said a second time are answers whose reply may be lost, and what the coordinator repeats of what has become true. A trigger, a failure
 * and items of channels are not: they are what opens and closes a connection, or have a place in it.
 */
import { TaskFailure } from '../../engine/api/index.ts'
import type { JobDefinition } from '../../engine/graph/define-job.ts'
import { FlowBuilder } from '../../engine/graph/flow-builder.ts'
import type { JobGraph } from '../../engine/graph/job-graph.ts'
import { GivenSettings } from '../../engine/graph/settings.ts'
import type { AttemptSpec, HostPort, TaskGroup, TaskHost, TaskId } from '../../engine/task/host.ts'
import { startTasks, type ChannelAddress, type Elsewhere } from '../../engine/task/local-host.ts'
import { taskGraphOf, type TaskGraph } from '../../engine/graph/task-graph.ts'
import type { FromTask, ToTask } from '../../engine/task/messages.ts'
import { Link, SimulatedChannel } from './network.ts'
import type { Placement } from './plan.ts'
import type { SimulatedProcess } from './process.ts'
import type { Truth } from './truth.ts'

export interface SimulatedHostOptions {
  readonly process: SimulatedProcess
  readonly truth: Truth
  readonly placement: Exclude<Placement, 'here'>
  /** As a worker that has loaded the job's module sees it. */
  definitionFor(worker: SimulatedProcess): JobDefinition
}

/** Of both directions, what may be said twice. */
const REPEATABLE: Readonly<Record<(ToTask | FromTask)['kind'], boolean>> = {
  trigger: false,
  'given-up': true,
  completed: true,
  end: true,
  drain: true,
  settled: true,
  splits: false,
  retained: false,
  acknowledged: true,
  declined: true,
  'source-exhausted': true,
  'input-ended': true,
  failed: false,
}
const WORKERS = 2
const LONGEST_SILENCE_MS = 30

export class SimulatedHost implements TaskHost {
  readonly #options: SimulatedHostOptions

  constructor(options: SimulatedHostOptions) {
    this.#options = options
  }

  start(spec: AttemptSpec, port: HostPort): Promise<TaskGroup> {
    return new Attempt(this.#options, spec, port).open()
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}

class Attempt implements TaskGroup {
  readonly options: SimulatedHostOptions
  readonly spec: AttemptSpec
  readonly port: HostPort
  readonly #workers = new Map<string, Worker>()
  readonly #channels = new Map<string, SimulatedChannel>()
  readonly #graph: TaskGraph
  #isOver = false

  constructor(options: SimulatedHostOptions, spec: AttemptSpec, port: HostPort) {
    this.options = options
    this.spec = structuredClone(spec)
    this.port = port
    const graph = graphOf(options.definitionFor(options.process))
    this.#graph = taskGraphOf(graph.nodes, spec.parallelism)
    for (const { id, parallelism } of this.#graph.vertices) {
      for (let subtask = 0; subtask < parallelism; subtask += 1) {
        const name = this.placeOf({ vertex: id, subtask })
        if (!this.#workers.has(name)) this.#workers.set(name, new Worker(this, name))
      }
    }
  }

  get tasks(): readonly TaskId[] {
    return [...this.#workers.values()].flatMap((worker) => worker.tasks)
  }

  placeOf({ vertex, subtask }: TaskId): string {
    switch (this.options.placement) {
      case 'together':
        return 'worker'
      case 'workers':
        return `worker ${subtask % WORKERS}`
      case 'apart':
      default:
        return `worker ${vertex} ${subtask}`
    }
  }

  async open(): Promise<TaskGroup> {
    const workers = [...this.#workers.values()]
    const opening = workers.map((worker) => worker.open())
    try {
      await Promise.all(opening)
      return this
    } catch (error) {
      await Promise.allSettled(opening)
      await this.dispose()
      throw error
    }
  }

  tell(message: ToTask): void {
    for (const worker of this.#workers.values()) worker.tell(message)
  }

  async dispose(): Promise<void> {
    await Promise.all([...this.#workers.values()].map((worker) => worker.dispose()))
    this.#isOver = true
  }

  /** A message has come from a task of an attempt that may be over. */
  heard(task: TaskId, message: FromTask): void {
    if (!this.#isOver) this.port.send(task, message)
  }

  channel({ exchange, from, to }: ChannelAddress, capacity: number): SimulatedChannel {
    const key = `${exchange} ${from} ${to}`
    const made = this.#channels.get(key)
    if (made !== undefined) return made
    const { process, truth } = this.options
    const of = this.#graph.exchanges[exchange]
    const writer = this.#workers.get(this.placeOf({ vertex: of?.fromVertex ?? '', subtask: from }))
    const reader = this.#workers.get(this.placeOf({ vertex: of?.toVertex ?? '', subtask: to }))
    if (writer === undefined || reader === undefined) throw new Error(`channel ${key} leads nowhere`)
    const channel = new SimulatedChannel({
      from: writer.process,
      to: reader.process,
      // A host may give less credit than it could: here so little that it runs out.
      capacity: Math.min(capacity, 1 + Math.floor(process.chance() * 6)),
      truth,
    })
    this.#channels.set(key, channel)
    return channel
  }
}

/** Some tasks of an attempt, in a process of their own. */
class Worker {
  readonly process: SimulatedProcess
  readonly #attempt: Attempt
  readonly #name: string
  /** From the coordinator. */
  readonly #down: Link
  readonly #up = new Map<string, Link>()
  readonly #connection = new AbortController()
  /** The coordinator has given it up, or it has closed in order. */
  readonly #gone = Promise.withResolvers<void>()
  #isLost = false
  #group: TaskGroup | undefined

  constructor(attempt: Attempt, name: string) {
    this.#attempt = attempt
    this.#name = name
    this.process = attempt.options.process.createWorker()
    this.#down = new Link(this.process)
    this.process.onChange = (what) => this.#changed(what)
  }

  get tasks(): readonly TaskId[] {
    return this.#group?.tasks ?? []
  }

  /** All of its tasks are open, and the coordinator has heard so. */
  async open(): Promise<void> {
    const opened = Promise.withResolvers<void>()
    const { signal } = this.#attempt.port
    const onAbort = (): void => this.#down.send(this.#delayMs(), () => this.#connection.abort(signal.reason))
    signal.addEventListener('abort', onAbort, { once: true })
    if (signal.aborted) onAbort()
    this.#down.send(this.#delayMs(), () => {
      this.#start().then(
        () => this.#answer(() => opened.resolve()),
        (error: unknown) => this.#answer(() => opened.reject(error)),
      )
    })
    await Promise.race([opened.promise, this.#gone.promise])
    if (this.#isLost) throw lost(this.#name)
  }

  tell(message: ToTask): void {
    const copy = structuredClone(message)
    this.#down.send(this.#delayMs(), () => this.#group?.tell(copy))
    if (!this.#isRepeated(message.kind)) return
    this.#down.repeat(this.#delayMs() * 4, () => this.#group?.tell(structuredClone(message)))
  }

  /** Resolves when it has let go, or is given up. */
  async dispose(): Promise<void> {
    this.#down.send(this.#delayMs(), () => {
      const closed = (): void => this.#answer(() => this.#gone.resolve())
      this.#connection.abort(new TaskFailure('the attempt is over'))
      void Promise.resolve(this.#group?.dispose()).then(closed, closed)
    })
    await this.#gone.promise
  }

  async #start(): Promise<void> {
    const { options, spec, port } = this.#attempt
    const { process } = this
    this.#group = await startTasks({
      graph: graphOf(options.definitionFor(process)),
      spec,
      runtime: process.runtime,
      elsewhere: this.#elsewhere(),
      port: {
        send: (task, message) => this.#send(task, message),
        store: {
          putBlob: (operator, bytes) => this.#unlessCutOff(port.store.putBlob(operator, bytes)),
          getBlob: (reference) => this.#unlessCutOff(port.store.getBlob(reference)),
        },
        signal: this.#connection.signal,
      },
    })
  }

  #elsewhere(): Elsewhere {
    const attempt = this.#attempt
    return {
      isHere: (task) => attempt.placeOf(task) === this.#name,
      writerTo: (address, capacity) => attempt.channel(address, capacity),
      queueFrom: (address, capacity) => attempt.channel(address, capacity).queue,
    }
  }

  #send(task: TaskId, message: FromTask): void {
    if (this.process.state === 'dead') return
    const { process } = this.#attempt.options
    const key = `${task.vertex} ${task.subtask}`
    const link = this.#up.get(key) ?? new Link(process)
    this.#up.set(key, link)
    const hear = (): void => {
      if (!this.#isLost) this.#attempt.heard(task, 'error' in message ? message : structuredClone(message))
    }
    link.send(this.#delayMs(), hear)
    if (this.#isRepeated(message.kind)) link.repeat(this.#delayMs() * 4, hear)
  }

  /** To the coordinator. */
  #answer(act: () => void): void {
    if (this.process.state === 'dead') return
    new Link(this.#attempt.options.process).send(this.#delayMs(), act)
  }

  #isRepeated(kind: (ToTask | FromTask)['kind']): boolean {
    return REPEATABLE[kind] && this.process.repeats()
  }

  #delayMs(): number {
    const { process } = this
    const { controlMs, slow, slowMs } = process.rates
    return process.chance() * (process.chance() < slow / 10 ? slowMs : controlMs)
  }

  async #unlessCutOff<T>(answer: Promise<T>): Promise<T> {
    const { signal } = this.#connection
    const cut = Promise.withResolvers<never>()
    const onAbort = (): void => cut.reject(new TaskFailure('the connection is closed'))
    if (signal.aborted) onAbort()
    signal.addEventListener('abort', onAbort, { once: true })
    cut.promise.catch(() => undefined)
    answer.catch(() => undefined)
    const result = await Promise.race([answer, cut.promise])
    signal.removeEventListener('abort', onAbort)
    // It comes to it when it is running.
    await this.process.sleep(0)
    return result
  }

  #changed(what: Parameters<SimulatedProcess['onChange']>[0]): void {
    const { process: coordinator } = this.#attempt.options
    const silenceMs = this.process.chance() * LONGEST_SILENCE_MS
    if (what !== 'running') {
      new Link(coordinator).send(silenceMs, () => {
        if (what !== 'paused' || this.process.state !== 'running') this.#lose()
      })
    }
    // It finds its connection closed: where it was given up meanwhile, or has nobody to talk to.
    if (what === 'cut-off' || (what === 'running' && this.#isLost)) {
      this.#down.send(silenceMs, () => this.#cutOff())
    }
  }

  #cutOff(): void {
    this.#connection.abort(new TaskFailure('the coordinator is gone'))
    void this.#group?.dispose().catch(() => undefined)
  }

  #lose(): void {
    if (this.#isLost) return
    this.#isLost = true
    this.#gone.resolve()
    const [task] = this.tasks
    if (task !== undefined) this.#attempt.heard(task, { kind: 'failed', error: lost(this.#name) })
  }
}

/** The plan was checked by the coordinator. */
function graphOf(definition: JobDefinition): JobGraph {
  const flow = new FlowBuilder()
  definition.build(flow, new GivenSettings({}, {}))
  return { nodes: flow.nodes, guarantee: 'exactly-once' }
}

function lost(name: string): TaskFailure {
  return new TaskFailure(`${name} is not heard of any more`)
}
