/**
 * One parallel instance of a job: polls the source, pushes batches through the chain, cuts snapshots at barriers. With parallelism 1 a
 * barrier is a moment between two batches.
 *
 * - T1: one loop; between awaits it is synchronous, after an await it looks at its state again.
 * - T2: the cut (positions, writers, keyed state, ends) happens in one synchronous stretch between two batches (C4).
 * - T3: batches are pushed in slices, snapshots are sliced; the event loop turns in between.
 */
import { unreachable, type Runtime } from '../api/index.ts'
import type { BlobReference, Manifest, OperatorSnapshot, StoredCommittable } from '../checkpoint/manifest.ts'
import type { JobGraph } from '../graph/job-graph.ts'
import type { Chain } from '../operators/chain.ts'
import type { KeyedStateBackend } from '../state/keyed-state-backend.ts'
import { openTask, type OpenedTask } from './open-task.ts'
import type { FromTask, ToTask } from './messages.ts'
import type { SinkPort } from './sink-port.ts'
import { Snapshot } from './snapshot.ts'
import { timestampOf, type AnyPolled, type SourcePort } from './source-port.ts'

export interface TaskOptions {
  readonly graph: JobGraph
  readonly runtime: Runtime
  readonly names: { readonly job: string; readonly lineage: string; readonly generation: number }
  readonly baseDirectory: string
  readonly restored: Manifest | null
  /** Operators whose part of `restored` is given up. */
  readonly dropped: readonly string[]
  readonly maxParallelism: number
  readonly store: {
    putBlob(operator: string, bytes: Uint8Array): Promise<BlobReference>
    getBlob(reference: BlobReference): Promise<Uint8Array>
  }
  send(message: FromTask): void
  readonly signal: AbortSignal
}

export interface Task {
  handle(message: ToTask): void
  /** Closes readers and writers and leaves prepared data alone (S2). */
  dispose(): Promise<void>
  readonly stats: TaskStats
}

export interface TaskStats {
  readonly records: number
  readonly skipped: number
}

const SLICE_RECORDS = 1_024
const YIELD_AFTER_MS = 4
const IDLE_MS = 10

/** @throws TerminalError, TaskFailure when source or sinks cannot be opened where the checkpoint left off */
export async function startTask(options: TaskOptions): Promise<Task> {
  const opened = await openTask(options)
  return new RunningTask(options, opened)
}

class RunningTask implements Task {
  readonly stats = { records: 0, skipped: 0 }
  readonly #options: TaskOptions
  readonly #runtime: Runtime
  readonly #chain: Chain
  readonly #source: SourcePort
  readonly #sinks: readonly SinkPort[]
  readonly #backends: ReadonlyMap<string, KeyedStateBackend>
  readonly #stop = new AbortController()
  readonly #inbox: ToTask[] = []
  readonly #acknowledged = new Map<number, ReadonlyMap<string, readonly StoredCommittable[]>>()
  readonly #running: Promise<void>
  #wake: () => void = () => undefined
  #mayPoll: boolean
  #ended = false
  #idleUntilMs = 0
  #yieldedAtMs = 0
  #snapshot: Snapshot | undefined
  #storing: Promise<void> = Promise.resolve()

