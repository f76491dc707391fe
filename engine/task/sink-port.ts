/**
 * One sink's writer within a task: writes in order, cuts epochs, and carries every committable that no completed checkpoint holds yet.
 */
import { TaskFailure, messageOf, type Generation, type SinkWriter } from '../api/index.ts'
import type { OperatorSnapshot, StoredCommittable } from '../checkpoint/manifest.ts'
import type { SinkEdge } from '../operators/chain.ts'

type WriterPart = Pick<OperatorSnapshot, 'writerState'>

export class SinkPort {
  readonly edge: SinkEdge
  readonly #writer: SinkWriter<unknown, unknown, unknown>
  readonly #generation: Generation
  readonly #carried: StoredCommittable[] = []
  #preparing: Promise<void> | undefined

  constructor(edge: SinkEdge, writer: SinkWriter<unknown, unknown, unknown>, generation: Generation) {
    this.edge = edge
    this.#writer = writer
    this.#generation = generation
  }

  /** Hands what has gathered to the writer; a promise is backpressure. */
  flush(): void | Promise<void> {
    if (this.edge.values.length === 0) return undefined
    if (this.#preparing !== undefined && !this.#writer.overlapsPrepare) return this.#preparing.then(() => this.flush())
    const written = this.#writer.write(this.edge)
    if (written === undefined) return this.#clear()
    return written.then(() => this.#clear())
  }

  /**
   * The cut: synchronous up to the writer's own cut. The promise resolves when the epoch is durable; its committables are carried from
   * then on, whatever becomes of the checkpoint (F12).
   */
  cut(checkpoint: number, endOfInput: boolean): { readonly prepared: Promise<void>; readonly part: WriterPart } {
    const pending = this.#writer.prepareCommit({ checkpoint: checkpoint as never, endOfInput })
    const states = this.#writer.snapshot?.(checkpoint as never)
    const codec = this.edge.node.sink.writerStateCodec
    const part: WriterPart =
      states === undefined || codec === undefined
        ? {}
        : { writerState: { version: codec.version, entries: states.map((state) => base64(codec.encode(state))) } }
    const prepared = pending.then(
      (committables) => this.#carry(checkpoint, committables),
      (error: unknown) => {
        throw new TaskFailure(`sink "${this.edge.node.id}" could not prepare checkpoint ${checkpoint}: ${messageOf(error)}`, { cause: error })
      },
    )
    const settled = prepared.finally(() => {
      if (this.#preparing === settled) this.#preparing = undefined
    })
    this.#preparing = settled
    settled.catch(() => undefined)
    return { prepared, part }
  }

  /** Everything no completed checkpoint holds yet, in origin order. */
  committables(): readonly StoredCommittable[] {
    return [...this.#carried]
  }

  /** `held` are those of a checkpoint that completed. */
  release(held: readonly StoredCommittable[]): void {
    this.#carried.splice(0, held.length)
  }

  settled(through: number): void {
    this.#writer.settled?.(through as never)
  }

  async dispose(): Promise<void> {
    await this.#writer[Symbol.asyncDispose]()
  }

  #carry(checkpoint: number, committables: readonly unknown[]): void {
    const { sink, id } = this.edge.node
    for (const [index, committable] of committables.entries()) {
      this.#carried.push({
        generation: this.#generation,
        checkpoint,
        operator: id,
        subtask: 0,
        index,
        version: sink.committableCodec.version,
        bytes: base64(sink.committableCodec.encode(committable)),
      })
    }
  }

  #clear(): void {
    this.edge.values.length = 0
    this.edge.timestamps.length = 0
  }
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64')
}
