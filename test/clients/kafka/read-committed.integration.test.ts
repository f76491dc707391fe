/**
 * Logs that other clients read wrongly, on a real broker: what our filter shows is what Kafka's own console consumer shows. One partition per
 * log, so that one run of the console consumer reads them all.
 */
import { beforeAll, afterAll, expect, test } from 'vitest'
import { KafkaClient } from '../../../clients/kafka/client.ts'
import { committedBatches } from '../../../clients/kafka/read-committed.ts'
import { RecordColumns } from '../../../clients/kafka/wire/record-columns.ts'
import type { OutgoingRecord } from '../../../clients/kafka/wire/record-batch-writer.ts'
import { installKafka } from '../../../services/kafka/installation.ts'
import { consumeCommitted, type ConsumedRecord } from '../../../services/kafka/java-tools.ts'
import { sharedKafka, uniqueName } from '../../services/kafka.ts'
import { append, createTopic, end, fetchOnce, offsetOf, records, settledState, TestProducer } from './transactions.ts'

interface Log {
  readonly partition: number
  producer(): Promise<TestProducer>
  write(producer: TestProducer, ...content: readonly OutgoingRecord[]): Promise<void>
  plain(value: string): Promise<void>
  commit(producer: TestProducer): Promise<void>
  abort(producer: TestProducer): Promise<void>
}

/** Each value says what it must come to: `in…` is shown, `out…` is not. */
const logs: Readonly<Record<string, (log: Log) => Promise<void>>> = {
  'two aborted transactions overlap': async (log) => {
    const [one, two] = [await log.producer(), await log.producer()]
    await log.write(one, ...records('out 1'))
    await log.write(two, ...records('out 2'))
    await log.abort(one)
    await log.write(two, ...records('out 3'))
    await log.plain('in 1')
    await log.abort(two)
    await log.plain('in 2')
  },
  'one aborted transaction of 3 MB, over many fetches': async (log) => {
    const one = await log.producer()
    const large = 'x'.repeat(1_000)
    for (let batch = 0; batch < 30; batch += 1) {
      await log.write(one, ...records(...Array.from({ length: 100 }, (_, index) => `out ${batch} ${index} ${large}`)))
    }
    await log.plain('in 1')
    await log.abort(one)
    await log.plain('in 2')
  },
  'the same producer aborts twice, and commits between': async (log) => {
    const one = await log.producer()
    await log.write(one, ...records('out 1'))
    await log.abort(one)
    await log.write(one, ...records('in 1'))
    await log.commit(one)
    await log.write(one, ...records('out 2'))
    await log.abort(one)
    await log.plain('in 2')
  },
  'the key of an aborted record looks like a marker': async (log) => {
    const one = await log.producer()
    const key = Buffer.alloc(4)
    const keyed = (value: string): OutgoingRecord => ({ key, value, timestamp: 1_700_000_000_000 })
    await log.write(one, keyed('out 1'))
    await log.write(one, keyed('out 2'), keyed('out 3'))
    await log.abort(one)
    await log.write(one, keyed('in 1'))
    await log.commit(one)
  },
  'two aborted transactions around a committed one': async (log) => {
    const [one, two, three] = [await log.producer(), await log.producer(), await log.producer()]
    await log.write(one, ...records('out 1'))
    await log.write(two, ...records('in 1'))
    await log.write(three, ...records('out 2'))
    await log.abort(one)
    await log.write(two, ...records('in 2'))
    await log.commit(two)
    await log.write(three, ...records('out 3'))
    await log.abort(three)
  },
  'one is open at the end': async (log) => {
    const [one, two] = [await log.producer(), await log.producer()]
    await log.write(one, ...records('in 1'))
    await log.commit(one)
    await log.write(two, ...records('out: it is open'))
    await log.plain('out: it is behind an open one')
  },
}
const names = Object.keys(logs)

