/**
 * A task's part in checkpoints: takes the cut, has the snapshot encoded and stored beside the records, answers the coordinator, and
 * knows which committables each answer held.
 *
 *   request ─▶ (prepares of the one before are over) ─▶ cut ─▶ encode… ─▶ store ─┬▶ acknowledged ─▶ completed: carried ones are released
 *                                                        └─▶ sinks prepare ──────┘   or declined, given up, or abandoned by the next one
 *
 * - C4, T2: positions, writers, keyed state and ends are taken in one synchronous stretch between two batches.
 * - F12, F30: what an abandoned checkpoint prepared is carried by the next one, which therefore waits for it.
 */
import { assert } from '../api/index.ts'
import type { OperatorSnapshot, StoredCommittable } from '../checkpoint/manifest.ts'
import type { Vertex } from '../graph/task-graph.ts'
import type { KeyedStateBackend } from '../state/keyed-state-backend.ts'
import type { OperatorStateBackend, OperatorStateCut } from '../state/operator-state.ts'
import type { Barrier } from './channel.ts'
import type { BlobPort } from './host.ts'
import { failureAt } from './failure.ts'
import type { FromTask } from './messages.ts'
import type { SinkPort } from './sink-port.ts'
import { Snapshot, type StatePart, type Stored } from './snapshot.ts'
import type { SourcePort } from './source-port.ts'

export interface CheckpointsOptions {
  readonly vertex: Vertex
  readonly subtask: number
  readonly source: SourcePort | undefined
  readonly sinks: readonly SinkPort[]
  readonly backends: ReadonlyMap<string, KeyedStateBackend>
  readonly operatorStates: ReadonlyMap<string, OperatorStateBackend>
  readonly store: BlobPort
  send(message: FromTask): void
  fail(error: unknown): void
  /** A requested checkpoint can be cut now. */
  wake(): void
}

interface Acknowledged {
  readonly checkpoint: number
  readonly committables: ReadonlyMap<string, readonly StoredCommittable[]>
}

export class Checkpoints {
  readonly #options: CheckpointsOptions
  #newest = 0
  /** Of the newest one: what the coordinator has said, or a barrier has shown. */
  #completed = 0
  #requested: Barrier | undefined
  #alignedMs = 0
  /** Cut and not answered yet. */
  #snapshot: { readonly snapshot: Snapshot; readonly prepared: Promise<unknown>; isStoring: boolean } | undefined
  #isPreparing = false
  #acknowledged: Acknowledged | undefined
  readonly #storing = new Set<Promise<void>>()

  constructor(options: CheckpointsOptions) {
    this.#options = options
  }

