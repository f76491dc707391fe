/**
 * One parallel instance of a job: polls the source, pushes batches through the chain, cuts snapshots at barriers. With parallelism 1 a
 * barrier is a moment between two batches.
 *
 * - T1: one loop; between awaits it is synchronous, after an await it looks at its state again. Messages are taken when they come,
 *   also while a writer pushes back (it may be waiting for `settled`); a barrier waits for its place between two batches.
 * - T2: a batch counts for the position of its split when it was pushed through and flushed as a whole (F35).
 * - T3: batches are pushed in slices, snapshots are encoded in slices; the event loop turns in between.
 */
import {
  NO_TIMESTAMP,
  unreachable,
  type Batch,
  type CheckpointBounds,
  type Metrics,
  type Runtime,
} from '../api/index.ts'
import type { BlobReference, Manifest } from '../checkpoint/manifest.ts'
import type { JobGraph } from '../graph/job-graph.ts'
import type { Push } from '../operators/push.ts'
import type { ChainGuard } from '../operators/chain-guard.ts'
import { Checkpoints } from './checkpoints.ts'
import { NO_METRICS, openTask, type OpenedTask } from './open-task.ts'
import type { FromTask, ToTask } from './messages.ts'
import type { AnyPolled } from './source-port.ts'

export interface TaskOptions {
  readonly graph: JobGraph
  readonly runtime: Runtime
  readonly names: { readonly job: string; readonly lineage: string; readonly generation: number }
  readonly baseDirectory: string
  readonly restored: Manifest | null
  /** Operators whose part of `restored` is given up. */
  readonly dropped: readonly string[]
  readonly maxParallelism: number
  readonly checkpoint: CheckpointBounds
  readonly store: {
    putBlob(operator: string, bytes: Uint8Array): Promise<BlobReference>
    getBlob(reference: BlobReference): Promise<Uint8Array>
  }
  /** May be called at any time between start and the end of `dispose`; must not throw. */
  send(message: FromTask): void
  readonly metrics?: Metrics
  readonly limits?: Partial<TaskLimits>
  /** Ends the attempt; `dispose` must still be called. */
  readonly signal: AbortSignal
}

export interface TaskLimits {
  /** What one sink's writer may hold in memory. */
  readonly sinkMemoryBytes: number
}

export interface Task {
  /** Any time, from anywhere; takes the message at once or keeps it for the next barrier. */
  handle(message: ToTask): void
  /** Stops, waits for what is under way, closes readers and writers, leaves prepared data alone (S2). Idempotent. */
  dispose(): Promise<void>
  readonly stats: TaskStats
}

export interface TaskStats {
  /** Pushed through, and dropped by the source under a `skip` policy. */
  readonly records: number
  readonly skipped: number
}

