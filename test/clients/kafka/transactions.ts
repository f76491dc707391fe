/** Transactions by single requests, for tests that look at each answer. */
import type { KafkaClient } from '../../../clients/kafka/client.ts'
import {
  ADD_OFFSETS_TO_TXN,
  ADD_PARTITIONS_TO_TXN,
  type TransactionProducer,
} from '../../../clients/kafka/wire/add-to-transaction.ts'
import { END_TXN } from '../../../clients/kafka/wire/end-transaction.ts'
import { FETCH, type FetchedPartition } from '../../../clients/kafka/wire/fetch.ts'
import { OFFSET_FETCH, TXN_OFFSET_COMMIT } from '../../../clients/kafka/wire/group-offsets.ts'
import { INIT_PRODUCER_ID } from '../../../clients/kafka/wire/init-producer-id.ts'
import { EARLIEST, LATEST, LIST_OFFSETS } from '../../../clients/kafka/wire/list-offsets.ts'
import { PRODUCE } from '../../../clients/kafka/wire/produce.ts'
import { NO_PRODUCER, RecordBatchWriter, type OutgoingRecord } from '../../../clients/kafka/wire/record-batch-writer.ts'
import type { Compression } from '../../../clients/kafka/compression/codec.ts'
import { readBatches, type RecordBatch } from '../../../clients/kafka/wire/record-batch.ts'
import { DESCRIBE_TRANSACTIONS, type TransactionDescription } from '../../../clients/kafka/wire/transaction-states.ts'

/** As long as a busy machine may need; no test waits for it. */
export const DEADLINE_MS = 60_000
export const LONG_TIMEOUT_MS = 600_000

export async function createTopic(client: KafkaClient, topic: string, partitions = 1): Promise<void> {
  const admin = await client.admin()
  await admin.createTopics({
    waitForLeaders: false,
    topics: [{ topic, numPartitions: partitions, replicationFactor: 1 }],
  })
  const deadline = performance.now() + DEADLINE_MS
  for (let partition = 0; partition < partitions;) {
    // Metadata names a leader a little before it is one.
    const answer = await listOffset(client, topic, { partition, timestamp: LATEST, isolation: 'read_uncommitted' })
    if (answer === 0) partition += 1
    else if (performance.now() > deadline) throw new Error(`partition ${partition} of ${topic} has no leader`)
  }
}

export function records(...values: readonly string[]): readonly OutgoingRecord[] {
  return values.map((value) => ({ key: null, value, timestamp: 1_700_000_000_000 }))
}

/** The one broker of the cluster. */
export const BROKER = { kind: 'broker', nodeId: 1 } as const

export interface Appending {
  readonly topic: string
  readonly partition?: number
  readonly records: readonly OutgoingRecord[]
  readonly compression?: Compression
}

/** Without a producer id. */
export async function append(
  client: KafkaClient,
  { topic, partition = 0, records: content, compression }: Appending,
): Promise<void> {
  const writer = new RecordBatchWriter()
  for (const record of content) writer.append(record)
  const errorCode = await produce(client, {
    topic,
    partition,
    batch: writer.finish(NO_PRODUCER, compression),
    transactionalId: null,
  })
  if (errorCode !== 0) throw new Error(`Produce: ${errorCode}`)
}

interface Producing {
  readonly topic: string
  readonly partition: number
  readonly batch: Buffer
  readonly transactionalId: string | null
}

async function produce(client: KafkaClient, { topic, partition, batch, transactionalId }: Producing): Promise<number> {
  const topics = [{ name: topic, partitions: [{ partition, batch }] }]
  const answer = await client.ask(PRODUCE, BROKER, { transactionalId, acks: -1, timeoutMs: 30_000, topics })
  return answer.topics[0]?.partitions[0]?.errorCode ?? NaN
}

/** One producer, as a process has it: what it was given, and how far its sequence numbers are. */
export class TestProducer {
  readonly transactionalId: string
  readonly #client: KafkaClient
  readonly #handle: TransactionProducer
  readonly #sequences = new Map<string, number>()

  private constructor(client: KafkaClient, handle: TransactionProducer) {
    this.transactionalId = handle.transactionalId
    this.#client = client
    this.#handle = handle
  }

