/**
 * What one producer id has to send: a queue per partition, how much of it is not acknowledged yet, and who waits for that. A transaction has
 * one session, which is sealed at the cut; a sink without transactions has one for the whole attempt.
 */
import type { OutgoingRecord, RecordBatchWriter } from '../../clients/kafka/wire/record-batch-writer.ts'
import { PartitionQueue, type Producer } from './partition-queue.ts'

export interface SessionOptions {
  /** A batch is sealed at about this size, before compression. */
  readonly maxBatchBytes: number
  /** Writers of batches that are not in use; shared by the sessions of a sink's writer. */
  readonly unused: RecordBatchWriter[]
  /** Partitions must be added to the transaction before they are produced to. */
  readonly isTransactional: boolean
  /** By topic and partition, of all sessions of the writer: the queue that was made last. */
  readonly newest: Map<string, PartitionQueue[]>
  /** Called once, with the first reason why nothing of it can be sent any more. */
  readonly onFailure: (error: unknown) => void
}

export class Session {
  readonly #options: SessionOptions
  readonly #queues = new Map<string, PartitionQueue[]>()
  /** Have, or may have, something to send. */
  readonly busy = new Set<PartitionQueue>()
  /** With a batch that is being filled. */
  readonly #filling = new Set<PartitionQueue>()
  /** Not yet in the transaction. */
  #unadmitted: PartitionQueue[] = []
  #waiting: { readonly isDone: () => boolean; readonly done: PromiseWithResolvers<void> }[] = []
  #failure: { readonly error: unknown } | undefined
  #pendingBytes = 0
  #records = 0
  transactionalId: string | null = null
  /** Called when partitions wait to be admitted. */
  onUnadmitted: () => void = () => undefined
  /** Undefined: not known yet. */
  producer: Producer | undefined

  constructor(options: SessionOptions) {
    this.#options = options
  }

  /** Records that were ever appended. */
  get records(): number {
    return this.#records
  }

  /** Not acknowledged yet, before compression. */
  get pendingBytes(): number {
    return this.#pendingBytes
  }

  get failure(): { readonly error: unknown } | undefined {
    return this.#failure
  }

  get isFilling(): boolean {
    return this.#filling.size > 0
  }

  get hasUnadmitted(): boolean {
    return this.#unadmitted.length > 0
  }

  /** A partition that has been written to; undefined: there is none. */
  get somewhere(): { readonly topic: string; readonly partition: number } | undefined {
    for (const queues of this.#queues.values()) {
      for (const queue of queues) if (queue !== undefined) return queue
    }
    return undefined
  }

  /** @returns whether a batch has become full by it */
  append(topic: string, partition: number, record: OutgoingRecord): boolean {
    const queue = this.#queues.get(topic)?.[partition] ?? this.#addQueue(topic, partition)
    this.#pendingBytes += queue.append(record, this.#options.unused)
    this.#records += 1
    if ((queue.open?.sizeBytes ?? 0) < this.#options.maxBatchBytes) {
      this.#filling.add(queue)
      return false
    }
    this.#seal(queue)
    return true
  }

  /** All that has been appended goes out as it is. */
  seal(): void {
    for (const queue of this.#filling) this.#seal(queue)
  }

  /** Partitions that came since the last call. */
  takeUnadmitted(): readonly PartitionQueue[] {
    const taken = this.#unadmitted
    this.#unadmitted = []
    return taken
  }

  acknowledged(bytes: number): void {
    this.#pendingBytes -= bytes
    this.#look()
  }

  /** Nothing of it can be sent any more: whoever waits hears of it. The first reason counts. */
  fail(error: unknown): void {
    if (this.#failure !== undefined) return
    this.#failure = { error }
    this.#look()
    this.#options.onFailure(error)
  }

  /** All that was appended is acknowledged. */
  async flushed(): Promise<void> {
    await this.drained(0)
  }

  async drained(bytes: number): Promise<void> {
    const isDone = (): boolean => this.#pendingBytes <= bytes
    if (this.#failure === undefined && isDone()) return
    const done = Promise.withResolvers<void>()
    this.#waiting.push({ isDone, done })
    this.#look()
    await done.promise
  }

  #look(): void {
    const isReady = ({ isDone }: { isDone: () => boolean }): boolean => this.#failure !== undefined || isDone()
    const ready = this.#waiting.filter(isReady)
    if (ready.length === 0) return
    this.#waiting = this.#waiting.filter((one) => !isReady(one))
    for (const waiting of ready) {
      if (this.#failure === undefined) waiting.done.resolve()
      else waiting.done.reject(this.#failure.error)
    }
  }

  #seal(queue: PartitionQueue): void {
    queue.seal()
    this.#filling.delete(queue)
    this.busy.add(queue)
  }

  #addQueue(topic: string, partition: number): PartitionQueue {
    const { isTransactional, newest } = this.#options
    const ofTopic = newest.get(topic) ?? []
    newest.set(topic, ofTopic)
    const queue = new PartitionQueue({
      topic,
      partition,
      isAdmitted: !isTransactional,
      predecessor: ofTopic[partition],
    })
    ofTopic[partition] = queue
    const queues = this.#queues.get(topic) ?? []
    queues[partition] = queue
    this.#queues.set(topic, queues)
    if (isTransactional) {
      this.#unadmitted.push(queue)
      if (this.#unadmitted.length === 1) queueMicrotask(() => this.onUnadmitted())
    }
    return queue
  }
}
