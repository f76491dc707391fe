/** What happens to topics and brokers while they are read, on a broker of its own: said with the numbers where records are lost, outlived where not. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { KafkaClient } from '../../../clients/kafka/client.ts'
import { kafkaSource, stringValue, type KafkaSourceOptions } from '../../../sources/kafka/source.ts'
import { KafkaBroker } from '../../../services/kafka/broker.ts'
import { runTool } from '../../../services/kafka/java-tools.ts'
import { KafkaProxy, type TrapAction } from '../../clients/kafka/kafka-proxy.ts'
import { append, createTopic, offsetOf, records } from '../../clients/kafka/transactions.ts'
import { uniqueName } from '../../services/kafka.ts'
import { readAll, TopicReading } from './read-topics.ts'

let broker: KafkaBroker
let proxy: KafkaProxy
let client: KafkaClient
const SLOW_MS = 180_000

beforeAll(async () => {
  proxy = await KafkaProxy.start()
  broker = await KafkaBroker.start({
    advertisedPort: proxy.port,
    settings: {
      'authorizer.class.name': 'org.apache.kafka.metadata.authorizer.StandardAuthorizer',
      'allow.everyone.if.no.acl.found': 'true',
      // Of a second each: a quota is felt at once.
      'quota.window.num': '2',
    },
  })
  proxy.forwardTo(broker.port)
  client = await KafkaClient.open({ brokers: [broker.directAddress] })
}, SLOW_MS)
afterAll(async () => {
  await client[Symbol.asyncDispose]()
  await proxy[Symbol.asyncDispose]()
  await broker[Symbol.asyncDispose]()
})

function numbers(from: number, count: number): readonly string[] {
  return Array.from({ length: count }, (_, index) => `${from + index}`)
}

async function topicOf(count: number, partitions = 1): Promise<string> {
  const topic = uniqueName('lossy')
  await createTopic(client, topic, partitions)
  for (let partition = 0; partition < partitions; partition += 1) {
    if (count > 0) await append(client, { topic, partition, records: records(...numbers(0, count)) })
  }
  return topic
}

function sourceOf(topic: string, options: Partial<KafkaSourceOptions<string>> = {}) {
  return kafkaSource({ connect: { brokers: [broker.address] }, topics: topic, decode: stringValue(), ...options })
}

test('records that were deleted before they were read: named with the numbers, never passed over', async () => {
  const topic = await topicOf(10)
  const first = await TopicReading.open(sourceOf(topic, { maxBatchRecords: 4, maxPartitionBytes: 1 }))
  await first.until(() => first.values.length >= 4)
  await first[Symbol.asyncDispose]()
  expect(first.positions.get(`${topic}-0`)?.position.offset).toBe(4)
  const admin = await client.admin()
  // Looks up the leader, which the deletion does not.
  await admin.fetchTopicOffsets(topic)
  await admin.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset: '7' }] })
  await using resumed = await TopicReading.open(sourceOf(topic), first.positions)
  await expect(resumed.until()).rejects.toMatchObject({
    name: 'TerminalError',
    code: 'SLUICE_KAFKA_RECORDS_DELETED',
    message: expect.stringContaining(
      `${topic}-0 begins at offset 7 now, and 4 was to be read next: 3 offsets were deleted`,
    ),
  })
  expect(resumed.values).toEqual([])
})

test('a position behind the end of the log: the log was cut, and that is said', async () => {
  const topic = await topicOf(10)
  const held = new Map((await readAll(sourceOf(topic, { bounded: true }))).positions)
  const [mine] = held.values()
  if (mine === undefined) throw new Error('no position')
  held.set(mine.split.id, {
    split: { id: mine.split.id, topic, partition: 0, topicId: mine.split.topicId },
    position: { offset: 15, leaderEpoch: -1 },
  })
  await using reading = await TopicReading.open(sourceOf(topic), held)
  await expect(reading.until()).rejects.toMatchObject({
    name: 'TerminalError',
    code: 'SLUICE_KAFKA_LOG_TRUNCATED',
    message: expect.stringContaining('ends at offset 10, and 15 was to be read next: 5 offsets'),
  })
})

test('a topic that is deleted and created anew while it is read: said with both ids, nothing of the new one is read', async () => {
  const topic = await topicOf(10)
  await using reading = await TopicReading.open(sourceOf(topic))
  await reading.until(() => reading.values.length >= 10)
  const before = reading.positions.get(`${topic}-0`)?.split.topicId
  const admin = await client.admin()
  await admin.deleteTopics({ topics: [topic] })
  await expect.poll(async () => (await client.metadata([topic])).topics[0]?.errorCode, { timeout: 30_000 }).toBe(3)
  await createTopic(client, topic)
  await append(client, { topic, records: records(...numbers(100, 20)) })
  const error = await reading.until().catch((thrown: unknown) => thrown)
  expect(error).toMatchObject({ name: 'TerminalError', code: 'SLUICE_KAFKA_TOPIC_RECREATED' })
  expect(String(error)).toContain(before)
  expect(reading.values).toEqual(numbers(0, 10))
  // A restart is told the same.
  await expect(TopicReading.open(sourceOf(topic), reading.positions)).rejects.toMatchObject({
    name: 'TerminalError',
    code: 'SLUICE_KAFKA_TOPIC_RECREATED',
  })
})

test('a topic that is deleted while it is read is said to be gone', async () => {
  const topic = await topicOf(10)
  await using reading = await TopicReading.open(sourceOf(topic))
  await reading.until(() => reading.values.length >= 10)
  await (await client.admin()).deleteTopics({ topics: [topic] })
  await expect(reading.until()).rejects.toMatchObject({ name: 'TerminalError', code: 'SLUICE_KAFKA_TOPIC_GONE' })
})

test('partitions and topics that appear while it runs are found, and read from their beginning, whatever the start (F32)', async () => {
  const prefix = uniqueName('growing')
  const topic = `${prefix}-a`
  await createTopic(client, topic)
  await append(client, { topic, records: records('before') })
  const source = sourceOf('', { topics: new RegExp(`^${prefix}-`), start: 'latest' })
  await using reading = await TopicReading.open(source)
  await append(client, { topic, records: records('first') })
  await reading.until(() => reading.values.length >= 1)
  await (await client.admin()).createPartitions({ topicPartitions: [{ topic, count: 2 }] })
  await createTopic(client, `${prefix}-b`)
  await expect.poll(async () => await offsetOf(client, topic, 'end', 1).catch(() => -1), { timeout: 30_000 }).toBe(0)
  await append(client, { topic, partition: 1, records: records('second') })
  await append(client, { topic: `${prefix}-b`, records: records('third') })
  expect(await reading.discover()).toEqual([`${topic}-1`, `${prefix}-b-0`])
  await reading.until(() => reading.values.length >= 3)
  expect(reading.values.toSorted()).toEqual(['first', 'second', 'third'])
  expect(await reading.discover()).toEqual([])
})

test('a topic that the user may not read is refused by name before anything starts', async () => {
  const topic = await topicOf(1)
  const admin = await client.admin()
  await admin.createAcls({
    acl: [
      {
        resourceType: 2,
        resourceName: topic,
        resourcePatternType: 3,
        principal: 'User:ANONYMOUS',
        host: '*',
        operation: 8,
        permissionType: 3,
      },
      {
        resourceType: 2,
        resourceName: topic,
        resourcePatternType: 3,
        principal: 'User:ANONYMOUS',
        host: '*',
        operation: 3,
        permissionType: 2,
      },
    ],
  })
  await expect
    .poll(
      async () =>
        await TopicReading.open(sourceOf(topic)).then(
          async (one) => await one[Symbol.asyncDispose](),
          (error: unknown) => error,
        ),
      { timeout: 30_000 },
    )
    .toMatchObject({
      name: 'TerminalError',
      code: 'SLUICE_KAFKA_NOT_ALLOWED',
      message: expect.stringContaining(`may not read the topic ${topic}`),
    })
})

const FETCH_KEY = 1

test.each<TrapAction>(['cut-before', 'cut-after', 'cut-within', 'drop-reply', { delayMs: 50 }])(
  'a fetch that comes to grief on its way is sent again, and each record comes once, in order: %o',
  async (action) => {
    const topic = await topicOf(0)
    for (let batch = 0; batch < 10; batch += 1)
      await append(client, { topic, records: records(...numbers(batch * 20, 20)) })
    const connect = { brokers: [broker.address], requestTimeout: 500 }
    await using reading = await TopicReading.open(sourceOf(topic, { connect, maxPartitionBytes: 400, maxWaitMs: 50 }))
    const trap = proxy.trap({ apiKey: FETCH_KEY, action, nth: 2 })
    await reading.until(() => reading.values.length >= 200)
    await trap.reached
    expect(reading.values).toEqual(numbers(0, 200))
  },
)

test('a throttled reader is slower, and reads everything', async () => {
  const topic = await topicOf(0)
  const large = 'x'.repeat(1_000)
  for (let batch = 0; batch < 20; batch += 1) {
    await append(client, { topic, records: records(...numbers(batch * 50, 50).map((number) => `${number} ${large}`)) })
  }
  const clientId = uniqueName('slow')
  const quotas = [
    '--bootstrap-server',
    broker.address,
    '--alter',
    '--add-config',
    'consumer_byte_rate=400000',
    '--entity-type',
    'clients',
    '--entity-name',
    clientId,
  ]
  await runTool(broker.installation, 'kafka.admin.ConfigCommand', quotas)
  const source = sourceOf(topic, {
    bounded: true,
    maxPartitionBytes: 100_000,
    connect: { brokers: [broker.address], clientId },
  })
  const reading = await readAll(source)
  expect(reading.values.map((value) => value.split(' ')[0])).toEqual(numbers(0, 1_000))
  expect(reading.counts.get('throttled-ms')).toBeGreaterThan(0)
})

test(
  'a broker that is killed and comes back while it is read: each record once, in order, and people are told',
  async () => {
    const topic = await topicOf(100, 3)
    await using reading = await TopicReading.open(sourceOf(topic, { maxBatchRecords: 7, maxPartitionBytes: 500 }))
    await reading.until(() => reading.values.length >= 100)
    await broker.kill()
    await reading.until(() => reading.logged.some((line) => line.includes('cannot be read now')))
    await broker.restart()
    for (let partition = 0; partition < 3; partition += 1) {
      await expect
        .poll(
          async () =>
            await append(client, { topic, partition, records: records(...numbers(100, 50)) }).then(
              () => true,
              () => false,
            ),
          { timeout: 60_000 },
        )
        .toBe(true)
    }
    await reading.until(() => reading.values.length >= 450)
    expect(reading.logged.filter((line) => line.includes('cannot be read now'))).toHaveLength(1)
    expect(reading.values.toSorted()).toEqual([0, 1, 2].flatMap(() => numbers(0, 150)).toSorted())
    for (const { position } of reading.positions.values()) expect(position.offset).toBe(150)
  },
  SLOW_MS,
)

test(
  'a log that holds another history than what was read: noticed by its leader epochs',
  async () => {
    const topic = await topicOf(5)
    const held = new Map(
      (
        await TopicReading.open(sourceOf(topic)).then(async (reading) => {
          await reading.until(() => reading.values.length >= 5)
          await reading[Symbol.asyncDispose]()
          return reading
        })
      ).positions,
    )
    const [mine] = held.values()
    if (mine === undefined) throw new Error('no position')
    await broker.kill()
    await broker.restart()
    await expect
      .poll(
        async () =>
          await append(client, { topic, records: records(...numbers(100, 10)) }).then(
            () => true,
            () => false,
          ),
        { timeout: 60_000 },
      )
      .toBe(true)
    // As if eight records had been read under the first leader, and the second one had had but five of them.
    const { leaderEpoch } = mine.position
    held.set(mine.split.id, { ...mine, position: { offset: 8, leaderEpoch } })
    await using reading = await TopicReading.open(sourceOf(topic), held)
    await expect(reading.until()).rejects.toMatchObject({
      name: 'TerminalError',
      code: 'SLUICE_KAFKA_LOG_TRUNCATED',
      message: expect.stringContaining('its log is another one from offset 5'),
    })
    // An epoch that the log never had.
    held.set(mine.split.id, { ...mine, position: { offset: 5, leaderEpoch: 9_999 } })
    await using foreign = await TopicReading.open(sourceOf(topic), held)
    await expect(foreign.until()).rejects.toMatchObject({
      code: 'SLUICE_KAFKA_LOG_TRUNCATED',
      message: expect.stringContaining('its log has no such epoch'),
    })
    held.set(mine.split.id, { ...mine, position: { offset: 5, leaderEpoch } })
    await using sound = await TopicReading.open(sourceOf(topic), held)
    await sound.until(() => sound.values.length >= 10)
    expect(sound.values).toEqual(numbers(100, 10))
  },
  SLOW_MS,
)
