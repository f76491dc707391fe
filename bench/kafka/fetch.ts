/**
 * Records of one partition from a real broker on the same machine: our source, polled as a task polls it, against kafkajs eachBatch, in turns.
 * Both give each record's value as bytes and look at it. Counted from the first batch to the last: joining a group takes kafkajs seconds.
 */
import { Kafka, logLevel } from 'kafkajs'
import { KafkaClient } from '../../clients/kafka/client.ts'
import { PRODUCE } from '../../clients/kafka/wire/produce.ts'
import { NO_PRODUCER, RecordBatchWriter } from '../../clients/kafka/wire/record-batch-writer.ts'
import { parseGeneration, parseJobId, parseLineageId, parseOperatorId, type ReaderContext } from '../../engine/index.ts'
import { bytesValue, kafkaSource } from '../../sources/kafka/source.ts'
import { KafkaBroker } from '../../services/kafka/broker.ts'
import { median, rounded } from '../core/figures.ts'

export interface FetchFigures {
  readonly records: number
  /** Records a second of time on the wall, and of CPU time of the main thread. */
  readonly source: number
  readonly kafkajs: number
  readonly sourceCpu: number
  readonly kafkajsCpu: number
  readonly wallRatio: number
  readonly cpuRatio: number
}

interface Side {
  readonly records: number
  readonly wallMs: number
  readonly cpuMs: number
  readonly sum: number
}

const BATCH_BYTES = 256 * 1024
const TOTAL_BYTES = 100 * 1024 * 1024
const TIME = 1_700_000_000_000
const PARTITION_BYTES = 1024 * 1024

export async function fetchFigures(isQuick: boolean): Promise<Readonly<Record<string, FetchFigures>>> {
  await using broker = await KafkaBroker.start()
  const figures: Record<string, FetchFigures> = {}
  for (const recordBytes of [100, 1_000]) {
    const topic = `records-of-${recordBytes}`
    const count = await fill(broker.address, topic, recordBytes, isQuick ? TOTAL_BYTES / 4 : TOTAL_BYTES)
    const sides: Record<'source' | 'kafkajs', Side[]> = { source: [], kafkajs: [] }
    for (let round = 0; round < (isQuick ? 2 : 5); round += 1) {
      const ours = await bySource(broker.address, topic, count)
      const theirs = await byKafkajs(broker.address, topic, count)
      if (ours.sum !== theirs.sum) throw new Error(`the source gave ${ours.sum} bytes, kafkajs ${theirs.sum}`)
      sides.source.push(ours)
      sides.kafkajs.push(theirs)
    }
    const perSecond = (name: 'source' | 'kafkajs', time: 'wallMs' | 'cpuMs'): number =>
      Math.round(median(sides[name].map((side) => (side.records / side[time]) * 1_000)))
    const [source, kafkajs] = [perSecond('source', 'wallMs'), perSecond('kafkajs', 'wallMs')]
    const [sourceCpu, kafkajsCpu] = [perSecond('source', 'cpuMs'), perSecond('kafkajs', 'cpuMs')]
    figures[recordBytes === 100 ? '100B' : '1KB'] = {
      records: count,
      source,
      kafkajs,
      sourceCpu,
      kafkajsCpu,
      wallRatio: rounded(source / kafkajs),
      cpuRatio: rounded(sourceCpu / kafkajsCpu),
    }
  }
  return figures
}

/** @returns how many records */
async function fill(address: string, topic: string, recordBytes: number, totalBytes: number): Promise<number> {
  await using client = await KafkaClient.open({ brokers: [address] })
  const admin = await client.admin()
  await admin.createTopics({ waitForLeaders: true, topics: [{ topic, numPartitions: 1, replicationFactor: 1 }] })
  const writer = new RecordBatchWriter()
  const value = Buffer.alloc(recordBytes, 'v')
  const perBatch = Math.floor(BATCH_BYTES / recordBytes)
  let count = 0
  for (; count * recordBytes < totalBytes; count += perBatch) {
    for (let index = 0; index < perBatch; index += 1)
      writer.append({ key: null, value, timestamp: TIME + count + index })
    const answer = await client.ask(
      PRODUCE,
      { kind: 'broker', nodeId: 1 },
      {
        transactionalId: null,
        acks: -1,
        timeoutMs: 30_000,
        topics: [{ name: topic, partitions: [{ partition: 0, batch: writer.finish(NO_PRODUCER) }] }],
      },
    )
    const errorCode = answer.topics[0]?.partitions[0]?.errorCode
    if (errorCode !== 0) throw new Error(`Produce: ${errorCode}`)
  }
  return count
}

