/**
 * Records into one partition of a real broker on the same machine, all replicas acknowledging: our sink, in one transaction, against kafkajs's
 * idempotent producer, in turns. Counted from the first record to the last acknowledgement; ours includes InitProducerId, the partition and the
 * witness. How many records are in the topic is looked at afterwards.
 */
import { Kafka, logLevel } from 'kafkajs'
import { KafkaClient } from '../../clients/kafka/client.ts'
import { END_TXN } from '../../clients/kafka/wire/end-transaction.ts'
import { LATEST, LIST_OFFSETS } from '../../clients/kafka/wire/list-offsets.ts'
import {
  parseGeneration,
  parseJobId,
  parseLineageId,
  parseOperatorId,
  type CheckpointBounds,
  type WriterContext,
} from '../../engine/index.ts'
import { KafkaBroker } from '../../services/kafka/broker.ts'
import { kafkaSink, type KafkaTransaction } from '../../sinks/kafka/sink.ts'
import { median, rounded } from '../core/figures.ts'

export interface ProduceFigures {
  readonly records: number
  /** Records a second of time on the wall, and of CPU time of the main thread. */
  readonly sink: number
  readonly kafkajs: number
  readonly sinkCpu: number
  readonly kafkajsCpu: number
  readonly wallRatio: number
  readonly cpuRatio: number
}

interface Side {
  readonly wallMs: number
  readonly cpuMs: number
}

const TOTAL_BYTES = 64 * 1024 * 1024
/** As a task hands them over. */
const PER_WRITE = 500
/** Of kafkajs: chosen, not searched for. Its cost grows with the square of what one send holds. */
const PER_SEND_BYTES = 200_000
const SENDS_AT_ONCE = 4
const MEMORY_BUDGET_BYTES = 64 * 1024 * 1024
const TIME = 1_700_000_000_000
const BOUNDS: CheckpointBounds = { intervalMs: 1_000, timeoutMs: 60_000, toleratedFailures: 3, maxUncommittedEpochs: 4 }

export async function produceFigures(isQuick: boolean): Promise<Readonly<Record<string, ProduceFigures>>> {
  await using broker = await KafkaBroker.start()
  await using client = await KafkaClient.open({ brokers: [broker.address] })
  const figures: Record<string, ProduceFigures> = {}
  for (const recordBytes of [100, 1_000]) {
    const records = Math.floor((isQuick ? TOTAL_BYTES / 4 : TOTAL_BYTES) / recordBytes / PER_WRITE) * PER_WRITE
    const sides: Record<'sink' | 'kafkajs', Side[]> = { sink: [], kafkajs: [] }
    // The first round is not counted: a new broker is slow.
    for (let round = 0; round < (isQuick ? 3 : 6); round += 1) {
      const topic = `produced-${recordBytes}-${round}`
      const work = { client, address: broker.address, value: Buffer.alloc(recordBytes, 'v'), records, round }
      const ours = await withTopic(work, `${topic}-sink`, bySink)
      const theirs = await withTopic(work, `${topic}-kafkajs`, byKafkajs)
      if (round === 0) continue
      sides.sink.push(ours)
      sides.kafkajs.push(theirs)
    }
    const perSecond = (name: 'sink' | 'kafkajs', time: 'wallMs' | 'cpuMs'): number =>
      Math.round(median(sides[name].map((side) => (records / side[time]) * 1_000)))
    const [sink, kafkajs] = [perSecond('sink', 'wallMs'), perSecond('kafkajs', 'wallMs')]
    const [sinkCpu, kafkajsCpu] = [perSecond('sink', 'cpuMs'), perSecond('kafkajs', 'cpuMs')]
    figures[recordBytes === 100 ? '100B' : '1KB'] = {
      records,
      sink,
      kafkajs,
      sinkCpu,
      kafkajsCpu,
      wallRatio: rounded(sink / kafkajs),
      cpuRatio: rounded(sinkCpu / kafkajsCpu),
    }
  }
  return figures
}

interface Work {
  readonly client: KafkaClient
  readonly address: string
  readonly value: Buffer
  readonly records: number
  readonly round: number
}

