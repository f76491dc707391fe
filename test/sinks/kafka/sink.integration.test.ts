/** What a Kafka sink writes, what it refuses, and what it says of itself. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { KafkaClient } from '../../../clients/kafka/client.ts'
import { COMPRESSIONS } from '../../../clients/kafka/compression/codec.ts'
import { partitionOfKey } from '../../../clients/kafka/partitioner.ts'
import { PRODUCE } from '../../../clients/kafka/wire/produce.ts'
import { RecordColumns } from '../../../clients/kafka/wire/record-columns.ts'
import {
  codeOf,
  parseJobId,
  parseOperatorId,
  RetryableError,
  type Sink,
  type SinkValidateContext,
} from '../../../engine/api/index.ts'
import { createKafkaSink, type OpenConnection } from '../../../sinks/kafka/create-sink.ts'
import { kafkaSink, type KafkaRecord, type KafkaSinkOptions, type KafkaTransaction } from '../../../sinks/kafka/sink.ts'
import { createTopic, DEADLINE_MS, fetchOnce } from '../../clients/kafka/transactions.ts'
import { BOUNDS, silent, SinkGeneration } from '../../conformance/sink-generation.ts'
import { sharedKafka, uniqueName } from '../../services/kafka.ts'
import { committedValues } from './kafka-environment.ts'

/** A commit is visible a moment after it is answered. */
const SOON = { timeout: DEADLINE_MS }

let client: KafkaClient
let brokers: string[]
beforeAll(async () => {
  brokers = [await sharedKafka()]
  client = await KafkaClient.open({ brokers })
})
afterAll(async () => {
  await client[Symbol.asyncDispose]()
})

async function topicOf(partitions = 1): Promise<string> {
  const topic = uniqueName('written')
  await createTopic(client, topic, partitions)
  return topic
}

type Options = Partial<KafkaSinkOptions<number>> & { readonly open?: OpenConnection }

function jobOf(
  topic: string | undefined,
  record: (number: number) => KafkaRecord,
  options: Options = {},
): SinkGeneration<number, KafkaTransaction, never> {
  const environment = {
    createSink: () =>
      createKafkaSink<number>(
        { connect: { brokers }, ...(topic !== undefined && { topic }), record, ...options },
        options.open ?? (async (config) => await KafkaClient.open(config)),
      ),
    record: (number: number) => number,
    readVisible: () => Promise.resolve([]),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  }
  return new SinkGeneration(environment, { generation: 1 })
}

async function written(
  topic: string | undefined,
  numbers: readonly number[],
  record: (number: number) => KafkaRecord,
  options: Options = {},
): Promise<void> {
  await using job = jobOf(topic, record, options)
  await job.open()
  await job.write(numbers)
  await job.commitUntilClear(await job.prepare({ endOfInput: true }))
  expect(job.failures).toEqual([])
}

interface Seen {
  readonly partition: number
  readonly key: string | null
  readonly value: string | null
  readonly timestamp: number
  readonly headers: readonly string[]
}

async function seenIn(topic: string, partitions = 1): Promise<readonly Seen[]> {
  const seen: Seen[] = []
  const columns = new RecordColumns()
  const text = (bytes: Buffer | null): string | null => bytes?.toString() ?? null
  for (let partition = 0; partition < partitions; partition += 1) {
    const { batches } = await fetchOnce(client, topic, { offset: 0, partition })
    for (const batch of batches.filter(({ isControl }) => !isControl)) {
      columns.fill(batch)
      for (let index = 0; index < columns.count; index += 1) {
        seen.push({
          partition,
          key: text(columns.keyAt(index)),
          value: text(columns.valueAt(index)),
          timestamp: columns.timestampAt(index),
          headers: columns.headersAt(index).map(({ key, value }) => `${String(key)}=${String(value)}`),
        })
      }
    }
  }
  return seen
}