  /**
   * A newer checkpoint is asked for: one that is still unresolved here has been given up by the coordinator. Its base has completed, even
   * where the coordinator's word of that is still on its way: a barrier may be faster.
   */
  request(barrier: Barrier): void {
    assert(barrier.checkpoint > this.#newest, () => `checkpoint ${barrier.checkpoint} comes after ${this.#newest} (C5)`)
    if (barrier.base !== null && barrier.base === this.#acknowledged?.checkpoint) this.completed(barrier.base)
    this.#newest = barrier.checkpoint
    this.#requested = barrier
    this.#abandon()
  }

  /** `checkpoint` will not complete; it need not be cut any more, or is abandoned. */
  giveUp(checkpoint: number): void {
    if (checkpoint !== this.#newest) return
    this.#requested = undefined
    this.#abandon()
  }

  /** A checkpoint was asked for and is not cut yet. */
  get isRequested(): boolean {
    return this.#requested !== undefined
  }

  /** Is there a barrier before the next batch? */
  get isDue(): boolean {
    return this.#requested !== undefined && !this.#isPreparing
  }

  /** Is there something left to encode? */
  get isEncoding(): boolean {
    return this.#snapshot !== undefined && !this.#snapshot.isStoring
  }

  /** The synchronous cut of the requested checkpoint. Called between two batches, when all writes have resolved. */
  cut(ended: ReadonlySet<string>, endOfInput: boolean): Barrier {
    const barrier = this.#requested
    assert(barrier !== undefined && this.isDue, () => 'a cut without a request, or while a sink still prepares')
    this.#requested = undefined
    const { checkpoint, base } = barrier
    const { vertex, subtask, sinks, backends, operatorStates, source, store } = this.#options
    const { parallelism } = vertex
    const operators: OperatorSnapshot[] = []
    const states: StatePart[] = []
    const prepares: Promise<void>[] = []
    for (const id of vertex.operators) {
      const sink = sinks.find((one) => one.id === id)?.cut(checkpoint, endOfInput)
      const backend = backends.get(id)
      if (sink !== undefined) prepares.push(sink.prepared)
      if (backend !== undefined) states.push({ operator: id, member: 'state', snapshot: backend.cut(checkpoint, base) })
      const operatorState = operatorStates.get(id)
      if (operatorState !== undefined)
        states.push({ operator: id, member: 'operatorState', snapshot: cutOf(id, operatorState, subtask) })
      const positions = id === source?.node.id ? source.snapshot() : {}
      operators.push({ operator: id, subtask, parallelism, ended: ended.has(id), ...sink?.part, ...positions })
    }
    const prepared = this.#allPrepared(prepares)
    this.#snapshot = {
      snapshot: new Snapshot({
        checkpoint,
        operators,
        states,
        putBlob: (operator, bytes) => store.putBlob(operator, bytes),
      }),
      prepared,
      isStoring: false,
    }
    return barrier
  }

  /** So long the alignment of the checkpoint that was just cut has taken. */
  aligned(forMs: number): void {
    this.#alignedMs = forMs
  }

  /** One bounded slice of encoding; with the last one, storing begins. */
  encodeSlice(): void {
    const current = this.#snapshot
    if (current === undefined || current.isStoring) return
    if (!current.snapshot.isEncoded) current.snapshot.encodeSlice()
    if (!current.snapshot.isEncoded) return
    current.isStoring = true
    const storing = this.#answer(current.snapshot, current.prepared)
      .catch((error: unknown) => this.#options.fail(error))
      .finally(() => this.#storing.delete(storing))
    this.#storing.add(storing)
  }

  /** `checkpoint` is durable: what it holds need not be carried any more. */
  completed(checkpoint: number): void {
    if (checkpoint <= this.#completed) return
    this.#completed = checkpoint
    const acknowledged = this.#acknowledged
    assert(
      acknowledged?.checkpoint === checkpoint,
      () => `checkpoint ${checkpoint} completed, but was not acknowledged`,
    )
    this.#acknowledged = undefined
    for (const sink of this.#options.sinks) sink.release(acknowledged.committables.get(sink.id) ?? [])
    for (const backend of this.#options.backends.values()) backend.completed(checkpoint)
  }

  /** Abandons what is unresolved and waits for blobs on their way. */
  async dispose(): Promise<void> {
    this.#requested = undefined
    this.#abandon()
    await Promise.all(this.#storing)
  }

  #abandon(): void {
    this.#snapshot?.snapshot.abandon()
    this.#snapshot = undefined
  }

  async #allPrepared(prepares: readonly Promise<void>[]): Promise<void> {
    this.#isPreparing = true
    try {
      await Promise.all(prepares)
    } catch (error) {
      // Never a declined checkpoint: the writer is broken. Nothing more is cut.
      this.#options.fail(error)
      return
    }
    this.#isPreparing = false
    this.#options.wake()
  }

  async #answer(snapshot: Snapshot, prepared: Promise<unknown>): Promise<void> {
    const stored = await snapshot.store()
    await prepared
    if (this.#isPreparing || this.#snapshot?.snapshot !== snapshot) return
    this.#snapshot = undefined
    this.#send(snapshot, stored)
  }

  #send(snapshot: Snapshot, stored: Stored): void {
    const { checkpoint, operators } = snapshot.parts
    if (stored.kind === 'abandoned') return
    if (stored.kind === 'not-stored') {
      snapshot.abandon()
      this.#options.send({ kind: 'declined', checkpoint, error: stored.error })
      return
    }
    const committables = new Map(this.#options.sinks.map((sink) => [String(sink.id), sink.committables()]))
    this.#acknowledged = { checkpoint, committables }
    this.#options.send({
      kind: 'acknowledged',
      checkpoint,
      alignedMs: this.#alignedMs,
      operators: operators.map((operator): OperatorSnapshot => {
        const held = committables.get(operator.operator)
        return { ...operator, ...stored.handles.get(operator.operator), ...(held && { committables: held }) }
      }),
    })
  }
}

/** Its first slice is encoded in the cut. */
function cutOf(operator: string, state: OperatorStateBackend, subtask: number): OperatorStateCut {
  try {
    return state.cut(subtask)
  } catch (error) {
    throw failureAt(`state of operator "${operator}" cannot be encoded`, error)
  }
}
