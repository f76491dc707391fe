/**
 * One parallel instance of a vertex: takes batches from its source or its inputs, pushes them through the chain, hands on what gathers at
 * its edges, cuts snapshots at barriers and sends the barriers on.
 *
 * - T1: one loop; between awaits it is synchronous, after an await it looks at its state again. Messages are taken when they come,
 *   also while a writer or a channel pushes back (it may be waiting for `settled`); a barrier waits for its place between two batches.
 * - T2: a batch counts for the position of its split when it was pushed through and flushed as a whole (F35). The cut and the barrier to all
 *   outputs are one synchronous stretch; between the alignment of a checkpoint and its cut nothing is taken.
 * - T3: batches are pushed in slices, snapshots are encoded in slices; the event loop turns in between.
 */
import { assert, NO_TIMESTAMP, unreachable, type Batch, type Runtime } from '../api/index.ts'
import type { JobGraph } from '../graph/job-graph.ts'
import type { TaskGraph, Exchange } from '../graph/task-graph.ts'
import type { Chain } from '../operators/chain.ts'
import type { ChannelWriter } from './channel.ts'
import { Checkpoints } from './checkpoints.ts'
import type { Figures } from './figures.ts'
import type { AttemptSpec, BlobPort, TaskId } from './host.ts'
import type { FromTask, ToTask } from './messages.ts'
import { openTask, type OpenedTask } from './open-task.ts'
import { Pusher } from './pusher.ts'
import type { AnyPolled, SourcePort, SplitState } from './source-port.ts'
import { TaskInputs, type Arrived, type TaskInput } from './task-inputs.ts'
import type { Turns } from './turns.ts'

export interface TaskOptions {
  readonly id: TaskId
  readonly graph: JobGraph
  readonly taskGraph: TaskGraph
  readonly spec: AttemptSpec
  readonly runtime: Runtime
  readonly store: BlobPort
  /** All channels to it; none for a source. */
  readonly inputs: readonly TaskInput[]
  /** For each exchange from its vertex, the channels to the subtasks in their order; of a forward one the channel to its own number. */
  readonly outputs: readonly { readonly exchange: Exchange; readonly writers: readonly ChannelWriter[] }[]
  /** May be called at any time between start and the end of `dispose`; must not throw. */
  send(message: FromTask): void
  readonly figures?: Figures
  readonly limits?: Partial<TaskLimits>
  /** Shared by all tasks of this thread. */
  readonly turns: Turns
  /** Ends the attempt; `dispose` must still be called. */
  readonly signal: AbortSignal
}

export interface TaskLimits {
  /** What one sink's writer may hold in memory. */
  readonly sinkMemoryBytes: number
  /** What the channels to one task hold together before their writers have to wait. */
  readonly inputRecords: number
}

export interface Task {
  /** Any time, from anywhere; takes the message at once or keeps it for the next barrier. */
  handle(message: ToTask): void
  /** Stops, waits for what is under way, closes readers and writers, leaves prepared data alone (S2). Idempotent. */
  dispose(): Promise<void>
}

const IDLE_MS = 10
/** Given, since an abort without a reason makes an error with a stack each time. */
const RESTED = new Error('something has happened')

/** @throws TerminalError, TaskFailure when source or sinks cannot be opened where the checkpoint left off */
export async function startTask(options: TaskOptions): Promise<Task> {
  const stop = new AbortController()
  const onAbort = (): void => stop.abort(options.signal.reason)
  if (options.signal.aborted) onAbort()
  options.signal.addEventListener('abort', onAbort, { once: true })
  try {
    return new RunningTask(options, stop, await openTask(options, stop.signal))
  } finally {
    options.signal.removeEventListener('abort', onAbort)
  }
}

class RunningTask implements Task {
  readonly #options: TaskOptions
  readonly #runtime: Runtime
  readonly #opened: OpenedTask
  readonly #checkpoints: Checkpoints
  readonly #stop: AbortController
  readonly #halt: () => void
  readonly #inputs: TaskInputs | undefined
  readonly #pusher: Pusher
  /** Operators that have ended here, in this life of the job or an earlier one: never ended again (F24). */
  readonly #ended: Set<string>
  #hasEnded = false
  /** The source has nothing more to give, or is drained; the end is still to come. */
  #isExhausted = false
  /** The coordinator says that the source has ended as a whole. */
  #mayEnd = false
  #mayPoll: boolean
  #idleUntilMs = 0
  #wake: () => void = () => undefined
  readonly #running: Promise<void>
  #disposed: Promise<void> | undefined

