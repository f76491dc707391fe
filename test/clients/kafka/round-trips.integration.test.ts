/** Each request on a real broker: what is asked for happens, and the answer says so. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { KafkaClient } from '../../../clients/kafka/client.ts'
import { COMPRESSIONS } from '../../../clients/kafka/compression/codec.ts'
import { committedBatches } from '../../../clients/kafka/read-committed.ts'
import { RecordColumns } from '../../../clients/kafka/wire/record-columns.ts'
import { OFFSET_COMMIT } from '../../../clients/kafka/wire/group-offsets.ts'
import { FETCH } from '../../../clients/kafka/wire/fetch.ts'
import { LIST_OFFSETS } from '../../../clients/kafka/wire/list-offsets.ts'
import { METADATA } from '../../../clients/kafka/wire/metadata.ts'
import { PRODUCE } from '../../../clients/kafka/wire/produce.ts'
import { LIST_TRANSACTIONS } from '../../../clients/kafka/wire/transaction-states.ts'
import { sharedKafka, uniqueName } from '../../services/kafka.ts'
import {
  append,
  BROKER,
  committedOffset,
  createTopic,
  describeTransaction,
  end,
  fetchOnce,
  offsetOf,
  records,
  settledState,
  TestProducer,
} from './transactions.ts'

let client: KafkaClient
beforeAll(async () => {
  client = await KafkaClient.open({ brokers: [await sharedKafka()] })
})
afterAll(async () => {
  await client[Symbol.asyncDispose]()
})

async function newTopic(partitions = 1): Promise<string> {
  const topic = uniqueName('topic')
  await createTopic(client, topic, partitions)
  return topic
}

/** All that read_committed shows, fetch by fetch from the beginning to the end. */
async function committedValues(topic: string): Promise<readonly string[]> {
  const columns = new RecordColumns()
  const values: string[] = []
  const until = await offsetOf(client, topic, 'stable')
  for (let offset = 0; offset < until;) {
    const { batches, abortedTransactions, errorCode } = await fetchOnce(client, topic, { offset })
    if (errorCode !== 0) throw new Error(`Fetch: ${errorCode}`)
    for (const batch of committedBatches(batches, abortedTransactions)) {
      columns.fill(batch)
      for (let index = 0; index < columns.count; index += 1) values.push(columns.valueAt(index)?.toString() ?? 'null')
    }
    offset = (batches.at(-1)?.lastOffset ?? offset) + 1
  }
  return values
}

test('Metadata names the brokers, and topics with their ids and leaders; one that is not there has an error', async () => {
  const topic = await newTopic(3)
  const gone = uniqueName('gone')
  const answer = await client.metadata([topic, gone])
  expect(answer.brokers.map(({ nodeId }) => nodeId)).toEqual([1])
  expect(answer.topics).toMatchObject([
    { name: topic, errorCode: 0, topicId: expect.stringMatching(/^[\w-]{22}$/), partitions: [{}, {}, {}] },
    { name: gone, errorCode: 3, partitions: [] },
  ])
  expect((await client.metadata(null)).topics.map(({ name }) => name)).toContain(topic)
  expect((await client.metadata([])).topics).toEqual([])
})