/** A topic of its own; its records are counted, and it goes. A transaction has a marker more. */
async function withTopic(
  work: Work,
  topic: string,
  produce: (work: Work, topic: string) => Promise<Side>,
): Promise<Side> {
  const { client, records } = work
  const admin = await client.admin()
  await admin.createTopics({ waitForLeaders: true, topics: [{ topic, numPartitions: 1, replicationFactor: 1 }] })
  const side = await produce(work, topic)
  const { topics } = await client.ask(
    LIST_OFFSETS,
    { kind: 'broker', nodeId: 1 },
    {
      isolation: 'read_uncommitted',
      timeoutMs: 30_000,
      topics: [{ name: topic, partitions: [{ partition: 0, leaderEpoch: -1, timestamp: LATEST }] }],
    },
  )
  const end = topics[0]?.partitions[0]?.offset ?? 0
  if (end < records || end > records + 1) throw new Error(`${topic} holds ${end} records, not ${records}`)
  await admin.deleteTopics({ topics: [topic] })
  return side
}

async function bySink({ client, address, value, records, round }: Work, topic: string): Promise<Side> {
  const sink = kafkaSink<number>({
    connect: { brokers: [address] },
    topic,
    record: (number) => ({ value, timestamp: TIME + number }),
  })
  const end = new AbortController()
  await using writer = await sink.createWriter(contextIn(`${value.length}-${round}`, end.signal), [])
  const numbers = Array.from({ length: PER_WRITE }, (_, index) => index)
  const batch = { values: numbers, timestamps: numbers }
  const meter = startMeter()
  for (let at = 0; at < records; at += PER_WRITE) {
    const writing = writer.write(batch)
    if (writing !== undefined) await writing
    // As a task does: others have their turn.
    if (at % (PER_WRITE * 8) === 0) await new Promise((resolve) => setImmediate(resolve))
  }
  const prepared = await writer.prepareCommit({ endOfInput: true })
  const side = meter()
  for (const handle of prepared) await commit(client, handle)
  return side
}

async function commit(client: KafkaClient, handle: KafkaTransaction): Promise<void> {
  const { transactionalId, producerId, producerEpoch, endTxnVersion: version } = handle
  const target = { kind: 'coordinator', of: 'transaction', key: transactionalId } as const
  const answer = await client.persist(
    END_TXN,
    target,
    { transactionalId, producerId, producerEpoch, commits: true },
    { version, errorCodeOf: ({ errorCode }) => errorCode, deadlineMs: 30_000 },
  )
  if (answer.errorCode !== 0) throw new Error(`EndTxn: ${answer.errorCode}`)
}

async function byKafkajs({ address, value, records }: Work, topic: string): Promise<Side> {
  const kafka = new Kafka({ brokers: [address], logLevel: logLevel.NOTHING })
  const producer = kafka.producer({ idempotent: true, maxInFlightRequests: SENDS_AT_ONCE })
  await producer.connect()
  const perSend = Math.max(1, Math.floor(PER_SEND_BYTES / value.length))
  const meter = startMeter()
  let sent = 0
  const sendAll = async (): Promise<void> => {
    while (sent < records) {
      const count = Math.min(perSend, records - sent)
      const from = sent
      sent += count
      const messages = Array.from({ length: count }, (_, index) => ({ value, timestamp: String(TIME + from + index) }))
      await producer.send({ topic, acks: -1, messages })
    }
  }
  await Promise.all(Array.from({ length: SENDS_AT_ONCE }, async () => await sendAll()))
  const side = meter()
  await producer.disconnect()
  return side
}

function startMeter(): () => Side {
  const start = performance.now()
  const cpu = process.threadCpuUsage()
  return () => {
    const { user, system } = process.threadCpuUsage(cpu)
    return { wallMs: performance.now() - start, cpuMs: (user + system) / 1_000 }
  }
}

function contextIn(run: string, signal: AbortSignal): WriterContext {
  const silent = (): void => undefined
  const namePrefix = `bench--${run}--out--`
  let names = 0
  return {
    job: parseJobId('bench'),
    lineage: parseLineageId('benchmark'),
    generation: parseGeneration(1),
    operator: parseOperatorId('out'),
    subtask: 0,
    parallelism: 1,
    maxParallelism: 128,
    baseDirectory: process.cwd(),
    clock: { now: () => Date.now(), monotonicMs: () => performance.now() },
    random: { next: () => Math.random(), token: (length) => 'x'.repeat(length) },
    logger: { debug: silent, info: silent, warn: silent, error: silent },
    metrics: { count: silent, gauge: silent },
    checkpoint: BOUNDS,
    memoryBudgetBytes: MEMORY_BUDGET_BYTES,
    namePrefix,
    nextName: () => `${namePrefix}${(names += 1)}`,
    signal,
    fail: (error) => {
      throw error
    },
  }
}
