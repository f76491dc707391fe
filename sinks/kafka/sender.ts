/**
 * Sends the batches of sessions to the brokers that lead their partitions: at most one batch of a partition in a request, several requests
 * under way at a broker, one where its connection may be new (answers to a first few at once can come out of order).
 *
 * Nothing is given up because a broker is away: a batch goes again, with the sequence number it had, until for `deliveryTimeoutMs` none at all
 * was acknowledged.
 */
import { CODES, describeCode, nextStep } from '../../clients/kafka/error-table.ts'
import type { Compression } from '../../clients/kafka/compression/codec.ts'
import { PRODUCE, type PartitionProduced } from '../../clients/kafka/wire/produce.ts'
import type { RecordBatchWriter } from '../../clients/kafka/wire/record-batch-writer.ts'
import { messageOf, RetryableError, TaskFailure, type Clock } from '../../engine/api/index.ts'
import type { KafkaConnection } from './connection.ts'
import type { PartitionQueue, SentBatch } from './partition-queue.ts'
import { produceError } from './request-errors.ts'
import type { Session } from './session.ts'
import { isUnreachable, type Topics } from './topics.ts'

export interface SenderOptions {
  readonly connection: Pick<KafkaConnection, 'ask'>
  readonly topics: Topics
  readonly compression: Compression
  readonly maxRequestBytes: number
  readonly deliveryTimeoutMs: number
  readonly unused: RecordBatchWriter[]
  readonly clock: Clock
  /** For messages. */
  readonly operator: string
  readonly signal: AbortSignal
}

/** Requests, not batches. */
const MOST_UNDER_WAY = 5
/** A connection that was quiet for so long may be another one by now. */
const QUIET_MS = 5_000
const REQUEST_TIMEOUT_MS = 30_000
const FIRST_PAUSE_MS = 10
const LONGEST_PAUSE_MS = 500
/** Writers of batches that are kept for later. */
const MOST_UNUSED = 16

interface Broker {
  underWay: number
  isWarm: boolean
  answeredAtMs: number
}

interface Part {
  readonly queue: PartitionQueue
  readonly batch: SentBatch
}

export class Sender {
  readonly #options: SenderOptions
  readonly #sessions = new Set<Session>()
  readonly #brokers = new Map<number, Broker>()
  #isWoken = false
  #timer: NodeJS.Timeout | undefined
  #timerAtMs = Infinity
  #refreshing: Promise<void> | undefined
  /** Of the last acknowledged batch, or when it began to have work. */
  #progressAtMs = 0

  constructor(options: SenderOptions) {
    this.#options = options
  }

  add(session: Session): void {
    if (this.#sessions.size === 0) this.#progressAtMs = this.#now()
    this.#sessions.add(session)
  }

  remove(session: Session): void {
    this.#sessions.delete(session)
  }

  /** Something may be sendable that was not before. Looks once, soon. */
  wake(): void {
    if (this.#isWoken) return
    this.#isWoken = true
    queueMicrotask(() => {
      this.#isWoken = false
      this.#send()
    })
  }

  close(): void {
    clearTimeout(this.#timer)
    this.#sessions.clear()
  }

  #now(): number {
    return this.#options.clock.monotonicMs()
  }

  #send(): void {
    if (this.#options.signal.aborted) return
    let lookAtMs = Infinity
    for (const session of this.#sessions) {
      if (session.producer === undefined || session.failure !== undefined) continue
      const { byLeader, hasLeaderless, notBeforeMs } = this.#ready(session)
      lookAtMs = Math.min(lookAtMs, notBeforeMs)
      if (hasLeaderless) this.#refreshSoon()
      for (const [leader, queues] of byLeader) this.#sendTo(leader, session, queues)
    }
    if (lookAtMs < Infinity) this.#wakeIn(lookAtMs - this.#now())
  }

  #ready(session: Session): {
    readonly byLeader: ReadonlyMap<number, readonly PartitionQueue[]>
    readonly hasLeaderless: boolean
    readonly notBeforeMs: number
  } {
    const byLeader = new Map<number, PartitionQueue[]>()
    const nowMs = this.#now()
    let hasLeaderless = false
    let notBeforeMs = Infinity
    for (const queue of session.busy) {
      if (queue.isSent) session.busy.delete(queue)
      if (!queue.isSendable) continue
      if (queue.notBeforeMs > nowMs) {
        notBeforeMs = Math.min(notBeforeMs, queue.notBeforeMs)
        continue
      }
      const leader = this.#options.topics.leaderOf(queue.topic, queue.partition)
      if (leader === undefined) {
        hasLeaderless = true
        continue
      }
      const queues = byLeader.get(leader)
      if (queues === undefined) byLeader.set(leader, [queue])
      else queues.push(queue)
    }
    return { byLeader, hasLeaderless, notBeforeMs }
  }

  #sendTo(nodeId: number, session: Session, queues: readonly PartitionQueue[]): void {
    const broker = this.#brokerOf(nodeId)
    for (let left = queues; left.length > 0;) {
      if (broker.underWay >= (this.#isWarm(broker) ? MOST_UNDER_WAY : 1)) return
      const parts = this.#take(session, left)
      void this.#request(nodeId, session, parts)
      if (this.#options.compression !== 'none') {
        // Compressing takes long: others have their turn between two requests (T3).
        setImmediate(() => this.wake())
        return
      }
      left = left.filter((queue) => queue.isSendable)
    }
  }

  #brokerOf(nodeId: number): Broker {
    const known = this.#brokers.get(nodeId)
    if (known !== undefined) return known
    const broker = { underWay: 0, isWarm: false, answeredAtMs: 0 }
    this.#brokers.set(nodeId, broker)
    return broker
  }

  #isWarm({ isWarm, underWay, answeredAtMs }: Broker): boolean {
    return isWarm && (underWay > 0 || this.#now() - answeredAtMs < QUIET_MS)
  }

  #take(session: Session, queues: readonly PartitionQueue[]): readonly Part[] {
    const { compression, unused, maxRequestBytes } = this.#options
    const nowMs = this.#now()
    const parts: Part[] = []
    let bytes = 0
    for (const queue of queues) {
      if (session.producer === undefined || bytes >= maxRequestBytes) break
      const batch = queue.take(session.producer, { compression, nowMs, unused })
      bytes += batch.bytes.length
      parts.push({ queue, batch })
    }
    if (unused.length > MOST_UNUSED) unused.length = MOST_UNUSED
    return parts
  }