describe('Produce and Fetch', () => {
  test.each(COMPRESSIONS)('the broker takes our batches and gives them back: %s', async (compression) => {
    const topic = await newTopic()
    const values = Array.from({ length: 500 }, (_, index) => `value ${index % 13} of ${index}`)
    await append(client, { topic, records: records(...values), compression })
    expect(await committedValues(topic)).toEqual(values)
  })

  test('the version is the highest that both sides speak, and may be named', async () => {
    expect(await client.versionFor(PRODUCE, BROKER)).toBe(11)
    expect(await client.versionFor(FETCH, BROKER)).toBe(17)
    const topic = await newTopic()
    await append(client, { topic, records: records('one') })
    for (const version of [12, 13, 15]) {
      const { batches } = await fetchOnce(client, topic, { offset: 0, version })
      expect(batches.map(({ recordCount }) => recordCount)).toEqual([1])
    }
  })

  test('a batch whose checksum is wrong is refused by the broker', async () => {
    const topic = await newTopic()
    await append(client, { topic, records: records('one') })
    const { records: bytes } = await fetchOnce(client, topic, { offset: 0 })
    const damaged = Buffer.from(bytes)
    damaged[damaged.length - 3] = (damaged[damaged.length - 3] ?? 0) ^ 1
    const topics = [{ name: topic, partitions: [{ partition: 0, batch: damaged }] }]
    const answer = await client.ask(PRODUCE, BROKER, { transactionalId: null, acks: -1, timeoutMs: 30_000, topics })
    expect(answer.topics[0]?.partitions[0]?.errorCode).toBe(2)
  })

  test('a fetch beyond the end says so with numbers', async () => {
    const topic = await newTopic()
    await append(client, { topic, records: records('one', 'two') })
    expect(await fetchOnce(client, topic, { offset: 7 })).toMatchObject({ errorCode: 1, batches: [] })
    expect(await fetchOnce(client, topic, { offset: 2 })).toMatchObject({ errorCode: 0, highWatermark: 2, batches: [] })
  })

  test('a partition of a topic that was made anew is not the one of before', async () => {
    const topic = await newTopic()
    const [before] = (await client.metadata([topic])).topics
    const admin = await client.admin()
    await admin.deleteTopics({ topics: [topic] })
    await createTopic(client, topic)
    const [after] = (await client.metadata([topic])).topics
    expect(after?.topicId).not.toBe(before?.topicId)
  })
})

test('ListOffsets finds the beginning, the end, the last stable offset and a time', async () => {
  const topic = await newTopic()
  await append(client, { topic, records: records('one', 'two') })
  const producer = await TestProducer.init(client, uniqueName('id'))
  await producer.write(topic, records('open'))
  expect(await offsetOf(client, topic, 'start')).toBe(0)
  expect(await offsetOf(client, topic, 'end')).toBe(3)
  expect(await offsetOf(client, topic, 'stable')).toBe(2)
  const partitions = [{ partition: 0, leaderEpoch: -1, timestamp: 1_800_000_000_000 }]
  const late = await client.ask(LIST_OFFSETS, BROKER, {
    isolation: 'read_committed',
    timeoutMs: 1_000,
    topics: [{ name: topic, partitions }],
  })
  expect(late.topics[0]?.partitions[0]).toMatchObject({ errorCode: 0, offset: -1 })
  await end(client, producer.handle, { commits: false, version: 4 })
})

test('a transaction is hidden until it is committed, with its offsets, and described and listed meanwhile', async () => {
  const topic = await newTopic()
  const [id, group] = [uniqueName('id'), uniqueName('group')]
  const producer = await TestProducer.init(client, id)
  await producer.write(topic, records('one', 'two'))
  expect(await producer.commitOffset(group, topic, 41)).toBe(0)
  expect(await committedValues(topic)).toEqual([])
  expect(await describeTransaction(client, id)).toMatchObject({
    errorCode: 0,
    ...producer.handle,
    state: 'Ongoing',
    topics: expect.arrayContaining([{ name: topic, partitions: [0] }]),
  })
  const listed = await client.ask(LIST_TRANSACTIONS, BROKER, {
    states: ['Ongoing'],
    producerIds: [producer.handle.producerId],
  })
  expect(listed.transactions).toEqual([
    { transactionalId: id, producerId: producer.handle.producerId, state: 'Ongoing' },
  ])
  expect(await end(client, producer.handle, { commits: true, version: 4 })).toMatchObject({ errorCode: 0 })
  expect((await settledState(client, id)).state).toBe('CompleteCommit')
  expect(await committedValues(topic)).toEqual(['one', 'two'])
  expect(await committedOffset(client, group, topic)).toBe(41)
})