test('keys go where the Java client puts them, partitions where they are told, and the rest everywhere', async () => {
  const topic = await topicOf(5)
  const keys = ['a', 'b', 'order-1', 'Zürich']
  await written(topic, [0, 1, 2, 3], (number) => ({ key: keys[number] ?? '', value: 'v' }))
  const keyed = await seenIn(topic, 5)
  expect(keyed).toHaveLength(4)
  for (const { key, partition } of keyed) expect(partition).toBe(partitionOfKey(Buffer.from(key ?? ''), 5))
  const explicit = await topicOf(5)
  await written(explicit, [0, 1, 2, 3, 4], (number) => ({ partition: 4 - number, key: 'same', value: String(number) }))
  expect((await seenIn(explicit, 5)).map(({ value }) => value)).toEqual(['4', '3', '2', '1', '0'])
  const unkeyed = await topicOf(3)
  const numbers = Array.from({ length: 900 }, (_, index) => index)
  await written(unkeyed, numbers, (number) => ({ value: `a value of some length ${number}` }), { maxBatchBytes: 1_000 })
  const seen = await seenIn(unkeyed, 3)
  expect(new Set(seen.map(({ partition }) => partition)).size).toBe(3)
  expect(seen).toHaveLength(900)
})

test('tombstones, empty values, bytes, headers and times arrive as they are', async () => {
  const topic = await topicOf()
  const records: readonly KafkaRecord[] = [
    { key: 'gone', value: null, timestamp: 1_000 },
    { key: null, value: '', timestamp: 2_000 },
    {
      key: Buffer.from('k'),
      value: Buffer.from('ä'),
      timestamp: 3_000.9,
      headers: [
        { key: 'h', value: 'ü' },
        { key: 'n', value: null },
      ],
    },
  ]
  await written(topic, [0, 1, 2], (number) => records[number] ?? { value: null })
  expect(await seenIn(topic)).toEqual([
    { partition: 0, key: 'gone', value: null, timestamp: 1_000, headers: [] },
    { partition: 0, key: null, value: '', timestamp: 2_000, headers: [] },
    { partition: 0, key: 'k', value: 'ä', timestamp: 3_000, headers: ['h=ü', 'n=null'] },
  ])
})

test('a record may name its topic, also one that the sink does not list; both are in one transaction', async () => {
  const [listed, other] = [await topicOf(), await topicOf(2)]
  await written(listed, [0, 1, 2, 3], (number) => ({
    value: String(number),
    ...(number % 2 === 1 && { topic: other, partition: 1 }),
  }))
  await expect.poll(async () => await committedValues(client, listed), SOON).toEqual(['0', '2'])
  await expect.poll(async () => await committedValues(client, other, 1), SOON).toEqual(['1', '3'])
})

test.each(COMPRESSIONS)('compressed by %s, in many batches', async (compression) => {
  const topic = await topicOf()
  const numbers = Array.from({ length: 3_000 }, (_, index) => index)
  await written(topic, numbers, (number) => ({ value: `value ${number}` }), {
    compression,
    maxBatchBytes: 4_000,
    lingerMs: 0,
  })
  await expect
    .poll(async () => await committedValues(client, topic), SOON)
    .toEqual(numbers.map((number) => `value ${number}`))
})

test.each(['idempotent', 'at-least-once'] as const)(
  '%s: visible at once, durable at the checkpoint, nothing to commit',
  async (guarantee) => {
    const topic = await topicOf(2)
    await using job = jobOf(topic, (number) => ({ key: String(number), value: String(number) }), { guarantee })
    expect(job.sink.guarantee).toBe(guarantee)
    await job.open()
    const numbers = Array.from({ length: 500 }, (_, index) => index)
    await job.write(numbers)
    expect(await job.prepare()).toEqual([])
    const values = [...(await committedValues(client, topic, 0)), ...(await committedValues(client, topic, 1))]
    expect(values.map(Number).toSorted((a, b) => a - b)).toEqual(numbers)
  },
)

test('a request whose answer is lost, and one that never came, are sent again with the same sequence numbers', async () => {
  const topic = await topicOf()
  let requests = 0
  const open = async (config: KafkaSinkOptions<number>['connect']) => {
    const inner = await KafkaClient.open(config)
    const ask: KafkaClient['ask'] = async (api, target, request, options) => {
      if (api.key !== PRODUCE.key) return await inner.ask(api, target, request, options)
      requests += 1
      const lost = new RetryableError('lost')
      if (requests % 5 === 2) throw lost
      const answer = await inner.ask(api, target, request, options)
      if (requests % 5 === 4) throw lost
      return answer
    }
    const [persist, metadata, versionFor, admin] = [
      inner.persist.bind(inner),
      inner.metadata.bind(inner),
      inner.versionFor.bind(inner),
      inner.admin.bind(inner),
    ]
    return { ask, persist, metadata, versionFor, admin, [Symbol.asyncDispose]: inner[Symbol.asyncDispose].bind(inner) }
  }
  const numbers = Array.from({ length: 2_000 }, (_, index) => index)
  await written(topic, numbers, (number) => ({ value: `value ${number}` }), { maxBatchBytes: 1_000, lingerMs: 0, open })
  expect(requests).toBeGreaterThan(20)
  await expect
    .poll(async () => await committedValues(client, topic), SOON)
    .toEqual(numbers.map((number) => `value ${number}`))
})

