/**
 * One sink's writer within a task: hands batches over in order, cuts epochs, and carries every committable that no completed checkpoint
 * holds yet.
 *
 * - C4: `cut` is called when no write is pending; writer state is taken in the same synchronous stretch.
 * - C2: what was prepared is carried until a checkpoint that holds it has completed, whatever becomes of the one it was prepared for
 *   (F12); never aborted in flight.
 */
import {
  assert,
  NO_TIMESTAMP,
  parseCheckpointId,
  type CheckpointId,
  type Codec,
  type Generation,
  type SinkWriter,
} from '../api/index.ts'
import type { OperatorSnapshot, StoredCommittable } from '../checkpoint/manifest.ts'
import { batchOf, clearEdge, type SinkEdge } from '../operators/sink-edge.ts'
import { failureAt } from './failure.ts'
import type { Counter } from './figures.ts'

export type Writer = SinkWriter<unknown, unknown, unknown>

interface Origin {
  readonly generation: Generation
  readonly subtask: number
}

/** What was given to writers before, by the checkpoint, as far as it is this subtask's to tell; and the counter of this run. */
export interface SinkCounts {
  readonly records: number
  readonly newestEventAt: number | undefined
  readonly written: Counter
}

type SinkPart = Pick<OperatorSnapshot, 'writerState' | 'records' | 'newestEventAt'>

export class SinkPort {
  readonly edge: SinkEdge
  readonly #writer: Writer
  readonly #origin: Origin
  /** In origin order (C6). */
  readonly #carried: StoredCommittable[] = []
  readonly #written: Counter
  /** In the life of the job; of the batches that the writer has taken. */
  #records: number
  #newestEventAt: number
  #writing = false
  #preparing: Promise<void> | undefined

  constructor(edge: SinkEdge, writer: Writer, options: { readonly origin: Origin; readonly counts: SinkCounts }) {
    this.edge = edge
    this.#writer = writer
    this.#origin = options.origin
    this.#written = options.counts.written
    this.#records = options.counts.records
    this.#newestEventAt = options.counts.newestEventAt ?? NO_TIMESTAMP
  }

  get id(): SinkEdge['node']['id'] {
    return this.edge.node.id
  }

  /** Hands what has gathered to the writer; a promise is backpressure. */
  flush(): void | Promise<void> {
    if (this.edge.count === 0) return undefined
    if (this.#preparing !== undefined && !this.#writer.overlapsPrepare) return this.#flushAfter(this.#preparing)
    let written: void | Promise<void>
    try {
      written = this.#writer.write(batchOf(this.edge))
    } catch (error) {
      throw this.#failure('could not write', error)
    }
    if (written === undefined) return this.#taken()
    return this.#finish(written)
  }

  /**
   * The cut: synchronous up to the writer's own. `prepared` resolves when the epoch is durable; its committables are carried from
   * then on.
   */
  cut(checkpoint: number, endOfInput: boolean): { readonly prepared: Promise<void>; readonly part: SinkPart } {
    const isQuiet = this.edge.count === 0 && !this.#writing && this.#preparing === undefined
    assert(isQuiet, () => `sink "${this.id}" has records on their way at the cut of checkpoint ${checkpoint} (T2)`)
    const id = parseCheckpointId(checkpoint)
    try {
      const prepared = this.#prepare(id, this.#writer.prepareCommit({ checkpoint: id, endOfInput }))
      return { prepared, part: { ...this.#stateOf(id), ...this.#counts() } }
    } catch (error) {
      throw this.#failure(`could not cut checkpoint ${checkpoint}`, error)
    }
  }

  /** Everything no completed checkpoint holds yet, in origin order. */
  committables(): readonly StoredCommittable[] {
    return [...this.#carried]
  }

  /** `held` are those that a completed checkpoint holds. */
  release(held: readonly StoredCommittable[]): void {
    const released = this.#carried.splice(0, held.length)
    assert(
      released.every((one, index) => one === held[index]),
      () => `sink "${this.id}" is told to release committables that it does not carry first (C2)`,
    )
  }

  settled(through: number): void {
    try {
      this.#writer.settled?.(parseCheckpointId(through))
    } catch (error) {
      throw this.#failure(`could not settle checkpoint ${through}`, error)
    }
  }

  /** Waits for a pending prepare: nothing of ours is at work when it has resolved. */
  async dispose(): Promise<void> {
    await this.#preparing?.catch(() => undefined)
    await this.#writer[Symbol.asyncDispose]()
  }

  async #flushAfter(preparing: Promise<void>): Promise<void> {
    await preparing
    await this.flush()
  }

  async #finish(written: Promise<void>): Promise<void> {
    this.#writing = true
    try {
      await written
    } catch (error) {
      throw this.#failure('could not write', error)
    }
    this.#writing = false
    this.#taken()
  }

  /** The writer has what the edge held. Once per batch; event times are looked at only where a batch begins or ends with one. */
  #taken(): void {
    const { count, timestamps } = this.edge
    this.#written.value += count
    this.#records += count
    if (timestamps[0] !== NO_TIMESTAMP || timestamps[count - 1] !== NO_TIMESTAMP) {
      for (let index = 0; index < count; index += 1) {
        const timestamp = timestamps[index] ?? NO_TIMESTAMP
        if (timestamp > this.#newestEventAt) this.#newestEventAt = timestamp
      }
    }
    clearEdge(this.edge)
  }

  #counts(): Pick<OperatorSnapshot, 'records' | 'newestEventAt'> {
    const newestEventAt = this.#newestEventAt
    return { records: this.#records, ...(newestEventAt === NO_TIMESTAMP ? {} : { newestEventAt }) }
  }

  #prepare(checkpoint: CheckpointId, pending: Promise<readonly unknown[]>): Promise<void> {
    const prepared = this.#carryWhenPrepared(checkpoint, pending)
    this.#preparing = prepared
    // Whoever waits for it hears of a failure; nobody waiting must not end the process.
    prepared.catch(() => undefined)
    return prepared
  }

  async #carryWhenPrepared(checkpoint: CheckpointId, pending: Promise<readonly unknown[]>): Promise<void> {
    const { committableCodec } = this.edge.node.sink
    try {
      const committables = await pending
      this.#carried.push(
        ...committables.map((committable, index) => ({
          ...this.#origin,
          checkpoint,
          operator: this.id,
          index,
          version: committableCodec.version,
          bytes: encodeBase64(committableCodec, committable),
        })),
      )
    } catch (error) {
      throw this.#failure(`could not prepare checkpoint ${checkpoint}`, error)
    }
    this.#preparing = undefined
  }

  #stateOf(checkpoint: CheckpointId): Pick<OperatorSnapshot, 'writerState'> {
    const states = this.#writer.snapshot?.(checkpoint) ?? []
    const codec = this.edge.node.sink.writerStateCodec
    if (codec === undefined) {
      assert(states.length === 0, () => `sink "${this.id}" has writer state but no writerStateCodec`)
      return {}
    }
    return {
      writerState: { version: codec.version, entries: states.map((state) => encodeBase64(codec, state)) },
    }
  }

  #failure(what: string, error: unknown): Error {
    return failureAt(`sink "${this.id}" ${what}`, error)
  }
}

function encodeBase64<T>(codec: Codec<T>, value: T): string {
  const bytes = codec.encode(value)
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64')
}