  constructor(options: TaskOptions, opened: OpenedTask) {
    this.#options = options
    this.#runtime = options.runtime
    this.#chain = opened.chain
    this.#source = opened.source
    this.#sinks = opened.sinks
    this.#backends = opened.backends
    this.#mayPoll = !opened.hasNewSplits
    opened.onFailure((error) => this.#fail(error))
    options.signal.addEventListener('abort', () => this.#halt(), { once: true })
    this.#running = this.#run()
  }

  handle(message: ToTask): void {
    this.#inbox.push(message)
    this.#wake()
  }

  async dispose(): Promise<void> {
    this.#halt()
    await this.#running
    await this.#storing
    const closed = await Promise.allSettled([this.#source.dispose(), ...this.#sinks.map((sink) => sink.dispose())])
    for (const one of closed) if (one.status === 'rejected') throw one.reason
  }

  #halt(): void {
    this.#stop.abort()
    this.#wake()
  }

  #fail(error: unknown): void {
    if (this.#stop.signal.aborted) return
    this.#halt()
    this.#options.send({ kind: 'failed', error })
  }

  async #run(): Promise<void> {
    try {
      while (!this.#stop.signal.aborted) await this.#turn()
    } catch (error) {
      this.#fail(error)
    }
  }

  async #turn(): Promise<void> {
    for (let message = this.#inbox.shift(); message !== undefined; message = this.#inbox.shift()) await this.#serve(message)
    this.#encode()
    const polled = this.#poll()
    if (polled !== undefined) await this.#take(polled)
    else await this.#rest()
    await this.#yieldIfLong()
  }

  #poll(): AnyPolled | undefined {
    if (!this.#mayPoll || this.#ended || this.#runtime.clock.monotonicMs() < this.#idleUntilMs) return undefined
    return this.#source.poll(this.#stop.signal, () => this.#wake())
  }

  async #take(polled: AnyPolled): Promise<void> {
    switch (polled.kind) {
      case 'records':
        await this.#push(polled)
        break
      case 'idle':
        this.#idleUntilMs = this.#runtime.clock.monotonicMs() + (polled.retryAfterMs ?? IDLE_MS)
        break
      case 'split-ended':
        break
      case 'ended':
        await this.#end()
        break
      default:
        unreachable(polled)
    }
    this.#source.passed(polled)
  }

  async #push(polled: Extract<AnyPolled, { kind: 'records' }>): Promise<void> {
    const { values, timestamps, skipped } = polled.records
    const { push } = this.#chain
    for (let start = 0; start < values.length; start += SLICE_RECORDS) {
      const end = Math.min(values.length, start + SLICE_RECORDS)
      for (let index = start; index < end; index += 1) push(values[index], timestampOf(timestamps, index))
      await this.#flush()
      await this.#yieldIfLong()
    }
    this.stats.records += values.length
    this.stats.skipped += skipped ?? 0
  }

  async #flush(): Promise<void> {
    for (const sink of this.#sinks) {
      const written = sink.flush()
      if (written !== undefined) await written
    }
  }

  async #end(): Promise<void> {
    this.#chain.end()
    await this.#flush()
    for (const split of this.#source.splits.values()) split.ended = true
    this.#ended = true
    this.#options.send({ kind: 'input-ended' })
  }

