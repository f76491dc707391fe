/**
 * From values to batches: what a value is for Kafka, which partition it belongs to, when batches go out, and when the caller must wait (C8).
 * Both kinds of writers use it; which session a value goes to is theirs.
 */
import { partitionOfKey } from '../../clients/kafka/partitioner.ts'
import type { OutgoingRecord, RecordBatchWriter } from '../../clients/kafka/wire/record-batch-writer.ts'
import { NO_TIMESTAMP, TerminalError, type SinkBatch, type WriterContext } from '../../engine/api/index.ts'
import type { KafkaConnection } from './connection.ts'
import type { KafkaRecord, Settings } from './options.ts'
import type { PartitionQueue } from './partition-queue.ts'
import { Sender } from './sender.ts'
import { Session } from './session.ts'
import { Topics } from './topics.ts'

export interface OutputOptions<T> {
  readonly settings: Settings
  readonly record: (value: T, timestamp: number) => KafkaRecord
  readonly connection: KafkaConnection
  readonly context: WriterContext
}

const MOST_PENDING_BYTES = 32 * 1024 * 1024
const LEAST_PENDING_BYTES = 64 * 1024
const MAX_REQUEST_BYTES = 1024 * 1024

export class Output<T> {
  readonly topics: Topics
  readonly sender: Sender
  readonly #options: OutputOptions<T>
  readonly #unused: RecordBatchWriter[] = []
  readonly #newest = new Map<string, PartitionQueue[]>()
  readonly #maxPendingBytes: number
  /** Where records without a key go now, by topic: to one partition after another, a batch each. */
  readonly #turns = new Map<string, number>()
  #linger: NodeJS.Timeout | undefined
  #failure: { readonly error: unknown } | undefined
  #isClosed = false

  constructor(options: OutputOptions<T>) {
    const { settings, connection, context } = options
    this.#options = options
    const { operator, signal, clock, memoryBudgetBytes } = context
    this.#maxPendingBytes = Math.min(MOST_PENDING_BYTES, Math.max(LEAST_PENDING_BYTES, memoryBudgetBytes / 2))
    this.topics = new Topics({ connection, operator, signal })
    this.sender = new Sender({
      connection,
      topics: this.topics,
      compression: settings.compression,
      deliveryTimeoutMs: settings.deliveryTimeoutMs,
      maxRequestBytes: MAX_REQUEST_BYTES,
      unused: this.#unused,
      clock,
      operator,
      signal,
    })
  }

