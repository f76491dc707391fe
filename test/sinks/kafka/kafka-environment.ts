/** A Kafka sink with a topic of its own on the shared broker, as the conformance suite wants it. */
import { KafkaClient } from '../../../clients/kafka/client.ts'
import { END_TXN } from '../../../clients/kafka/wire/end-transaction.ts'
import { LIST_TRANSACTIONS, type TransactionState } from '../../../clients/kafka/wire/transaction-states.ts'
import { RecordColumns } from '../../../clients/kafka/wire/record-columns.ts'
import { committedBatches } from '../../../clients/kafka/read-committed.ts'
import { RetryableError } from '../../../engine/api/index.ts'
import type { KafkaConnection } from '../../../sinks/kafka/connection.ts'
import { createKafkaSink } from '../../../sinks/kafka/create-sink.ts'
import type { KafkaSinkOptions, KafkaTransaction } from '../../../sinks/kafka/sink.ts'
import type { SinkEnvironment } from '../../conformance/sink.ts'
import { sharedKafka, uniqueName } from '../../services/kafka.ts'
import {
  BROKER,
  createTopic,
  DEADLINE_MS,
  describeTransaction,
  fetchOnce,
  offsetOf,
  TestProducer,
} from '../../clients/kafka/transactions.ts'

export interface KafkaEnvironment extends SinkEnvironment<number, KafkaTransaction> {
  readonly client: KafkaClient
  readonly topic: string
}

export type KafkaEnvironmentOptions = Partial<KafkaSinkOptions<number>>

export async function kafkaEnvironment(options: KafkaEnvironmentOptions = {}): Promise<KafkaEnvironment> {
  const config = { brokers: [await sharedKafka()] }
  const client = await KafkaClient.open(config)
  const topic = uniqueName('out')
  await createTopic(client, topic)
  /** Of all generations of this environment. */
  const prefixes = new Set<string>()
  const failing: Failing = { when: 'before', left: 0 }
  const stateOf = async (states: readonly TransactionState[]): Promise<readonly string[]> =>
    await idsIn(client, states, prefixes)
  return {
    client,
    topic,
    record: (number) => number,
    createSink: () => {
      const given: KafkaSinkOptions<number> = {
        connect: config,
        topic,
        record: (number) => ({ value: String(number) }),
        ...options,
      }
      const sink = createKafkaSink<number>(given, async (from) => failingCommits(await KafkaClient.open(from), failing))
      return {
        ...sink,
        createWriter: async (context, restored) => {
          prefixes.add(context.namePrefix)
          return await sink.createWriter(context, restored)
        },
      }
    },
    readVisible: async () => {
      await untilNone(async () => await stateOf(['PrepareCommit', 'PrepareAbort']))
      return (await committedValues(client, topic)).map(Number)
    },
    leftovers: async () => await stateOf(['Ongoing']),
    destroyPrepared: async () => {
      for (const id of await stateOf(['Ongoing'])) await TestProducer.init(client, id)
    },
    failCommits: (when, count) => {
      failing.when = when
      failing.left = count
      return () => {
        failing.left = 0
      }
    },
    [Symbol.asyncDispose]: async () => {
      for (const id of await stateOf(['Ongoing'])) await TestProducer.init(client, id)
      await client[Symbol.asyncDispose]()
    },
  }
}

/** What a reader with read_committed sees of a partition, from its beginning up to its last stable offset. */
export async function committedValues(client: KafkaClient, topic: string, partition = 0): Promise<readonly string[]> {
  const end = await offsetOf(client, topic, 'stable', partition)
  const values: string[] = []
  const columns = new RecordColumns()
  for (let offset = 0; offset < end;) {
    const { batches, abortedTransactions } = await fetchOnce(client, topic, { offset, partition })
    for (const batch of committedBatches(batches, abortedTransactions)) {
      columns.fill(batch)
      for (let index = 0; index < columns.count; index += 1) values.push(String(columns.valueAt(index)))
    }
    offset = (batches.at(-1)?.lastOffset ?? end) + 1
  }
  return values
}

interface Failing {
  when: 'before' | 'after'
  left: number
}

/** EndTxn is not sent, or its answer does not come. */
function failingCommits(client: KafkaClient, failing: Failing): KafkaConnection {
  const persist: KafkaConnection['persist'] = async (api, target, request, options) => {
    if (api.key !== END_TXN.key || failing.left <= 0) return await client.persist(api, target, request, options)
    failing.left -= 1
    if (failing.when === 'after') await client.persist(api, target, request, options)
    throw new RetryableError('the answer is lost')
  }
  return {
    persist,
    ask: client.ask.bind(client),
    metadata: client.metadata.bind(client),
    versionFor: client.versionFor.bind(client),
    admin: client.admin.bind(client),
    [Symbol.asyncDispose]: client[Symbol.asyncDispose].bind(client),
  }
}

async function idsIn(
  client: KafkaClient,
  states: readonly TransactionState[],
  prefixes: ReadonlySet<string>,
): Promise<readonly string[]> {
  const { transactions } = await client.persist(
    LIST_TRANSACTIONS,
    BROKER,
    { states, producerIds: [] },
    { errorCodeOf: ({ errorCode }) => errorCode, deadlineMs: DEADLINE_MS },
  )
  const ids = transactions.map(({ transactionalId }) => transactionalId)
  const mine = ids.filter((id) => [...prefixes].some((prefix) => id.startsWith(prefix)))
  // A list may be a moment old.
  const described = await Promise.all(mine.map(async (id) => await describeTransaction(client, id)))
  return described.flatMap(({ transactionalId, state }) =>
    state !== undefined && states.includes(state) ? [transactionalId] : [],
  )
}

async function untilNone(list: () => Promise<readonly string[]>): Promise<void> {
  const deadline = performance.now() + DEADLINE_MS
  for (let left = await list(); left.length > 0; left = await list()) {
    if (performance.now() > deadline) throw new Error(`still there: ${left.join()}`)
  }
}