  async #serve(message: ToTask): Promise<void> {
    switch (message.kind) {
      case 'trigger':
        return this.#cut(message)
      case 'completed':
        return this.#completed(message.checkpoint)
      case 'settled':
        for (const sink of this.#sinks) sink.settled(message.through)
        return
      case 'retained': {
        const mine = message.oldest.operators.find((one) => one.operator === this.#source.node.id)
        return this.#source.acknowledge(mine?.splits)
      }
      default:
        unreachable(message)
    }
  }

  /** Waits until an abandoned predecessor has prepared: its committables are carried by this one (F12). */
  async #cut(trigger: Extract<ToTask, { kind: 'trigger' }>): Promise<void> {
    const before = this.#snapshot
    if (before !== undefined) {
      before.abandon()
      await before.parts.prepared
      await this.#storing
      if (this.#stop.signal.aborted) return
    }
    const { checkpoint, base } = trigger
    const prepares: Promise<void>[] = []
    const operators: OperatorSnapshot[] = []
    const states: { operator: string; snapshot: ReturnType<KeyedStateBackend['cut']> }[] = []
    for (const node of this.#options.graph.nodes) {
      const common = { operator: node.id, subtask: 0, parallelism: 1, ended: this.#ended }
      const sink = this.#sinks.find((one) => one.edge.node.id === node.id)
      const backend = this.#backends.get(node.id)
      if (sink !== undefined) {
        const { prepared, part } = sink.cut(checkpoint, this.#ended)
        prepares.push(prepared)
        operators.push({ ...common, ...part })
      } else if (backend !== undefined) {
        states.push({ operator: node.id, snapshot: backend.cut(checkpoint, base) })
        operators.push(common)
      } else if (node.kind === 'source') {
        operators.push({ ...common, ...this.#source.snapshot() })
      } else {
        operators.push(common)
      }
    }
    const prepared = Promise.all(prepares)
    prepared.catch((error: unknown) => this.#fail(error))
    const { putBlob } = this.#options.store
    this.#snapshot = new Snapshot({ checkpoint, operators, states, prepared, putBlob })
    this.#encode()
  }

  /** One slice; when all is encoded, storing goes on beside the records. */
  #encode(): void {
    const snapshot = this.#snapshot
    if (snapshot === undefined || this.#storingOf === snapshot) return
    if (!snapshot.isEncoded) snapshot.encodeSlice()
    if (!snapshot.isEncoded) return
    this.#storingOf = snapshot
    this.#storing = this.#store(snapshot)
  }

  #storingOf: Snapshot | undefined

  async #store(snapshot: Snapshot): Promise<void> {
    const stored = await snapshot.store()
    try {
      await snapshot.parts.prepared
    } catch {
      return // The attempt has been ended by whoever awaits the same promise in #cut.
    }
    if (this.#snapshot !== snapshot || this.#stop.signal.aborted) return
    this.#snapshot = undefined
    const { checkpoint } = snapshot.parts
    if (stored.kind === 'failed') {
      this.#options.send({ kind: 'declined', checkpoint, error: stored.error })
      return
    }
    const held = new Map(this.#sinks.map((sink) => [sink.edge.node.id as string, sink.committables()]))
    const operators = snapshot.parts.operators.map((operator): OperatorSnapshot => {
      const state = stored.handles.get(operator.operator)
      const committables = held.get(operator.operator)
      return { ...operator, ...(state === undefined ? {} : { state }), ...(committables === undefined ? {} : { committables }) }
    })
    this.#acknowledged.clear()
    this.#acknowledged.set(checkpoint, held)
    this.#options.send({ kind: 'acknowledged', checkpoint, operators })
  }

  #completed(checkpoint: number): void {
    const held = this.#acknowledged.get(checkpoint)
    this.#acknowledged.delete(checkpoint)
    for (const sink of this.#sinks) sink.release(held?.get(sink.edge.node.id) ?? [])
    for (const backend of this.#backends.values()) backend.completed(checkpoint)
    this.#mayPoll = true
  }

  /** Nothing to push: encode on, decode restored state, or sleep until something happens. */
  async #rest(): Promise<void> {
    if (this.#inbox.length > 0) return
    if (this.#snapshot !== undefined && this.#storingOf !== this.#snapshot) return this.#runtime.timers.yieldToEventLoop()
    for (const backend of this.#backends.values()) {
      if (backend.restoreIdleSlice()) return this.#runtime.timers.yieldToEventLoop()
    }
    const alarm = new AbortController()
    const woken = new Promise<void>((resolve) => {
      this.#wake = resolve
    })
    const waits: Promise<void>[] = [woken]
    const idleMs = this.#idleUntilMs - this.#runtime.clock.monotonicMs()
    const isPolling = this.#mayPoll && !this.#ended
    if (isPolling && idleMs > 0) waits.push(this.#runtime.timers.sleep(idleMs, alarm.signal).catch(() => undefined))
    if (!this.#stop.signal.aborted) await Promise.race(waits)
    alarm.abort()
    this.#wake = () => undefined
  }

  async #yieldIfLong(): Promise<void> {
    if (this.#runtime.clock.monotonicMs() - this.#yieldedAtMs < YIELD_AFTER_MS) return
    await this.#runtime.timers.yieldToEventLoop()
    this.#yieldedAtMs = this.#runtime.clock.monotonicMs()
  }
}
