/** What is read of a topic: from where, up to where, in which shape, and what becomes of records that cannot be decoded. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { KafkaClient } from '../../../clients/kafka/client.ts'
import { RetryableError, type SchemaLike } from '../../../engine/api/index.ts'
import {
  badRecords,
  bytesValue,
  jsonValue,
  kafkaSource,
  registryValue,
  stringValue,
  type KafkaSourceOptions,
  type PayloadDecoder,
  type StartAt,
} from '../../../sources/kafka/source.ts'
import {
  append,
  committedOffset,
  createTopic,
  end,
  records,
  settledState,
  TestProducer,
} from '../../clients/kafka/transactions.ts'
import { sharedKafka, uniqueName } from '../../services/kafka.ts'
import { readAll, TopicReading } from './read-topics.ts'

let address = ''
let client: KafkaClient
beforeAll(async () => {
  address = await sharedKafka()
  client = await KafkaClient.open({ brokers: [address] })
})
afterAll(async () => await client[Symbol.asyncDispose]())

async function topicOf(...values: readonly (string | Buffer | null)[]): Promise<string> {
  const topic = uniqueName('read')
  await createTopic(client, topic)
  const content = values.map((value, index) => ({ key: null, value, timestamp: 1_000 + index }))
  if (content.length > 0) await append(client, { topic, records: content })
  return topic
}

function sourceOf(topic: string, options: Partial<KafkaSourceOptions<string>> = {}) {
  return kafkaSource({
    connect: { brokers: [address] },
    topics: topic,
    decode: stringValue(),
    bounded: true,
    ...options,
  })
}

describe('a job that is new starts', () => {
  test.each<[string, StartAt, readonly string[]]>([
    ['at the beginning', 'earliest', ['0', '1', '2', '3', '4']],
    ['at a time', { timestampMs: 1_003 }, ['3', '4']],
    ['at the end where no record is that late', { timestampMs: 2_000 }, []],
    ['at the end', 'latest', []],
  ])('%s', async (_, start, expected) => {
    const topic = await topicOf('0', '1', '2', '3', '4')
    const reading = await readAll(sourceOf(topic, { start }))
    expect(reading.values).toEqual(expected)
    expect(reading.ended).toEqual([`${topic}-0`])
    expect(reading.timestamps).toEqual(expected.map((value) => 1_000 + Number(value)))
  })

  test('at given offsets, of which each partition must have one', async () => {
    const topic = await topicOf('0', '1', '2', '3', '4')
    const reading = await readAll(sourceOf(topic, { start: { offsets: { [topic]: { 0: 2 } } } }))
    expect(reading.values).toEqual(['2', '3', '4'])
    await expect(readAll(sourceOf(topic, { start: { offsets: { other: { 0: 2 } } } }))).rejects.toMatchObject({
      code: 'SLUICE_KAFKA_SOURCE_OPTION',
      message: expect.stringContaining(`no offset for ${topic}-0`),
    })
  })
})

describe('a bounded source', () => {
  test('ends exactly before a transaction that is open when it begins, also when that one ends later', async () => {
    const topic = await topicOf('0', '1')
    const [aborted, open] = [
      await TestProducer.init(client, uniqueName('id')),
      await TestProducer.init(client, uniqueName('id')),
    ]
    await aborted.write(topic, records('never'))
    await abort(aborted)
    await append(client, { topic, records: records('2') })
    await open.write(topic, records('open'))
    await append(client, { topic, records: records('behind') })
    const source = sourceOf(topic, { maxBatchRecords: 1 })
    await using reading = await TopicReading.open(source)
    const [split] = [...reading.positions.values()].map((held) => held.split)
    // Two records, one aborted, its marker, one record.
    expect(split?.end).toBe(5)
    await reading.until(() => reading.values.length >= 2)
    await end(client, open.handle, { commits: true, version: 4 })
    await reading.until()
    expect(reading.values).toEqual(['0', '1', '2'])
    expect(reading.positions.get(`${topic}-0`)?.position.offset).toBe(5)
    // Restored, it still ends where it ended.
    const again = await readAll(
      source,
      new Map([[`${topic}-0`, { split: split ?? fail(), position: { offset: 1, leaderEpoch: -1 } }]]),
    )
    expect(again.values).toEqual(['1', '2'])
    // Though the fetch brought what is behind it, too.
    expect(again.positions.get(`${topic}-0`)?.position).toEqual({ offset: 5, leaderEpoch: -1 })
    expect((await readAll(source)).values).toEqual(['0', '1', '2', 'open', 'behind'])
  })

  test('ends though the last that it may read is nothing but an aborted transaction', async () => {
    const topic = await topicOf()
    const aborted = await TestProducer.init(client, uniqueName('id'))
    await aborted.write(topic, records('never', 'ever'))
    await abort(aborted)
    const reading = await readAll(sourceOf(topic))
    expect(reading.values).toEqual([])
    expect(reading.positions.get(`${topic}-0`)?.position.offset).toBe(3)
  })

  test('of read_uncommitted goes to the high watermark, aborted records with it', async () => {
    const topic = await topicOf('0')
    const [aborted, open] = [
      await TestProducer.init(client, uniqueName('id')),
      await TestProducer.init(client, uniqueName('id')),
    ]
    await aborted.write(topic, records('aborted'))
    await abort(aborted)
    await open.write(topic, records('open'))
    expect((await readAll(sourceOf(topic, { isolation: 'read_uncommitted' }))).values).toEqual(['0', 'aborted', 'open'])
    await end(client, open.handle, { commits: false, version: 4 })
  })
})

async function abort({ handle, transactionalId }: TestProducer): Promise<void> {
  await end(client, handle, { commits: false, version: 4 })
  await settledState(client, transactionalId)
}

function fail(): never {
  throw new Error('no split')
}

describe('records are given', () => {
  test('whole: with key, headers, time and place; a tombstone is null', async () => {
    const topic = uniqueName('whole')
    await createTopic(client, topic)
    const header = { key: 'source', value: Buffer.from('web') }
    await append(client, {
      topic,
      records: [
        { key: Buffer.from('a'), value: '{"n":1}', timestamp: 5, headers: [header, { key: 'none', value: null }] },
        { key: Buffer.from('a'), value: null, timestamp: 6 },
      ],
    })
    const source = kafkaSource({
      connect: { brokers: [address] },
      topics: topic,
      bounded: true,
      decode: jsonValue<{ n: number }>(),
      emit: 'record',
      key: stringValue(),
    })
    const place = { topic, partition: 0 }
    const reading = await readAll(source)
    expect(reading.values).toEqual([
      { ...place, offset: 0, timestamp: 5, key: 'a', value: { n: 1 }, headers: [header, { key: 'none', value: null }] },
      { ...place, offset: 1, timestamp: 6, key: 'a', value: null, headers: [] },
    ])
    expect(reading.timestamps).toEqual([5, 6])
  })

  test('as bytes, that outlive what they came with', async () => {
    const topic = await topicOf(Buffer.from([0, 255, 1]), Buffer.alloc(0))
    await append(client, { topic, records: records('x'.repeat(500_000)) })
    const reading = await readAll(
      kafkaSource({ connect: { brokers: [address] }, topics: topic, bounded: true, decode: bytesValue() }),
    )
    expect(reading.values.slice(0, 2)).toEqual([Buffer.from([0, 255, 1]), Buffer.alloc(0)])
    // Not the whole answer of the broker.
    expect(reading.values[0]?.buffer.byteLength).toBeLessThan(100_000)
  })

  test('by the schema of a registry, asked for once each, whether it answers at once or later', async () => {
    const framed = (id: number, text: string): Buffer => {
      const head = Buffer.alloc(5)
      head.writeInt32BE(id, 1)
      return Buffer.concat([head, Buffer.from(text)])
    }
    const topic = await topicOf(framed(7, 'a'), framed(7, 'b'), framed(300, 'c'), framed(8, 'd'), framed(7, 'e'))
    const asked: number[] = []
    const decode = registryValue<string>({
      decoderOf: (id) => {
        asked.push(id)
        const decoder = (payload: Buffer): string => `${id}:${payload.toString()}`
        return id === 8
          ? decoder
          : new Promise<PayloadDecoder<string>>((resolve) => setTimeout(() => resolve(decoder), 20))
      },
    })
    expect((await readAll(sourceOf(topic, { decode }))).values).toEqual(['7:a', '7:b', '300:c', '8:d', '7:e'])
    expect(asked).toEqual([7, 300, 8])
  })

  test('a registry that does not answer ends the attempt, and is asked again in the next', async () => {
    const topic = await topicOf(Buffer.from([0, 0, 0, 0, 9, 65]))
    let isDown = true
    const decode = registryValue({
      decoderOf: async () => {
        if (isDown) throw new RetryableError('the registry is away')
        return await Promise.resolve((payload: Buffer) => payload.toString())
      },
    })
    const source = sourceOf(topic, { decode, onBadRecord: 'skip' })
    await expect(readAll(source)).rejects.toThrow('the registry is away')
    isDown = false
    expect((await readAll(source)).values).toEqual(['A'])
  })
})

describe('a record that cannot be decoded', () => {
  const even: SchemaLike<{ n: number }> = {
    '~standard': {
      validate: (value) =>
        (value as { n: number }).n % 2 === 0
          ? { value: value as { n: number } }
          : { issues: [{ message: 'odd', path: ['n'] }] },
    },
  }
  const decode = jsonValue(even)
  const content = ['{"n":0}', 'nonsense', '{"n":1}', '{"n":2}', Buffer.from([0x22, 0xff, 0x22]), null, '{"n":4}']
  const of = (topic: string, onBadRecord?: 'fail' | 'skip' | 'side') =>
    kafkaSource({
      connect: { brokers: [address] },
      topics: topic,
      bounded: true,
      decode,
      ...(onBadRecord && { onBadRecord }),
      maxBatchRecords: 2,
    })

  test('fails the job, with its topic, partition and offset, and nothing behind it is given out', async () => {
    const topic = await topicOf(...content)
    await using reading = await TopicReading.open(of(topic))
    const expected = {
      name: 'TerminalError',
      code: 'SLUICE_KAFKA_BAD_RECORD',
      message: expect.stringMatching(new RegExp(`^${topic}-0, offset 1: .*JSON.*: "nonsense"`)),
    }
    await expect(reading.until()).rejects.toMatchObject(expected)
    await expect(reading.until()).rejects.toMatchObject(expected)
    expect(reading.values).toEqual([])
  })

  test('is skipped and counted, and the first is told', async () => {
    const topic = await topicOf(...content)
    const reading = await readAll(of(topic, 'skip'))
    expect(reading.values).toEqual([{ n: 0 }, { n: 2 }, { n: 4 }])
    expect(reading.skipped).toBe(4)
    expect(reading.logged.filter((line) => line.includes('offset 1'))).toHaveLength(1)
  })

  test('goes out by the side, whole, with its place and why', async () => {
    const topic = await topicOf(...content)
    const reading = await readAll(of(topic, 'side'))
    expect(reading.values).toEqual([{ n: 0 }, { n: 2 }, { n: 4 }])
    const bad = (offset: number, error: string) => ({
      topic,
      partition: 0,
      offset,
      timestamp: 1_000 + offset,
      key: null,
      value: content[offset] === null ? null : Buffer.from(content[offset] ?? ''),
      error: expect.stringContaining(error),
    })
    expect(reading.sides[badRecords.name]).toEqual([
      bad(1, 'JSON'),
      bad(2, 'n: odd'),
      bad(4, 'UTF-8'),
      bad(5, 'tombstone'),
    ])
  })
})

test('what is fetched and not taken stays within its bounds, whoever is slow', async () => {
  const topic = uniqueName('bounded')
  await createTopic(client, topic, 4)
  const large = 'x'.repeat(1_000)
  for (let batch = 0; batch < 80; batch += 1) {
    await append(client, { topic, partition: batch % 4, records: records(...Array.from({ length: 20 }, () => large)) })
  }
  const batchBytes = ((await readAll(sourceOf(topic))).counts.get('fetched-bytes') ?? 0) / 80
  // Whole batches, so that none is cut off and sent twice.
  const source = sourceOf(topic, {
    maxPartitionBytes: 2 * batchBytes,
    maxFetchBytes: 4 * batchBytes,
    maxBufferedBytes: 6 * batchBytes,
    maxBatchRecords: 7,
  })
  await using reading = await TopicReading.open(source)
  let mostBatches = 0
  await reading.until(() => {
    const fetched = (reading.counts.get('fetched-bytes') ?? 0) / batchBytes
    mostBatches = Math.max(mostBatches, fetched - reading.values.length / 20)
    return false
  })
  expect(reading.values).toHaveLength(1_600)
  // Beside what waits, what was taken of one partition is being decoded.
  expect(mostBatches).toBeLessThanOrEqual(8)
  expect(mostBatches).toBeGreaterThan(2)
})

describe('seen from outside', () => {
  test('the lag is a gauge, and offsets of acknowledged checkpoints are those of the group', async () => {
    const topic = await topicOf('0', '1', '2', '3')
    const groupId = uniqueName('watched')
    const source = kafkaSource({
      connect: { brokers: [address] },
      topics: topic,
      decode: stringValue(),
      groupId,
      maxBatchRecords: 2,
    })
    await using reading = await TopicReading.open(source)
    await reading.until(() => reading.values.length >= 2)
    await reading.acknowledge()
    expect(await committedOffset(client, groupId, topic)).toBe(2)
    await reading.until(() => reading.values.length >= 4)
    await reading.until(() => reading.gauges.get('lag') === 0)
    // The group is not asked where to go on.
    const again = await TopicReading.open(source)
    await again.until(() => again.values.length >= 4)
    await again[Symbol.asyncDispose]()
  })
})

describe('before anything starts', () => {
  test.each<[string, Partial<KafkaSourceOptions<string>>, RegExp, string]>([
    [
      'a topic that is not there',
      {},
      /source "source": Kafka has no topic nowhere: create it/,
      'SLUICE_KAFKA_TOPIC_MISSING',
    ],
    [
      'a pattern that nothing matches',
      { topics: /^nothing-like-this$/ },
      /no topic matches/,
      'SLUICE_KAFKA_TOPIC_MISSING',
    ],
  ])('%s is refused', async (_, options, message, code) => {
    const refused = TopicReading.open(sourceOf('nowhere', options))
    await expect(refused).rejects.toMatchObject({
      name: 'TerminalError',
      code,
      message: expect.stringMatching(message),
    })
  })

  test('brokers that do not answer are named with the setting, and no password is', async () => {
    const connect = {
      brokers: ['127.0.0.1:1'],
      sasl: { mechanism: 'plain', username: 'ann', password: 'opensesame' },
      retry: { retries: 0 },
    } as const
    const source = sourceOf('any', { connect: { ...connect, brokers: [...connect.brokers] } })
    const error = await TopicReading.open(source).catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({ name: 'TerminalError', code: 'SLUICE_KAFKA_UNREACHABLE' })
    expect(String(error)).toMatch(/127\.0\.0\.1:1.*connect\.brokers/)
    expect(JSON.stringify([source, String(error), (error as Error).stack])).not.toContain('opensesame')
  })
})