  async #request(nodeId: number, session: Session, parts: readonly Part[]): Promise<void> {
    const broker = this.#brokerOf(nodeId)
    broker.underWay += 1
    try {
      const answer = await this.#options.connection.ask(
        PRODUCE,
        { kind: 'broker', nodeId },
        { transactionalId: session.transactionalId, acks: -1, timeoutMs: REQUEST_TIMEOUT_MS, topics: topicsOf(parts) },
      )
      broker.isWarm = true
      for (const part of parts) {
        const answered = answer.topics
          .find(({ name }) => name === part.queue.topic)
          ?.partitions.find(({ partition }) => partition === part.queue.partition)
        this.#answered(session, part, answered)
      }
    } catch (error) {
      broker.isWarm = false
      if (!isUnreachable(error)) session.fail(error)
      for (const part of parts) this.#again(session, part, error)
      this.#refreshSoon()
    } finally {
      broker.underWay -= 1
      broker.answeredAtMs = this.#now()
      this.wake()
    }
  }

  #answered(session: Session, part: Part, answered: PartitionProduced | undefined): void {
    const { queue, batch } = part
    if (answered === undefined) {
      session.fail(
        new TaskFailure(`Kafka's answer to Produce leaves out ${queue.topic}-${queue.partition}`, {
          code: 'SLUICE_KAFKA_WRITE_REFUSED',
        }),
      )
      return
    }
    const { errorCode } = answered
    const next = nextStep(errorCode)
    if (next === 'done') {
      queue.acknowledged(batch)
      this.#progressAtMs = this.#now()
      session.acknowledged(batch.countedBytes)
      return
    }
    const isBehindGap = errorCode === CODES.OUT_OF_ORDER_SEQUENCE_NUMBER && !queue.isOldest(batch)
    if (isBehindGap || next === 'retry' || next === 'refresh-metadata' || next === 'refresh-coordinator') {
      this.#again(session, part, describeCode(errorCode))
      if (next === 'refresh-metadata') this.#refreshSoon()
      return
    }
    session.fail(
      produceError(this.#options.operator, {
        ...answered,
        topic: queue.topic,
        transactionalId: session.transactionalId,
      }),
    )
  }

  #again(session: Session, { queue, batch }: Part, why: unknown): void {
    const nowMs = this.#now()
    queue.again(batch, nowMs + Math.min(FIRST_PAUSE_MS * 2 ** (batch.tries - 1), LONGEST_PAUSE_MS))
    session.busy.add(queue)
    if (nowMs - Math.max(this.#progressAtMs, batch.sentAtMs) > this.#options.deliveryTimeoutMs)
      this.#giveUp(session, why)
  }

  #giveUp(session: Session, why: unknown): void {
    const { operator, deliveryTimeoutMs } = this.#options
    session.fail(
      new TaskFailure(
        `Kafka sink "${operator}": no record was taken for ${deliveryTimeoutMs} ms, the last answer was: ${messageOf(why)}`,
        { ...(why instanceof RetryableError && { cause: why }), code: 'SLUICE_KAFKA_DELIVERY_TIMEOUT' },
      ),
    )
  }

  /** Who leads what; one look at a time. */
  #refreshSoon(): void {
    if (this.#refreshing !== undefined) return
    this.#refreshing = this.#refresh().finally(() => {
      this.#refreshing = undefined
    })
  }

  async #refresh(): Promise<void> {
    try {
      await this.#options.topics.refresh()
      this.wake()
    } catch (error) {
      if (this.#options.signal.aborted) return
      for (const session of this.#sessions) {
        if (!isUnreachable(error)) session.fail(error)
        else if (session.pendingBytes > 0 && this.#now() - this.#progressAtMs > this.#options.deliveryTimeoutMs)
          this.#giveUp(session, error)
      }
    }
    // Where there is still nobody, it is looked again then.
    this.#wakeIn(LONGEST_PAUSE_MS)
  }

  /** The earliest counts. */
  #wakeIn(delayMs: number): void {
    const atMs = this.#now() + Math.max(1, delayMs)
    if (atMs >= this.#timerAtMs || this.#options.signal.aborted) return
    clearTimeout(this.#timer)
    this.#timerAtMs = atMs
    this.#timer = setTimeout(
      () => {
        this.#timerAtMs = Infinity
        this.wake()
      },
      Math.max(1, delayMs),
    )
  }
}

function topicsOf(parts: readonly Part[]) {
  const byTopic = new Map<string, { partition: number; batch: Buffer }[]>()
  for (const { queue, batch } of parts) {
    const one = { partition: queue.partition, batch: batch.bytes }
    const others = byTopic.get(queue.topic)
    if (others === undefined) byTopic.set(queue.topic, [one])
    else others.push(one)
  }
  return [...byTopic].map(([name, partitions]) => ({ name, partitions }))
}