  /** The first thing that went wrong in the background, if anything did. */
  throwFailure(): void {
    if (this.#failure !== undefined) throw this.#failure.error
  }

  openSession(isTransactional: boolean): Session {
    const session = new Session({
      maxBatchBytes: Math.min(this.#options.settings.maxBatchBytes, this.#maxPendingBytes / 2),
      unused: this.#unused,
      newest: this.#newest,
      isTransactional,
      onFailure: (error) => this.#fail(error),
    })
    this.sender.add(session)
    return session
  }

  /**
   * Appends the values from index `from` on. @returns what must be waited for before more may come: a topic to be looked up, or room;
   * undefined: nothing
   */
  append(batch: SinkBatch<T>, session: Session, from = 0): Promise<void> | undefined {
    const { values, timestamps } = batch
    const { record } = this.#options
    let hasFull = false
    for (let index = from; index < values.length; index += 1) {
      const timestamp = timestamps[index] ?? NO_TIMESTAMP
      const one = record(values[index] as T, timestamp)
      const topic = one.topic ?? this.#options.settings.topic ?? this.#refuseHomeless()
      const partitions = this.topics.partitionsOf(topic)
      if (partitions === undefined) return this.#appendWhenLoaded(topic, batch, session, index)
      const key = typeof one.key === 'string' ? Buffer.from(one.key) : (one.key ?? null)
      const partition = one.partition ?? this.#partitionOf(topic, key, partitions)
      if (one.partition !== undefined && !(partition >= 0 && partition < this.topics.allPartitionsOf(topic))) {
        return this.#appendWhenThere(topic, { batch, session, index, partition })
      }
      const isFull = session.append(topic, partition, this.#outgoing(one, key, timestamp))
      if (!isFull) continue
      hasFull = true
      if (key === null) this.#turns.set(topic, (partition + 1) % partitions)
    }
    if (hasFull) this.sender.wake()
    if (session.isFilling) this.#lingerOn(session)
    if (session.pendingBytes <= this.#maxPendingBytes) return undefined
    session.seal()
    this.sender.wake()
    return session.drained(this.#maxPendingBytes / 2)
  }

  /** All that was appended goes out now. */
  flush(session: Session): void {
    clearTimeout(this.#linger)
    this.#linger = undefined
    session.seal()
    this.#takeTurns()
    this.sender.wake()
  }

  close(): void {
    this.#isClosed = true
    clearTimeout(this.#linger)
    this.sender.close()
  }

  #partitionOf(topic: string, key: Uint8Array | null, partitions: number): number {
    if (key !== null) return partitionOfKey(key, partitions)
    const { guarantee } = this.#options.settings
    if (guarantee === 'idempotent') {
      throw new TerminalError(
        `Kafka sink "${this.#options.context.operator}": a record for "${topic}" has no key. With guarantee 'idempotent' each must have one, ` +
          `as only the last record of a key counts. Give it a key, or say 'at-least-once'`,
        { code: 'SLUICE_KAFKA_KEY_MISSING' },
      )
    }
    const turn = this.#turns.get(topic)
    if (turn !== undefined) return turn
    const first = Math.floor(this.#options.context.random.next() * partitions)
    this.#turns.set(topic, first)
    return first
  }

  #outgoing(one: KafkaRecord, key: Uint8Array | null, eventTime: number): OutgoingRecord {
    const given = one.timestamp ?? (eventTime === NO_TIMESTAMP ? this.#options.context.clock.now() : eventTime)
    const timestamp = Math.trunc(given)
    if (!Number.isSafeInteger(timestamp)) {
      throw new TerminalError(
        `Kafka sink "${this.#options.context.operator}": a record has the timestamp ${given}, which is no time in milliseconds`,
        { code: 'SLUICE_KAFKA_RECORD' },
      )
    }
    const { value, headers } = one
    return headers === undefined ? { key, value, timestamp } : { key, value, timestamp, headers }
  }

  async #appendWhenLoaded(topic: string, batch: SinkBatch<T>, session: Session, index: number): Promise<void> {
    this.flush(session)
    await this.topics.load([topic])
    await this.append(batch, session, index)
  }

  /** The partition may be a new one. */
  async #appendWhenThere(
    topic: string,
    at: { readonly batch: SinkBatch<T>; readonly session: Session; readonly index: number; readonly partition: number },
  ): Promise<void> {
    await this.topics.load([topic])
    const partitions = this.topics.allPartitionsOf(topic)
    if (!(at.partition >= 0 && at.partition < partitions && Number.isInteger(at.partition))) {
      throw new TerminalError(
        `Kafka sink "${this.#options.context.operator}": a record asks for partition ${at.partition} of "${topic}", which has ${partitions}`,
        { code: 'SLUICE_KAFKA_PARTITION_MISSING' },
      )
    }
    await this.append(at.batch, at.session, at.index)
  }

  #lingerOn(session: Session): void {
    this.#linger ??= setTimeout(() => {
      this.#linger = undefined
      session.seal()
      this.#takeTurns()
      this.sender.wake()
    }, this.#options.settings.lingerMs)
  }

  #takeTurns(): void {
    for (const [topic, turn] of this.#turns) this.#turns.set(topic, (turn + 1) % (this.topics.partitionsOf(topic) ?? 1))
  }

  #refuseHomeless(): never {
    throw new TerminalError(
      `Kafka sink "${this.#options.context.operator}": a record names no topic, and the sink has none. Give the sink a topic, or each record`,
      { code: 'SLUICE_KAFKA_RECORD' },
    )
  }

  /** Records that the caller believes on their way are not: the attempt is over. */
  #fail(error: unknown): void {
    if (this.#failure !== undefined || this.#isClosed || this.#options.context.signal.aborted) return
    this.#failure = { error }
    this.#options.context.fail(error)
  }
}
