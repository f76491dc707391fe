/**
 * The batches of one producer for one partition, and their sequence numbers: what is being filled, what waits, what is under way, what must
 * go again. It knows of order and nothing else: no request is made here.
 *
 *   open → sealed → in flight → acknowledged
 *                     ▲   │ answered "again"
 *                     └ resending, one at a time, with the same sequence number and bytes
 *
 * After an answer that is not clear nothing new is sent until all that is under way has been answered: batches behind a missing one are
 * refused as out of order, and go again in their turn.
 */
import type { Compression } from '../../clients/kafka/compression/codec.ts'
import {
  RecordBatchWriter,
  type BatchIdentity,
  type OutgoingRecord,
} from '../../clients/kafka/wire/record-batch-writer.ts'
import { assert } from '../../engine/api/index.ts'

/** As brokers remember the last five batches of a producer, to know a repeated one. */
export const MOST_IN_FLIGHT = 5
const SEQUENCES = 2 ** 31

export interface SentBatch {
  readonly bytes: Buffer
  readonly baseSequence: number
  readonly count: number
  /** Of its records before they were compressed: what was counted when they were appended. */
  readonly countedBytes: number
  /** Of its first try. */
  readonly sentAtMs: number
  readonly tries: number
}

export type Producer = Pick<BatchIdentity, 'producerId' | 'producerEpoch' | 'isTransactional'>

export interface PartitionQueueOptions {
  readonly topic: string
  readonly partition: number
  readonly isAdmitted: boolean
  /**
   * Of the transaction before, for the same partition: nothing is sent before all of it is acknowledged. A batch of it that goes again would
   * come behind ours otherwise, and the records of a key out of order.
   */
  readonly predecessor?: PartitionQueue | undefined
}

export class PartitionQueue {
  readonly topic: string
  readonly partition: number
  /** It may be produced to: the transaction knows of it. */
  isAdmitted: boolean
  /** Not before this time, after an answer that said "again". */
  notBeforeMs = 0
  #open: RecordBatchWriter | undefined
  readonly #sealed: RecordBatchWriter[] = []
  #inFlight: SentBatch[] = []
  readonly #resending: SentBatch[] = []
  #isBlocked = false
  #nextSequence = 0
  #predecessor: PartitionQueue | undefined

  constructor({ topic, partition, isAdmitted, predecessor }: PartitionQueueOptions) {
    this.topic = topic
    this.partition = partition
    this.isAdmitted = isAdmitted
    this.#predecessor = predecessor
  }

  /** The batch that is being filled; undefined: the next record begins one. */
  get open(): RecordBatchWriter | undefined {
    return this.#open
  }

  /** Nothing is left to be sent or answered. */
  get isEmpty(): boolean {
    return this.#open === undefined && this.isSent && this.#inFlight.length === 0
  }

  /** Nothing sealed waits to be sent. */
  get isSent(): boolean {
    return this.#sealed.length === 0 && this.#resending.length === 0
  }

  /** A batch may be taken. */
  get isSendable(): boolean {
    if (!this.isAdmitted || this.isSent || !this.#isNext()) return false
    const inFlight = this.#inFlight.length
    return this.#isBlocked || this.#resending.length > 0 ? inFlight === 0 : inFlight < MOST_IN_FLIGHT
  }

  /** @returns by how many bytes it has grown */
  append(record: OutgoingRecord, unused: RecordBatchWriter[]): number {
    const open = (this.#open ??= unused.pop() ?? new RecordBatchWriter())
    const before = open.count === 0 ? 0 : open.sizeBytes
    open.append(record)
    return open.sizeBytes - before
  }

  /** What has been appended goes into no later batch. */
  seal(): void {
    if (this.#open !== undefined) this.#sealed.push(this.#open)
    this.#open = undefined
  }

  /** The next batch in order. `unused`: where its writer goes when it has been taken. */
  take(
    producer: Producer,
    {
      compression,
      nowMs,
      unused,
    }: { readonly compression: Compression; readonly nowMs: number; readonly unused: RecordBatchWriter[] },
  ): SentBatch {
    assert(this.isSendable, () => `nothing of ${this.topic}-${this.partition} may be sent now`)
    const again = this.#resending.shift()
    if (again !== undefined) {
      const retried = { ...again, tries: again.tries + 1 }
      this.#inFlight.push(retried)
      return retried
    }
    const writer = this.#sealed.shift()
    assert(writer !== undefined, () => `no batch of ${this.topic}-${this.partition} waits`)
    const { count, sizeBytes: countedBytes } = writer
    const baseSequence = this.#nextSequence
    const bytes = writer.finish({ ...producer, baseSequence }, compression)
    this.#nextSequence = (baseSequence + count) % SEQUENCES
    unused.push(writer)
    const batch = { bytes, baseSequence, count, countedBytes, sentAtMs: nowMs, tries: 1 }
    this.#inFlight.push(batch)
    return batch
  }

  /** No batch before it waits for its answer or for being sent again: a gap before it would be for good. */
  isOldest(batch: SentBatch): boolean {
    return this.#resending.length === 0 && this.#inFlight[0] === batch
  }

  acknowledged(batch: SentBatch): void {
    this.#drop(batch)
  }

  /** Whether it is in the log is unknown, or it is not: it goes again when all that is under way has been answered. */
  again(batch: SentBatch, notBeforeMs: number): void {
    this.#drop(batch)
    // By age, not by sequence number, which begins anew after 2^31.
    const at = this.#resending.findIndex((other) => isBefore(batch, other))
    this.#resending.splice(at === -1 ? this.#resending.length : at, 0, batch)
    this.#isBlocked = this.#inFlight.length > 0
    this.notBeforeMs = Math.max(this.notBeforeMs, notBeforeMs)
  }

  #isNext(): boolean {
    if (this.#predecessor?.isEmpty === false) return false
    this.#predecessor = undefined
    return true
  }

  #drop(batch: SentBatch): void {
    this.#inFlight = this.#inFlight.filter((one) => one !== batch)
    if (this.#inFlight.length === 0) this.#isBlocked = false
  }
}

/** Half of all sequence numbers lie before a number: those of five batches are near each other. */
function isBefore(batch: SentBatch, other: SentBatch): boolean {
  return (other.baseSequence - batch.baseSequence + SEQUENCES) % SEQUENCES < SEQUENCES / 2
}
