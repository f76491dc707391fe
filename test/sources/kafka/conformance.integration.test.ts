/** The suite of sources, on a real broker: two topics of several partitions, with transactions aborted and committed among plain records. */
import { afterAll, beforeAll } from 'vitest'
import { KafkaClient } from '../../../clients/kafka/client.ts'
import { jsonValue, kafkaSource } from '../../../sources/kafka/source.ts'
import { append, createTopic, records, TestProducer, end } from '../../clients/kafka/transactions.ts'
import { testSource } from '../../conformance/source.ts'
import { sharedKafka, uniqueName } from '../../services/kafka.ts'

const topics = [uniqueName('conformance-a'), uniqueName('conformance-b')]
let address = ''
let client: KafkaClient
const RECORDS = 2 * 3 * (5 * 20 + 10)

beforeAll(async () => {
  address = await sharedKafka()
  client = await KafkaClient.open({ brokers: [address] })
  const producer = await TestProducer.init(client, uniqueName('conformance'))
  for (const topic of topics) {
    await createTopic(client, topic, 3)
    for (let partition = 0; partition < 3; partition += 1) await fill(topic, partition)
  }

  async function fill(topic: string, partition: number): Promise<void> {
    const numbers = (from: number, count: number) =>
      records(...Array.from({ length: count }, (_, index) => JSON.stringify({ partition, number: from + index })))
    for (let batch = 0; batch < 5; batch += 1) {
      await append(client, {
        topic,
        partition,
        records: numbers(batch * 20, 20),
        ...(batch === 2 ? { compression: 'gzip' } : {}),
      })
      if (batch !== 1 && batch !== 3) continue
      await producer.write(topic, numbers(1_000 * batch, 10), partition)
      const { errorCode } = await end(client, producer.handle, { commits: batch === 3, version: 4 })
      if (errorCode !== 0) throw new Error(`EndTxn: ${errorCode}`)
    }
  }
})
afterAll(async () => await client[Symbol.asyncDispose]())

const open = (bounded: boolean) => (variant: number) =>
  kafkaSource({
    connect: { brokers: [address] },
    topics,
    decode: jsonValue<{ partition: number; number: number }>(),
    bounded,
    ...(bounded ? {} : { discoverEveryMs: 60_000 }),
    maxBatchRecords: [7, 3, 10_000][variant] ?? 1,
    maxPartitionBytes: [1_000, 100, 1_000_000][variant] ?? 1,
    maxFetchBytes: [2_000, 100, 1_000_000][variant] ?? 1,
    maxBufferedBytes: [3_000, 1_000, 10_000_000][variant] ?? 1,
    maxWaitMs: 50,
  })

testSource('kafka, bounded', { records: RECORDS, open: open(true) })
testSource('kafka', { records: RECORDS, isEndless: true, open: open(false) })
