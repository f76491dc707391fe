/**
 * One transaction of one writer: from its first record to its handle.
 *
 *   take an id → InitProducerId → AddPartitionsToTxn → AddOffsetsToTxn of the witness's group
 *                                  │ Produce … Produce                       ┐ prepare: when all of these
 *                                  └ (more partitions are added as they come) │ are answered, the handle
 *                                    TxnOffsetCommit: the witness            ┘
 *
 * InitProducerId comes before every transaction: an EndTxn that is late or repeated names a producer epoch that is no more, and cannot end
 * another one. One whose answer was lost is not sent again, but another id taken: it may still arrive, and abort what is in the id by then.
 */
import {
  ADD_OFFSETS_TO_TXN,
  ADD_PARTITIONS_TO_TXN,
  type TransactionProducer,
} from '../../clients/kafka/wire/add-to-transaction.ts'
import { CODES, nextStep } from '../../clients/kafka/error-table.ts'
import { END_TXN } from '../../clients/kafka/wire/end-transaction.ts'
import { TXN_OFFSET_COMMIT } from '../../clients/kafka/wire/group-offsets.ts'
import { INIT_PRODUCER_ID } from '../../clients/kafka/wire/init-producer-id.ts'
import { setTimeout as sleep } from 'node:timers/promises'
import { assert, RetryableError, type Clock } from '../../engine/api/index.ts'
import { witnessGroup, type KafkaTransaction } from './committable.ts'
import type { KafkaConnection } from './connection.ts'
import type { IdPool, TransactionalId } from './id-pool.ts'
import type { PartitionQueue } from './partition-queue.ts'
import { transactionError } from './request-errors.ts'
import type { Session } from './session.ts'
import type { Topics } from './topics.ts'

/** A producer id that is initialised, with nothing in it. */
export interface Begun {
  readonly id: TransactionalId
  readonly producer: TransactionProducer
  readonly endTxnVersion: number
}

export interface TransactionOptions {
  /** Not the one that records go over: a request waits behind those before it on its connection. */
  readonly connection: KafkaConnection
  readonly pool: IdPool
  readonly topics: Topics
  readonly transactionTimeoutMs: number
  readonly clock: Clock
  /** For messages. */
  readonly operator: string
  readonly signal: AbortSignal
}

/** For one request, over all its tries. */
const PATIENCE_MS = 60_000
const ABORT_PATIENCE_MS = 2_000
const UNCLEAR_INITS = 20

/** Waits for a free id. @throws TaskFailure, TerminalError */
export async function beginTransaction(options: TransactionOptions): Promise<Begun> {
  const { connection, pool, operator, signal, transactionTimeoutMs } = options
  let id = await pool.take()
  try {
    for (let unclear = 0; ; unclear += 1) {
      const coordinator = coordinatorOf(id.name)
      try {
        const request = { transactionalId: id.name, transactionTimeoutMs, producerId: -1, producerEpoch: -1 }
        const answer = await connection.persist(INIT_PRODUCER_ID, coordinator, request, {
          errorCodeOf: ({ errorCode }) => errorCode,
          deadlineMs: PATIENCE_MS,
          isRepeatable: false,
          signal,
        })
        if (answer.errorCode !== 0) throw transactionError(operator, 'InitProducerId', id.name, answer.errorCode)
        const { producerId, producerEpoch } = answer
        const endTxnVersion = await connection.versionFor(END_TXN, coordinator)
        return { id, producer: { transactionalId: id.name, producerId, producerEpoch }, endTxnVersion }
      } catch (error) {
        if (!(error instanceof RetryableError) || unclear >= UNCLEAR_INITS || signal.aborted) throw error
        id = pool.replace()
        await pause(unclear, signal)
      }
    }
  } catch (error) {
    pool.drop()
    throw error
  }
}

export class Transaction {
  readonly session: Session
  /** Before InitProducerId was answered: waiting for an id, perhaps. */
  isBegun = false
  readonly #options: TransactionOptions & { readonly wake: () => void }
  readonly #begun: Promise<Begun>
  #admitting: Promise<void> | undefined
  #hasWitnessGroup = false
  #begunAtMs = 0
  #isPrepared = false

  constructor(session: Session, begun: Promise<Begun>, options: TransactionOptions & { readonly wake: () => void }) {
    this.session = session
    this.#options = options
    this.#begun = begun
    session.onUnadmitted = () => this.#admitSoon()
    begun.then(
      ({ producer }) => {
        this.isBegun = true
        session.transactionalId = producer.transactionalId
        session.producer = { ...producer, isTransactional: true }
        this.#admitSoon()
      },
      (error: unknown) => session.fail(error),
    )
  }

  /** Its id is known, or it never will be. */
  async begun(): Promise<void> {
    await this.#begun
  }