  constructor(options: TaskOptions, stop: AbortController, opened: OpenedTask) {
    this.#options = options
    this.#runtime = options.runtime
    this.#opened = opened
    this.#stop = stop
    this.#inputs = options.inputs.length === 0 ? undefined : new TaskInputs(options.inputs, options.runtime.clock)
    for (const { queue } of options.inputs) queue.wake = () => this.#wake()
    this.#ended = new Set(opened.closed)
    this.#mayPoll = !opened.hasNewSplits
    this.#pusher = new Pusher({
      ...opened,
      turns: options.turns,
      signal: stop.signal,
    })
    this.#checkpoints = new Checkpoints({
      ...opened,
      subtask: options.id.subtask,
      store: options.store,
      send: (message) => this.#send(message),
      fail: (error) => this.#fail(error),
      wake: () => this.#wake(),
    })
    this.#halt = () => {
      stop.abort(options.signal.reason)
      this.#wake()
    }
    if (options.signal.aborted) this.#halt()
    options.signal.addEventListener('abort', this.#halt, { once: true })
    opened.onFailure((error) => this.#fail(error))
    this.#running = this.#run()
  }

  handle(message: ToTask): void {
    if (this.#stop.signal.aborted) return
    try {
      this.#obey(message)
    } catch (error) {
      this.#fail(error)
    }
    this.#wake()
  }

  dispose(): Promise<void> {
    this.#disposed ??= this.#dispose()
    return this.#disposed
  }

  async #dispose(): Promise<void> {
    this.#options.signal.removeEventListener('abort', this.#halt)
    this.#halt()
    await this.#running
    await this.#checkpoints.dispose()
    const { source, sinks } = this.#opened
    const closed = await Promise.allSettled([source?.dispose(), ...sinks.map((sink) => sink.dispose())])
    for (const one of closed) if (one.status === 'rejected') throw one.reason
  }

  #obey(message: ToTask): void {
    const { source, sinks } = this.#opened
    switch (message.kind) {
      case 'trigger':
        // Others hear of it by its barrier.
        if (source !== undefined) this.#checkpoints.request(message)
        return
      case 'given-up':
        this.#checkpoints.giveUp(message.checkpoint)
        this.#inputs?.release(message.checkpoint)
        return
      case 'completed':
        this.#checkpoints.completed(message.checkpoint)
        // Resolved splits and start positions are in what has completed (F32).
        this.#mayPoll = true
        return
      case 'end':
        if (message.source === source?.node.id) this.#mayEnd = true
        return
      case 'drain':
        // What a poll under way still brings was not pushed: its position does not count (F35).
        this.#isExhausted ||= source !== undefined
        this.#mayEnd ||= source !== undefined
        return
      case 'splits':
        if (message.source === source?.node.id && message.subtask === this.#options.id.subtask) {
          this.#addSplits(source, message.splits)
        }
        return
      case 'settled':
        for (const sink of sinks) sink.settled(message.through)
        return
      case 'retained': {
        if (source === undefined) return
        const splits = message.splits[source.node.id]
        if (splits !== undefined) source.acknowledge(splits, (error) => this.#fail(error))
        return
      }
      default:
        unreachable(message)
    }
  }

  #addSplits(source: SourcePort, splits: readonly SplitState[]): void {
    if (this.#isExhausted) throw source.contradicts(splits)
    source.add(splits)
    this.#idleUntilMs = 0
  }

  #send(message: FromTask): void {
    if (!this.#stop.signal.aborted) this.#options.send(message)
  }

  /** Said once: what fails after it fails because of it. */
  #fail(error: unknown): void {
    if (this.#stop.signal.aborted) return
    this.#halt()
    this.#options.send({ kind: 'failed', error })
  }

  async #run(): Promise<void> {
    try {
      if (this.#opened.hasEnded) {
        this.#isExhausted = true
        await this.#end()
      }
      while (!this.#stop.signal.aborted) await this.#turn()
    } catch (error) {
      this.#fail(error)
    }
  }

  /** Up to its first await, this is the moment between two batches. */
  async #turn(): Promise<void> {
    if (this.#isEndDue) return this.#end()
    if (this.#checkpoints.isDue) await this.#cut()
    this.#checkpoints.encodeSlice()
    const taken = this.#take()
    if (taken === undefined) await this.#rest()
    else await this.#process(taken)
    const { turns } = this.#options
    if (turns.isDue()) await turns.next()
  }

  /** Before a cut: a trigger comes behind the word to end or before it, for all subtasks of the source, whatever each is waiting for (F24). */
  get #isEndDue(): boolean {
    return this.#isExhausted && this.#mayEnd && !this.#hasEnded
  }

  /** All records before it are handed on; what is waited for may have made it void. */
  async #cut(): Promise<void> {
    const pending = this.#pusher.flush(true)
    if (pending !== undefined) await pending
    if (this.#stop.signal.aborted || this.#isEndDue || !this.#checkpoints.isDue) return
    const barrier = this.#checkpoints.cut(this.#ended, this.#hasEnded)
    for (const output of this.#opened.outputs) output.send({ ...barrier, kind: 'barrier' })
    this.#checkpoints.aligned(this.#inputs?.release(barrier.checkpoint) ?? 0)
  }

  #take(): AnyPolled | Arrived | undefined {
    const { source } = this.#opened
    if (source === undefined) return this.#checkpoints.isRequested ? undefined : this.#inputs?.next()
    const isIdle = this.#runtime.clock.monotonicMs() < this.#idleUntilMs
    if (!this.#mayPoll || this.#isExhausted || isIdle) return undefined
    return source.poll(this.#stop.signal, () => this.#wake())
  }

  async #process(taken: AnyPolled | Arrived): Promise<void> {
    switch (taken.kind) {
      case 'records':
        return 'batch' in taken ? this.#pushArrived(taken) : this.#pushPolled(taken)
      case 'aligned':
        return this.#checkpoints.request(taken.barrier)
      case 'idle':
        this.#idleUntilMs = this.#runtime.clock.monotonicMs() + (taken.retryAfterMs ?? IDLE_MS)
        return
      case 'split-ended':
        return this.#opened.source?.passed(taken)
      case 'ended':
        return this.#opened.source === undefined ? this.#end() : this.#exhausted(this.#opened.source)
      default:
        unreachable(taken)
    }
  }

  /** All of its splits have ended; the end of the source is that of all its subtasks, so that a checkpoint holds it of all or none (F24). */
  #exhausted(source: SourcePort): void {
    source.passed({ kind: 'ended' })
    this.#isExhausted = true
    this.#send({ kind: 'source-exhausted', source: source.node.id })
  }

  async #pushArrived({ exchange, batch }: Extract<Arrived, { kind: 'records' }>): Promise<void> {
    const push = this.#opened.chain.entries.get(exchange)
    assert(push !== undefined, () => `exchange ${exchange} does not lead to "${this.#options.id.vertex}"`)
    await this.#pusher.push(batch, push)
  }

  async #pushPolled(polled: Extract<AnyPolled, { kind: 'records' }>): Promise<void> {
    const { source, chain } = this.#opened
    if (source === undefined || chain.source === undefined) return
    const { records } = polled
    if (records.sides !== undefined) pushSides(records.sides, chain.source)
    await this.#pusher.push(records, chain.source.push)
    if (this.#stop.signal.aborted) return
    source.passed(polled)
  }

  /** Closing output, from the top down, once in the life of the job; then only barriers are answered and sent on. */
  async #end(): Promise<void> {
    const { chain, closed, outputs, vertex } = this.#opened
    for (const { operator, end } of chain.ends) {
      if (this.#options.id.subtask !== 0 || closed.has(operator)) continue
      end()
      await this.#pusher.flush(false)
      if (this.#stop.signal.aborted) return
    }
    await this.#pusher.flush(true)
    if (this.#stop.signal.aborted) return
    for (const output of outputs) output.send({ kind: 'ended' })
    for (const operator of vertex.operators) this.#ended.add(operator)
    this.#hasEnded = true
    this.#send({ kind: 'input-ended' })
  }

  /** Nothing to push: encode on, decode restored state, or sleep until something happens. */
  async #rest(): Promise<void> {
    if (this.#checkpoints.isDue) return
    const pending = this.#pusher.flush(true)
    if (pending !== undefined) return pending
    if (this.#checkpoints.isEncoding || this.#restoreSlice()) return this.#options.turns.next()
    const alarm = new AbortController()
    const waits = [
      new Promise<void>((resolve) => {
        this.#wake = resolve
      }),
    ]
    const { source } = this.#opened
    if (source !== undefined && this.#mayPoll && !this.#isExhausted && !source.isPolling) {
      const idleMs = Math.max(0, this.#idleUntilMs - this.#runtime.clock.monotonicMs())
      waits.push(this.#runtime.timers.sleep(idleMs, alarm.signal).catch(() => undefined))
    }
    if (!this.#stop.signal.aborted) await Promise.race(waits)
    alarm.abort(RESTED)
    this.#wake = () => undefined
  }

  #restoreSlice(): boolean {
    for (const backend of this.#opened.backends.values()) if (backend.restoreIdleSlice()) return true
    return false
  }
}

/** Before the records of the batch: both are of one position. */
function pushSides(sides: NonNullable<Batch<unknown>['sides']>, source: NonNullable<Chain['source']>): void {
  for (const [output, values] of Object.entries(sides)) {
    const push = source.sides.get(output)
    if (push !== undefined) for (const value of values) push(value, NO_TIMESTAMP)
  }
}
