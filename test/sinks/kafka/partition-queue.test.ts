import { expect, test } from 'vitest'
import { readBatches, type RecordBatch } from '../../../clients/kafka/wire/record-batch.ts'
import { MOST_IN_FLIGHT, PartitionQueue, type SentBatch } from '../../../sinks/kafka/partition-queue.ts'

const producer = { producerId: 5, producerEpoch: 2, isTransactional: true }
const where = { topic: 'topic', partition: 0, isAdmitted: true }
const how = { compression: 'none', nowMs: 0, unused: [] } as const

function filled(batches: readonly number[]): PartitionQueue {
  const queue = new PartitionQueue(where)
  for (const count of batches) {
    for (let index = 0; index < count; index += 1) {
      queue.append({ key: null, value: 'v', timestamp: 0 }, [])
    }
    queue.seal()
  }
  return queue
}

function take(queue: PartitionQueue): SentBatch {
  return queue.take(producer, { ...how, unused: [] })
}

function headerOf(batch: SentBatch): RecordBatch | undefined {
  return readBatches(batch.bytes)[0]
}

test('sequence numbers go on by records from batch to batch', () => {
  const queue = filled([3, 1, 2])
  const batches = [take(queue), take(queue), take(queue)]
  expect(batches.map((batch) => headerOf(batch)?.baseSequence)).toEqual([0, 3, 4])
  expect(batches.map((batch) => headerOf(batch)?.recordCount)).toEqual([3, 1, 2])
  expect(headerOf(batches[2] as SentBatch)).toMatchObject({ producerId: 5, producerEpoch: 2, isTransactional: true })
})

test('nothing is sent to a partition that is not in the transaction yet', () => {
  const queue = filled([1])
  queue.isAdmitted = false
  expect(queue.isSendable).toBe(false)
  queue.isAdmitted = true
  expect(queue.isSendable).toBe(true)
})

test('no more batches are under way than brokers remember', () => {
  const queue = filled(Array.from({ length: MOST_IN_FLIGHT + 1 }, () => 1))
  const batches = Array.from({ length: MOST_IN_FLIGHT }, () => take(queue))
  expect(queue.isSendable).toBe(false)
  queue.acknowledged(batches[0] as SentBatch)
  expect(queue.isSendable).toBe(true)
})

test('after an unclear answer nothing new goes before all is answered, and then the old ones in order, one at a time', () => {
  const queue = filled([1, 1, 1, 1])
  const [first, second, third] = [take(queue), take(queue), take(queue)]
  // Answers may come in any order.
  queue.again(second, 0)
  expect(queue.isSendable).toBe(false)
  expect(queue.isOldest(third)).toBe(false)
  queue.again(first, 0)
  expect(queue.isSendable).toBe(false)
  queue.again(third, 0)
  const resent: SentBatch[] = []
  while (!queue.isSent) {
    const batch = take(queue)
    // The last of them may be followed at once.
    expect(queue.isSendable).toBe(resent.length === 2)
    resent.push(batch)
    queue.acknowledged(batch)
  }
  expect(resent.map(({ baseSequence }) => baseSequence)).toEqual([0, 1, 2, 3])
  expect(resent.slice(0, 3).map(({ bytes }) => bytes)).toEqual([first.bytes, second.bytes, third.bytes])
  expect(resent.map(({ tries }) => tries)).toEqual([2, 2, 2, 1])
  expect(queue.isEmpty).toBe(true)
})

test('a batch is the oldest when none before it is under way or goes again', () => {
  const queue = filled([1, 1])
  const [first, second] = [take(queue), take(queue)]
  expect([queue.isOldest(first), queue.isOldest(second)]).toEqual([true, false])
  queue.again(first, 0)
  expect(queue.isOldest(second)).toBe(false)
  queue.again(second, 0)
  expect(queue.isOldest(take(queue))).toBe(false)
})

test('what it has grown by is what its batches count in the end', () => {
  const queue = new PartitionQueue(where)
  let grown = 0
  for (let index = 0; index < 10; index += 1) grown += queue.append({ key: 'k', value: 'value', timestamp: index }, [])
  queue.seal()
  expect(take(queue).countedBytes).toBe(grown)
})

test('nothing goes before all of the transaction before is acknowledged, also what goes again', () => {
  const predecessor = filled([1, 1])
  const queue = new PartitionQueue({ ...where, predecessor })
  queue.append({ key: null, value: 'v', timestamp: 0 }, [])
  queue.seal()
  const [first, second] = [take(predecessor), take(predecessor)]
  predecessor.again(first, 0)
  predecessor.acknowledged(second)
  expect(queue.isSendable).toBe(false)
  const again = take(predecessor)
  expect(queue.isSendable).toBe(false)
  predecessor.acknowledged(again)
  expect(queue.isSendable).toBe(true)
})