  /** All that was appended is durable, and the witness with it. To be called once, when nothing is appended any more. */
  async prepare(checkpoint: number | undefined): Promise<KafkaTransaction> {
    const { session } = this
    session.seal()
    this.#options.wake()
    const { id, producer, endTxnVersion } = await this.#begun
    await Promise.all([session.flushed(), this.#writeWitness(id, producer)])
    if (session.failure !== undefined) throw session.failure.error
    assert(this.#hasWitnessGroup, () => `the transaction of "${id.name}" has no witness`)
    this.#isPrepared = true
    this.#options.pool.prepared(id, checkpoint)
    return { ...producer, endTxnVersion, use: id.use, begunAtMs: this.#begunAtMs, records: session.records }
  }

  /** What holds up readers must go when nobody will finish it: never what was prepared (S2). */
  async abandon(): Promise<void> {
    this.session.fail('the writer is closed')
    await this.#admitting
    if (!this.isBegun || this.#isPrepared || this.#begunAtMs === 0) return
    const { producer, endTxnVersion } = await this.#begun
    await this.#options.connection.persist(
      END_TXN,
      coordinatorOf(producer.transactionalId),
      { ...producer, commits: false },
      { version: endTxnVersion, errorCodeOf: ({ errorCode }) => errorCode, deadlineMs: ABORT_PATIENCE_MS },
    )
  }

  /** How long it has been open; 0: it is not. */
  get ageMs(): number {
    return this.#begunAtMs === 0 ? 0 : this.#options.clock.now() - this.#begunAtMs
  }

  /** Partitions that were written to for the first time get into the transaction. */
  #admitSoon(): void {
    const { hasUnadmitted, failure } = this.session
    if (!this.isBegun || !hasUnadmitted || failure !== undefined || this.#admitting !== undefined) return
    this.#admitting = this.#admit()
      .catch((error: unknown) => this.session.fail(error))
      .finally(() => {
        this.#admitting = undefined
        this.#admitSoon()
      })
  }

  async #admit(): Promise<void> {
    const { producer } = await this.#begun
    const queues = this.session.takeUnadmitted()
    if (this.#begunAtMs === 0) this.#begunAtMs = this.#options.clock.now()
    await this.#addPartitions(producer, queues)
    for (const queue of queues) queue.isAdmitted = true
    this.#options.wake()
    if (this.#hasWitnessGroup) return
    await this.#addWitnessGroup(producer)
    this.#hasWitnessGroup = true
  }

  async #addPartitions(producer: TransactionProducer, queues: readonly PartitionQueue[]): Promise<void> {
    const { connection, operator, topics, signal } = this.#options
    const names = [...new Set(queues.map(({ topic }) => topic))]
    const request = {
      ...producer,
      topics: names.map((name) => ({
        name,
        partitions: queues.filter(({ topic }) => topic === name).map(({ partition }) => partition),
      })),
    }
    for (;;) {
      const answer = await connection.persist(ADD_PARTITIONS_TO_TXN, coordinatorOf(producer.transactionalId), request, {
        errorCodeOf: worstOf,
        deadlineMs: PATIENCE_MS,
        signal,
      })
      const errorCode = worstOf(answer)
      if (errorCode === 0) return
      // Throws where a topic is not there.
      if (errorCode === CODES.UNKNOWN_TOPIC_OR_PARTITION) await topics.load(names)
      else throw transactionError(operator, 'AddPartitionsToTxn', producer.transactionalId, errorCode)
      await pause(1, signal)
    }
  }

  async #addWitnessGroup(producer: TransactionProducer): Promise<void> {
    const { connection, operator, signal } = this.#options
    const { transactionalId } = producer
    const answer = await connection.persist(
      ADD_OFFSETS_TO_TXN,
      coordinatorOf(transactionalId),
      { ...producer, groupId: witnessGroup(transactionalId) },
      { errorCodeOf: ({ errorCode }) => errorCode, deadlineMs: PATIENCE_MS, signal },
    )
    if (answer.errorCode !== 0) throw transactionError(operator, 'AddOffsetsToTxn', transactionalId, answer.errorCode)
  }

  /** An offset in the transaction: it is visible when the transaction is committed, and never otherwise. */
  async #writeWitness(id: TransactionalId, producer: TransactionProducer): Promise<void> {
    this.#admitSoon()
    while (this.#admitting !== undefined) await this.#admitting
    const where = this.session.somewhere
    if (where === undefined || this.session.failure !== undefined) return
    const { connection, operator, signal } = this.#options
    const groupId = witnessGroup(id.name)
    const partitions = [{ partition: where.partition, offset: id.use, leaderEpoch: -1, metadata: '' }]
    const request = { ...producer, groupId, topics: [{ name: where.topic, partitions }] }
    const answer = await connection.persist(
      TXN_OFFSET_COMMIT,
      { kind: 'coordinator', of: 'group', key: groupId },
      request,
      { errorCodeOf: worstOf, deadlineMs: PATIENCE_MS, signal },
    )
    const errorCode = worstOf(answer)
    if (errorCode !== 0) throw transactionError(operator, 'TxnOffsetCommit', id.name, errorCode)
  }
}

export function coordinatorOf(transactionalId: string) {
  return { kind: 'coordinator', of: 'transaction', key: transactionalId } as const
}

interface PerPartition {
  readonly topics: readonly { readonly partitions: readonly { readonly errorCode: number }[] }[]
}

/** What is wrong decides over what must only be asked again, and over what was left because of it. */
function worstOf({ topics }: PerPartition): number {
  const codes = topics
    .flatMap(({ partitions }) => partitions.map(({ errorCode }) => errorCode))
    .filter((code) => code !== 0)
  return codes.find((code) => nextStep(code) !== 'retry') ?? codes[0] ?? 0
}

const FIRST_PAUSE_MS = 2
const LONGEST_PAUSE_MS = 500

async function pause(tries: number, signal: AbortSignal): Promise<void> {
  await sleep(Math.min(FIRST_PAUSE_MS * 2 ** tries, LONGEST_PAUSE_MS), undefined, { signal })
}