  static async init(client: KafkaClient, transactionalId: string, timeoutMs = LONG_TIMEOUT_MS): Promise<TestProducer> {
    const request = { transactionalId, transactionTimeoutMs: timeoutMs, producerId: -1, producerEpoch: -1 }
    const answer = await client.persist(INIT_PRODUCER_ID, coordinatorOf(transactionalId), request, {
      errorCodeOf: ({ errorCode }) => errorCode,
      deadlineMs: DEADLINE_MS,
    })
    if (answer.errorCode !== 0) throw new Error(`InitProducerId: ${answer.errorCode}`)
    const { producerId, producerEpoch } = answer
    return new TestProducer(client, { transactionalId, producerId, producerEpoch })
  }

  /** The same producer over other connections. */
  through(client: KafkaClient): TestProducer {
    return new TestProducer(client, this.#handle)
  }

  /** With what any process can end it. */
  get handle(): TransactionProducer {
    return this.#handle
  }

  /** Adds the partition, and writes one batch to it. */
  async write(topic: string, content: readonly OutgoingRecord[], partition = 0): Promise<void> {
    const added = await this.add(topic, partition)
    if (added !== 0) throw new Error(`AddPartitionsToTxn: ${added}`)
    const produced = await this.produce(topic, content, partition)
    if (produced !== 0) throw new Error(`Produce: ${produced}`)
  }

  async add(topic: string, partition = 0): Promise<number> {
    const answer = await this.#client.persist(
      ADD_PARTITIONS_TO_TXN,
      coordinatorOf(this.transactionalId),
      { ...this.#handle, topics: [{ name: topic, partitions: [partition] }] },
      { errorCodeOf: ({ topics }) => topics[0]?.partitions[0]?.errorCode ?? NaN, deadlineMs: DEADLINE_MS },
    )
    return answer.topics[0]?.partitions[0]?.errorCode ?? NaN
  }

  async produce(topic: string, content: readonly OutgoingRecord[], partition = 0): Promise<number> {
    const writer = new RecordBatchWriter()
    for (const record of content) writer.append(record)
    const place = `${topic} ${partition}`
    const baseSequence = this.#sequences.get(place) ?? 0
    this.#sequences.set(place, baseSequence + content.length)
    const batch = writer.finish({ ...this.#handle, baseSequence, isTransactional: true })
    return await produce(this.#client, { topic, partition, batch, transactionalId: this.transactionalId })
  }

  /** The group becomes a part of the transaction, with an offset that its commit makes visible. */
  async commitOffset(groupId: string, topic: string, offset: number): Promise<number> {
    const added = await this.addOffsets(groupId)
    return added === 0 ? await this.commitOffsetOnly(groupId, topic, { offset, version: 4 }) : added
  }

  async addOffsets(groupId: string): Promise<number> {
    const { errorCode } = await this.#client.persist(
      ADD_OFFSETS_TO_TXN,
      coordinatorOf(this.transactionalId),
      { ...this.#handle, groupId },
      { errorCodeOf: (answer) => answer.errorCode, deadlineMs: DEADLINE_MS },
    )
    return errorCode
  }

  async commitOffsetOnly(
    groupId: string,
    topic: string,
    { offset, version }: { readonly offset: number; readonly version: number },
  ): Promise<number> {
    const partitions = [{ partition: 0, offset, leaderEpoch: -1, metadata: '' }]
    const answer = await this.#client.persist(
      TXN_OFFSET_COMMIT,
      { kind: 'coordinator', of: 'group', key: groupId },
      { ...this.#handle, groupId, topics: [{ name: topic, partitions }] },
      {
        version,
        errorCodeOf: ({ topics }) => topics[0]?.partitions[0]?.errorCode ?? NaN,
        deadlineMs: DEADLINE_MS,
      },
    )
    return answer.topics[0]?.partitions[0]?.errorCode ?? NaN
  }
}

export interface Ending {
  readonly commits: boolean
  readonly version: number
}

/** The answer of the first try that was not "try again". Version 5 answers with the next epoch, others with -1. */
export async function end(
  client: KafkaClient,
  handle: TransactionProducer,
  { commits, version }: Ending,
): Promise<{ readonly errorCode: number; readonly producerEpoch: number }> {
  return await client.persist(
    END_TXN,
    coordinatorOf(handle.transactionalId),
    { ...handle, commits },
    { version, errorCodeOf: ({ errorCode }) => errorCode, deadlineMs: DEADLINE_MS },
  )
}

export async function describeTransaction(
  client: KafkaClient,
  transactionalId: string,
): Promise<TransactionDescription> {
  const answer = await client.persist(
    DESCRIBE_TRANSACTIONS,
    coordinatorOf(transactionalId),
    { transactionalIds: [transactionalId] },
    { errorCodeOf: ({ transactions }) => transactions[0]?.errorCode ?? NaN, deadlineMs: DEADLINE_MS },
  )
  const [description] = answer.transactions
  if (description === undefined) throw new Error('an empty answer')
  return description
}

/** Once the state is one of those that last. */
export async function settledState(client: KafkaClient, transactionalId: string): Promise<TransactionDescription> {
  const deadline = performance.now() + DEADLINE_MS
  for (;;) {
    const description = await describeTransaction(client, transactionalId)
    if (!description.state?.startsWith('Prepare') || performance.now() > deadline) return description
  }
}

/** -1: the group has none for the first partition of the topic. */
export async function committedOffset(client: KafkaClient, groupId: string, topic: string): Promise<number> {
  const answer = await client.persist(
    OFFSET_FETCH,
    { kind: 'coordinator', of: 'group', key: groupId },
    { requireStable: true, groups: [{ groupId, topics: [{ name: topic, partitions: [0] }] }] },
    {
      errorCodeOf: ({ groups }) => groups[0]?.topics[0]?.partitions[0]?.errorCode ?? groups[0]?.errorCode ?? 0,
      deadlineMs: DEADLINE_MS,
    },
  )
  return answer.groups[0]?.topics[0]?.partitions[0]?.offset ?? -1
}

export async function offsetOf(
  client: KafkaClient,
  topic: string,
  where: 'end' | 'stable' | 'start',
  partition = 0,
): Promise<number> {
  const timestamp = where === 'start' ? EARLIEST : LATEST
  const isolation = where === 'stable' ? 'read_committed' : 'read_uncommitted'
  const offset = await listOffset(client, topic, { partition, timestamp, isolation })
  if (offset === undefined) throw new Error(`no offset of ${topic}`)
  return offset
}

interface ListedOffset {
  readonly partition: number
  readonly timestamp: number
  readonly isolation: 'read_committed' | 'read_uncommitted'
}

async function listOffset(
  client: KafkaClient,
  topic: string,
  { partition, timestamp, isolation }: ListedOffset,
): Promise<number | undefined> {
  const answer = await client.ask(LIST_OFFSETS, BROKER, {
    isolation,
    timeoutMs: 30_000,
    topics: [{ name: topic, partitions: [{ partition, leaderEpoch: -1, timestamp }] }],
  })
  const found = answer.topics[0]?.partitions[0]
  return found?.errorCode === 0 ? found.offset : undefined
}

export interface FetchFrom {
  readonly offset: number
  readonly partition?: number
  readonly maxBytes?: number
  readonly version?: number
}

export async function fetchOnce(
  client: KafkaClient,
  topic: string,
  { offset, partition = 0, maxBytes = 10_000_000, version }: FetchFrom,
): Promise<FetchedPartition & { readonly batches: readonly RecordBatch[] }> {
  const [found] = (await client.metadata([topic])).topics
  const topicId = found?.topicId ?? ''
  const partitions = [{ partition, leaderEpoch: -1, offset, maxBytes }]
  const answer = await client.ask(
    FETCH,
    BROKER,
    {
      maxWaitMs: 500,
      minBytes: 1,
      maxBytes,
      isolation: 'read_committed',
      topics: [{ name: topic, topicId, partitions }],
    },
    { ...(version !== undefined && { version }) },
  )
  const fetched = answer.topics[0]?.partitions[0]
  if (fetched === undefined) throw new Error(`Fetch: ${answer.errorCode}`)
  return { ...fetched, batches: readBatches(fetched.records) }
}

export function coordinatorOf(transactionalId: string) {
  return { kind: 'coordinator', of: 'transaction', key: transactionalId } as const
}