async function bySource(address: string, topic: string, count: number): Promise<Side> {
  const source = kafkaSource({
    connect: { brokers: [address] },
    topics: topic,
    decode: bytesValue(),
    bounded: true,
    maxPartitionBytes: PARTITION_BYTES,
  })
  const { signal } = new AbortController()
  const context = contextIn(signal)
  const splits = await source.discover({ ...context, isFirst: true }, [])
  await using reader = await source.createReader(context)
  await reader.assign(splits.map(({ split, start }) => ({ split, position: start })))
  const meter = new Meter()
  for (;;) {
    const pending = reader.poll(signal)
    const polled = pending instanceof Promise ? await pending : pending
    if (polled.kind === 'ended') break
    if (polled.kind !== 'records') continue
    const { values } = polled.records
    for (const value of values) meter.see(value)
    meter.batch(values.length)
    // As a task does: others have their turn.
    await Promise.resolve()
  }
  return meter.result(count)
}

async function byKafkajs(address: string, topic: string, count: number): Promise<Side> {
  const kafka = new Kafka({ brokers: [address], logLevel: logLevel.NOTHING })
  const consumer = kafka.consumer({
    groupId: `bench-${topic}-${process.hrtime.bigint()}`,
    maxBytesPerPartition: PARTITION_BYTES,
  })
  await consumer.connect()
  await consumer.subscribe({ topics: [topic], fromBeginning: true })
  const meter = new Meter()
  const done = Promise.withResolvers<void>()
  await consumer.run({
    autoCommit: false,
    eachBatch: async ({ batch }) => {
      for (const { value } of batch.messages) meter.see(value ?? Buffer.alloc(0))
      meter.batch(batch.messages.length)
      if (meter.records >= count) done.resolve()
      await Promise.resolve()
    },
  })
  await done.promise
  const side = meter.result(count)
  await consumer.disconnect()
  return side
}

/** From the end of the first batch on. */
class Meter {
  records = 0
  #first = 0
  #sum = 0
  #wallMs = 0
  #cpu = process.threadCpuUsage()
  #endMs = 0
  #endCpu = process.threadCpuUsage()

  see(value: Buffer): void {
    this.#sum += value.length + (value[0] ?? 0)
  }

  batch(records: number): void {
    if (records === 0) return
    if (this.records === 0) {
      this.#first = records
      this.#wallMs = performance.now()
      this.#cpu = process.threadCpuUsage()
    }
    this.records += records
    this.#endMs = performance.now()
    this.#endCpu = process.threadCpuUsage(this.#cpu)
  }

  result(count: number): Side {
    if (this.records !== count) throw new Error(`${this.records} records, not ${count}`)
    const { user, system } = this.#endCpu
    return {
      records: count - this.#first,
      wallMs: this.#endMs - this.#wallMs,
      cpuMs: (user + system) / 1_000,
      sum: this.#sum,
    }
  }
}

function contextIn(signal: AbortSignal): ReaderContext {
  const silent = (): void => undefined
  return {
    job: parseJobId('bench'),
    lineage: parseLineageId('benchmark'),
    generation: parseGeneration(1),
    operator: parseOperatorId('source'),
    subtask: 0,
    parallelism: 1,
    maxParallelism: 128,
    baseDirectory: process.cwd(),
    clock: { now: () => Date.now(), monotonicMs: () => performance.now() },
    random: { next: () => Math.random(), token: (length) => 'x'.repeat(length) },
    logger: { debug: silent, info: silent, warn: silent, error: silent },
    metrics: { count: silent, gauge: silent },
    signal,
    fail: (error) => {
      throw error
    },
  }
}
