/** Options of a Kafka source that cannot be meant are refused where the job is built, by name. */
import { expect, test } from 'vitest'
import { kafkaSource, stringValue, type KafkaSourceOptions } from '../../../sources/kafka/source.ts'

const sound: KafkaSourceOptions<string> = { connect: { brokers: ['a:1'] }, topics: 'orders', decode: stringValue() }

test.each<[string, Readonly<Record<string, unknown>>]>([
  ['topics', { topics: [] }],
  ['topics', { topics: '' }],
  ['topics', { topics: ['a', 'a'] }],
  ['connect.brokers', { connect: { brokers: [] } }],
  ['connect.brokers', { connect: undefined }],
  ['decode', { decode: undefined }],
  ['isolation', { isolation: 'serializable' }],
  ['onBadRecord', { onBadRecord: 'ignore' }],
  ['groupId', { groupId: '' }],
  ['discoverEveryMs', { bounded: true, discoverEveryMs: 1_000 }],
  ['start', { start: 'newest' }],
  ['start.timestampMs', { start: { timestampMs: -1 } }],
  ['start.offsets', { start: { offsets: null } }],
  ['start.offsets of orders-0', { start: { offsets: { orders: { 0: -5 } } } }],
  ['maxBatchRecords', { maxBatchRecords: 0 }],
  ['maxBufferedBytes', { maxBufferedBytes: 2 ** 31 }],
  ['maxWaitMs', { maxWaitMs: 1.5 }],
])('%s: %o', (option, options) => {
  const given = { ...sound, ...options } as KafkaSourceOptions<string>
  expect(() => kafkaSource(given)).toThrow(
    expect.objectContaining({
      name: 'TerminalError',
      code: 'SLUICE_KAFKA_SOURCE_OPTION',
      message: expect.stringMatching(new RegExp(`^${option} of a Kafka source is `)),
    }),
  )
})

test('a source looks for new partitions unless it is bounded', () => {
  expect(kafkaSource(sound).discoverEveryMs).toBe(30_000)
  expect(kafkaSource({ ...sound, discoverEveryMs: 5 }).discoverEveryMs).toBe(5)
  expect(kafkaSource({ ...sound, bounded: true }).discoverEveryMs).toBeUndefined()
})