test('OffsetCommit keeps the offset of a group without members', async () => {
  const topic = await newTopic()
  const groupId = uniqueName('group')
  expect(await committedOffset(client, groupId, topic)).toBe(-1)
  const partitions = [{ partition: 0, offset: 17, leaderEpoch: -1, metadata: 'ours' }]
  const answer = await client.persist(
    OFFSET_COMMIT,
    { kind: 'coordinator', of: 'group', key: groupId },
    { groupId, topics: [{ name: topic, partitions }] },
    { errorCodeOf: ({ topics }) => topics[0]?.partitions[0]?.errorCode ?? NaN, deadlineMs: 60_000 },
  )
  expect(answer.topics[0]?.partitions).toEqual([{ partition: 0, errorCode: 0 }])
  expect(await committedOffset(client, groupId, topic)).toBe(17)
})

test('a version that the broker does not have is an error here, not a closed connection', async () => {
  const future = { ...METADATA, minVersion: 99, maxVersion: 99 }
  await expect(client.ask(future, { kind: 'any' }, { topics: [] })).rejects.toThrow(
    /answers Metadata in versions 0 to 13, and 99 to 99 are spoken here: it must be Kafka 3\.0 or newer/,
  )
  await expect(client.ask(METADATA, { kind: 'any' }, { topics: [] }, { version: 99 })).rejects.toThrow(
    /answers Metadata in versions 0 to 13, and 99 is needed/,
  )
})

test('many requests at once, the first ones on a connection that is not open yet, are answered in order', async () => {
  const topic = await newTopic()
  await using fresh = await KafkaClient.open({ brokers: [await sharedKafka()] })
  const producer = await TestProducer.init(fresh, uniqueName('id'))
  expect(await producer.add(topic)).toBe(0)
  await using other = await KafkaClient.open({ brokers: [await sharedKafka()] })
  const through = producer.through(other)
  const answers = Array.from({ length: 5 }, async (_, index) => await through.produce(topic, records(`${index}`)))
  expect(await Promise.all(answers)).toEqual([0, 0, 0, 0, 0])
  await end(fresh, producer.handle, { commits: true, version: 4 })
  await settledState(fresh, producer.transactionalId)
  expect(await committedValues(topic)).toEqual(['0', '1', '2', '3', '4'])
})

test('two fetches at once, the first ones, open one connection', async () => {
  const topic = await newTopic()
  await append(client, { topic, records: records('one') })
  await using fresh = await KafkaClient.open({ brokers: [await sharedKafka()] })
  const sockets = (): number => process.getActiveResourcesInfo().filter((name) => name.startsWith('TCPSocket')).length
  const topicId = (await fresh.metadata([topic])).topics[0]?.topicId ?? ''
  await fresh.versionFor(PRODUCE, BROKER)
  const before = sockets()
  const partitions = [{ partition: 0, offset: 0, leaderEpoch: -1, maxBytes: 1_000 }]
  const request = { maxWaitMs: 0, minBytes: 1, maxBytes: 1_000, isolation: 'read_committed' } as const
  const fetch = async () =>
    await fresh.ask(FETCH, BROKER, { ...request, topics: [{ name: topic, topicId, partitions }] })
  await Promise.all([fetch(), fetch()])
  expect(sockets() - before).toBe(1)
})

test('an idle connection keeps no timer running but that of its timeouts, and warns of nothing', async () => {
  const warnings: Error[] = []
  const note = (warning: Error): unknown => warnings.push(warning)
  const timers = (): number => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length
  process.on('warning', note)
  const before = timers()
  await using fresh = await KafkaClient.open({ brokers: [await sharedKafka()] })
  await fresh.metadata([])
  await fresh.metadata([])
  // Warnings are told in a later turn.
  await new Promise((resolve) => setImmediate(resolve))
  process.off('warning', note)
  expect(timers() - before).toBeLessThanOrEqual(1)
  expect(warnings).toEqual([])
})

test('nobody at the address is an error that says so, soon', async () => {
  await using nobody = await KafkaClient.open({ brokers: ['127.0.0.1:1'] })
  await expect(nobody.metadata([])).rejects.toThrow(/^no answer from Kafka at 127\.0\.0\.1:1/)
})