describe('is refused before anything is written', () => {
  const context: SinkValidateContext = {
    job: parseJobId('job'),
    operator: parseOperatorId('out'),
    parallelism: 1,
    baseDirectory: '.',
    logger: silent,
    signal: new AbortController().signal,
    checkpoint: BOUNDS,
    longestName: 'job--lineage0--99999999--out--9999--999999999',
  }
  const sinkOf = (options: Options): Sink<number, KafkaTransaction> =>
    kafkaSink<number>({ connect: { brokers }, record: () => ({ value: '' }), ...options })
  const refused = async (options: Options, over: Partial<SinkValidateContext> = {}): Promise<unknown> =>
    await sinkOf(options)
      .validate({ ...context, ...over })
      .then(
        () => 'not refused',
        (error: unknown) => [codeOf(error), String(error)],
      )

  test('a topic that is not there, and none is made', async () => {
    const topic = uniqueName('missing')
    expect(await refused({ topic })).toEqual([
      'SLUICE_KAFKA_OUTPUT_TOPIC_MISSING',
      expect.stringContaining(`no topic "${topic}"`),
    ])
    expect((await client.metadata([topic])).topics[0]?.errorCode).toBe(3)
  })

  test('a timeout that is shorter than what a transaction needs, or longer than the broker allows', async () => {
    const topic = await topicOf()
    expect(await refused({ topic, transactionTimeoutMs: 61_000 })).toEqual([
      'SLUICE_KAFKA_TRANSACTION_TIMEOUT',
      expect.stringMatching(/may be open for 62000 ms/),
    ])
    expect(await refused({ topic, transactionTimeoutMs: 900_001 })).toEqual([
      'SLUICE_KAFKA_TRANSACTION_TIMEOUT',
      expect.stringMatching(/transaction.max.timeout.ms of the brokers is 900000/),
    ])
    expect(await refused({ topic })).toBe('not refused')
  })

  test('a cluster that is not there', async () => {
    const connect = { brokers: ['127.0.0.1:1'], retry: { retries: 0 }, connectionTimeout: 500 }
    expect(await refused({ topic: 'any', connect })).toEqual([
      'SLUICE_KAFKA_UNREACHABLE',
      expect.stringContaining('127.0.0.1:1'),
    ])
  })

  test.each<[string, Options]>([
    ['transactionTimeoutMs', { transactionTimeoutMs: 1 }],
    ['maxBatchBytes', { maxBatchBytes: 0 }],
    ['lingerMs', { lingerMs: 1.5 }],
    ['compression', { compression: 'brotli' as 'gzip' }],
    ['guarantee', { guarantee: 'twice' as 'idempotent' }],
    ['empty name', { topic: '' }],
  ])('an option that cannot be meant: %s', (what, options) => {
    expect(() => sinkOf(options)).toThrow(what)
  })
})

describe('a record that cannot be written ends the attempt, named', () => {
  test.each<[string, string, (number: number) => KafkaRecord, Options]>([
    [
      'to a topic that is not there',
      'SLUICE_KAFKA_OUTPUT_TOPIC_MISSING',
      () => ({ topic: 'not-there', value: '' }),
      {},
    ],
    ['to a partition that is not there', 'SLUICE_KAFKA_PARTITION_MISSING', () => ({ partition: 7, value: '' }), {}],
    ['with a time that is none', 'SLUICE_KAFKA_RECORD', () => ({ timestamp: NaN, value: '' }), {}],
    ['without a key, where keys count', 'SLUICE_KAFKA_KEY_MISSING', () => ({ value: '' }), { guarantee: 'idempotent' }],
    ['above what the broker takes', 'SLUICE_KAFKA_RECORD_TOO_LARGE', () => ({ value: 'x'.repeat(2_000_000) }), {}],
  ])('%s', async (_what, code, record, options) => {
    await using job = jobOf(await topicOf(), record, options)
    await job.open()
    const error = await job
      .write([1])
      .then(async () => await job.prepare())
      .catch((thrown: unknown) => thrown)
    expect(codeOf(error)).toBe(code)
  })
})
