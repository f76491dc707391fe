/**
 * Logs that other clients read wrongly, on a real broker: what our filter shows is what Kafka's own console consumer shows. One partition per
 * log, so that one run of the console consumer reads them all.
 */
import { beforeAll, afterAll, expect, test } from 'vitest'
import { KafkaClient } from '../../../clients/kafka/client.ts'
import { committedBatches } from '../../../clients/kafka/read-committed.ts'
import { RecordColumns } from '../../../clients/kafka/wire/record-columns.ts'
import { installKafka } from '../../../services/kafka/installation.ts'
import { consumeCommitted, type ConsumedRecord } from '../../../services/kafka/java-tools.ts'
import { sharedKafka, uniqueName } from '../../services/kafka.ts'
import { AdversarialLogs, LOG_NAMES } from './adversarial-logs.ts'
import { fetchOnce, offsetOf } from './transactions.ts'

const names = LOG_NAMES

let client: KafkaClient
let topic = ''
let consumed: readonly ConsumedRecord[] = []
let logs: AdversarialLogs

beforeAll(async () => {
  const address = await sharedKafka()
  client = await KafkaClient.open({ brokers: [address] })
  topic = uniqueName('adversarial')
  logs = await AdversarialLogs.write(client, topic)
  const installation = await installKafka()
  consumed = await consumeCommitted({ installation, address, topic, expectedRecords: logs.count })
})
afterAll(async () => {
  await logs[Symbol.asyncDispose]()
  await client[Symbol.asyncDispose]()
})

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
    expect(theirs.map(({ value }) => value)).toEqual(logs.expected.get(partition))
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