let client: KafkaClient
let topic = ''
let consumed: readonly ConsumedRecord[] = []
const expected = new Map<number, string[]>()
const open: TestProducer[] = []

beforeAll(async () => {
  const address = await sharedKafka()
  client = await KafkaClient.open({ brokers: [address] })
  topic = uniqueName('adversarial')
  await createTopic(client, topic, names.length)
  for (const [partition, name] of names.entries()) await logs[name]?.(logIn(partition))
  const expectedRecords = [...expected.values()].reduce((sum, values) => sum + values.length, 0)
  consumed = await consumeCommitted({ installation: await installKafka(), address, topic, expectedRecords })
})
afterAll(async () => {
  for (const { handle } of open) await end(client, handle, { commits: false, version: 4 })
  await client[Symbol.asyncDispose]()
})

function logIn(partition: number): Log {
  const note = (...content: readonly OutgoingRecord[]): void => {
    const shown = content.map(({ value }) => String(value)).filter((value) => value.startsWith('in'))
    expected.set(partition, [...(expected.get(partition) ?? []), ...shown])
  }
  const finish = async (producer: TestProducer, commits: boolean): Promise<void> => {
    const { errorCode } = await end(client, producer.handle, { commits, version: 4 })
    if (errorCode !== 0) throw new Error(`EndTxn: ${errorCode}`)
    await settledState(client, producer.transactionalId)
    open.splice(open.indexOf(producer), 1)
  }
  return {
    partition,
    async producer() {
      const producer = await TestProducer.init(client, uniqueName('id'))
      open.push(producer)
      return producer
    },
    async write(producer, ...content) {
      note(...content)
      await producer.write(topic, content, partition)
    },
    async plain(value) {
      note(...records(value))
      await append(client, { topic, partition, records: records(value) })
    },
    commit: async (producer) => await finish(producer, true),
    abort: async (producer) => await finish(producer, false),
  }
}

/** @param maxBytes small: an aborted transaction lies over many fetches */
async function readHere(partition: number, maxBytes: number): Promise<readonly { offset: number; value: string }[]> {
  const columns = new RecordColumns()
  const shown: { offset: number; value: string }[] = []
  const until = await offsetOf(client, topic, 'stable', partition)
  for (let offset = 0; offset < until;) {
    const { batches, abortedTransactions, errorCode } = await fetchOnce(client, topic, { offset, partition, maxBytes })
    if (errorCode !== 0) throw new Error(`Fetch: ${errorCode}`)
    for (const batch of committedBatches(batches, abortedTransactions)) {
      columns.fill(batch)
      for (let index = 0; index < columns.count; index += 1) {
        // A fetch may begin in the middle of a batch.
        if (columns.offsetAt(index) < offset) continue
        shown.push({ offset: columns.offsetAt(index), value: columns.valueAt(index)?.toString() ?? '' })
      }
    }
    offset = (batches.at(-1)?.lastOffset ?? offset) + 1
  }
  return shown
}

for (const [partition, name] of names.entries()) {
  test(`what is shown is right, and the console consumer's: ${name}`, async () => {
    const theirs = consumed.filter((record) => record.partition === partition)
    expect(theirs.map(({ value }) => value)).toEqual(expected.get(partition))
    for (const maxBytes of [10_000_000, 150_000, 100]) {
      const ours = await readHere(partition, maxBytes)
      expect(ours).toEqual(theirs.map(({ offset, value }) => ({ offset, value })))
    }
  })
}

test('a fetch from the middle of an aborted transaction shows nothing of it', async () => {
  const partition = names.findIndex((name) => name.includes('3 MB'))
  const { batches, abortedTransactions } = await fetchOnce(client, topic, { offset: 1_550, partition })
  expect(batches[0]?.isTransactional).toBe(true)
  const shown = committedBatches(batches, abortedTransactions)
  expect(shown.filter(({ isTransactional }) => isTransactional)).toEqual([])
})