/** Between two looks at the clock. */
const SLICE_RECORDS = 128
const YIELD_AFTER_MS = 4
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
  readonly stats = { records: 0, skipped: 0 }
  readonly #options: TaskOptions
  readonly #runtime: Runtime
  readonly #metrics: Metrics
  readonly #opened: OpenedTask
  readonly #checkpoints: Checkpoints
  readonly #stop: AbortController
  readonly #halt: () => void
  /** Operators that have ended, in this life of the job or an earlier one: never ended again (F24). */
  readonly #ended: Set<string>
  #hasEnded = false
  #mayPoll: boolean
  #idleUntilMs = 0
  #yieldedAtMs = 0
  #wake: () => void = () => undefined
  readonly #running: Promise<void>
  #disposed: Promise<void> | undefined

  constructor(options: TaskOptions, stop: AbortController, opened: OpenedTask) {
    this.#options = options
    this.#runtime = options.runtime
    this.#metrics = options.metrics ?? NO_METRICS
    this.#opened = opened
    this.#stop = stop
    this.#ended = new Set(opened.ended)
    this.#mayPoll = !opened.hasNewSplits
    this.#checkpoints = new Checkpoints({
      ...opened,
      graph: options.graph,
      putBlob: (operator, bytes) => options.store.putBlob(operator, bytes),
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
      this.#take(message)
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
    const closed = await Promise.allSettled([source.dispose(), ...sinks.map((sink) => sink.dispose())])
    for (const one of closed) if (one.status === 'rejected') throw one.reason
  }

  #take(message: ToTask): void {
    const { source, sinks } = this.#opened
    switch (message.kind) {
      case 'trigger':
        return this.#checkpoints.request(message)
      case 'completed':
        this.#checkpoints.completed(message.checkpoint)
        // Resolved splits and start positions are in what has completed (F32).
        this.#mayPoll = true
        return
      case 'settled':
        for (const sink of sinks) sink.settled(message.through)
        return
      case 'retained': {
        const mine = message.oldest.operators.find((one) => one.operator === source.node.id)
        if (mine !== undefined) source.acknowledge(mine.splits, (error) => this.#fail(error))
        return
      }
      default:
        unreachable(message)
    }
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
    this.#yieldedAtMs = this.#runtime.clock.monotonicMs()
    try {
      if (this.#ended.has(this.#opened.source.node.id)) await this.#end()
      while (!this.#stop.signal.aborted) await this.#turn()
    } catch (error) {
      this.#fail(error)
    }
  }

  /** Up to its first await, this is the moment between two batches. */
  async #turn(): Promise<void> {
    if (this.#checkpoints.isDue) this.#checkpoints.cut(this.#ended, this.#hasEnded)
    this.#checkpoints.encodeSlice()
    const polled = this.#poll()
    if (polled === undefined) await this.#rest()
    else await this.#process(polled)
    if (this.#isLong()) await this.#yield()
  }

  #poll(): AnyPolled | undefined {
    const isIdle = this.#runtime.clock.monotonicMs() < this.#idleUntilMs
    if (!this.#mayPoll || this.#hasEnded || isIdle) return undefined
    return this.#opened.source.poll(this.#stop.signal, () => this.#wake())
  }

  async #process(polled: AnyPolled): Promise<void> {
    switch (polled.kind) {
      case 'records':
        return this.#push(polled)
      case 'idle':
        this.#idleUntilMs = this.#runtime.clock.monotonicMs() + (polled.retryAfterMs ?? IDLE_MS)
        return
      case 'split-ended':
        return this.#opened.source.passed(polled)
      case 'ended':
        this.#opened.source.passed(polled)
        return this.#end()
      default:
        unreachable(polled)
    }
  }

  async #push(polled: Extract<AnyPolled, { kind: 'records' }>): Promise<void> {
    const { records } = polled
    const count = records.values.length
    for (let from = 0; from < count;) {
      const until = this.#pushSome(records, from)
      this.stats.records += until - from
      from = until
      const pending = this.#flush()
      if (pending !== undefined) await pending
      if (this.#isLong()) await this.#yield()
      if (this.#stop.signal.aborted) return
    }
    this.#opened.source.passed(polled)
    this.stats.skipped += records.skipped ?? 0
    this.#metrics.count('records', count)
    if (records.skipped !== undefined) this.#metrics.count('skipped', records.skipped)
  }

  /** Pushes until the batch is through, an edge is full, or the event loop is due. */
  #pushSome(records: Batch<unknown>, from: number): number {
    const { guard, chain } = this.#opened
    let next = from
    do next = pushSlice(records, next, chain.push, guard)
    while (next < records.values.length && !guard.isFull && !this.#isLong())
    return next
  }

  /** Hands what has gathered at the edges to all writers, side by side. */
  #flush(): void | Promise<void> {
    const { guard, sinks } = this.#opened
    guard.isFull = false
    if (guard.failure !== undefined) throw guard.failure
    let pending: Promise<void>[] | undefined
    for (const sink of sinks) {
      const written = sink.flush()
      if (written === undefined) continue
      written.catch(() => undefined)
      pending ??= []
      pending.push(written)
    }
    if (pending === undefined) return undefined
    return pending.length === 1 ? pending[0] : Promise.all(pending).then(() => undefined)
  }

  /** Closing output, from the top down; then only barriers are answered. */
  async #end(): Promise<void> {
    for (const { operator, end } of this.#opened.chain.ends) {
      if (this.#ended.has(operator)) continue
      end()
      await this.#flush()
      if (this.#stop.signal.aborted) return
    }
    for (const { id } of this.#options.graph.nodes) this.#ended.add(id)
    this.#hasEnded = true
    this.#send({ kind: 'input-ended' })
  }

  /** Nothing to push: encode on, decode restored state, or sleep until something happens. */
  async #rest(): Promise<void> {
    if (this.#checkpoints.isDue) return
    if (this.#checkpoints.isEncoding || this.#restoreSlice()) return this.#yield()
    const alarm = new AbortController()
    const waits = [
      new Promise<void>((resolve) => {
        this.#wake = resolve
      }),
    ]
    if (this.#mayPoll && !this.#hasEnded && !this.#opened.source.isPolling) {
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

  #isLong(): boolean {
    return this.#runtime.clock.monotonicMs() - this.#yieldedAtMs >= YIELD_AFTER_MS
  }

  async #yield(): Promise<void> {
    await this.#runtime.timers.yieldToEventLoop()
    this.#yieldedAtMs = this.#runtime.clock.monotonicMs()
  }
}

/** Pushes records from `from` on, until a slice is through or an edge is full; where it stopped. */
function pushSlice({ values, timestamps }: Batch<unknown>, from: number, push: Push, guard: ChainGuard): number {
  const until = Math.min(values.length, from + SLICE_RECORDS)
  let index = from
  while (index < until) {
    push(values[index], timestamps?.[index] ?? NO_TIMESTAMP)
    index += 1
    if (guard.isFull) break
  }
  return index
}
