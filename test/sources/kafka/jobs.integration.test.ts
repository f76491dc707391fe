/** Whole jobs from Kafka to files: killed, restored, at changing parallelism, over logs that other clients read wrongly. Each committed record once. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { KafkaClient } from '../../../clients/kafka/client.ts'
import { Workplace, type Running } from '../../cli/command.ts'
import { AdversarialLogs, LOG_NAMES } from '../../clients/kafka/adversarial-logs.ts'
import { append, createTopic, end, records, settledState, TestProducer } from '../../clients/kafka/transactions.ts'
import { sharedKafka, uniqueName } from '../../services/kafka.ts'

const JOB = fileURLToPath(new URL('copying.job.ts', import.meta.url))
const DEADLINE_MS = 60_000

let address = ''
let client: KafkaClient
beforeAll(async () => {
  address = await sharedKafka()
  client = await KafkaClient.open({ brokers: [address] })
})
afterAll(async () => await client[Symbol.asyncDispose]())

interface Copied {
  readonly partition: number
  readonly offset: number
  readonly value: string
}

function copied(place: Workplace): readonly Copied[] {
  if (!existsSync(join(place.directory, 'out'))) return []
  return place.visible('out').flatMap((line) => (line === '' ? [] : [JSON.parse(line) as Copied]))
}

function start(place: Workplace, topic: string, ...settings: readonly string[]): Running {
  const all = [`topic=${topic}`, `brokers=${address}`, ...settings]
  return place.start('run', JOB, ...all.flatMap((setting) => ['--set', setting]))
}

async function until(fact: () => boolean | Promise<boolean>, what: string): Promise<void> {
  for (const giveUpAt = performance.now() + DEADLINE_MS; !(await fact()); await sleep(10)) {
    if (performance.now() > giveUpAt) throw new Error(`waited ${DEADLINE_MS} ms for ${what}`)
  }
}

test('logs that other clients read wrongly come out right, ended where they were when the job began', async () => {
  const topic = uniqueName('adversarial')
  await using logs = await AdversarialLogs.write(client, topic)
  using place = new Workplace()
  const run = await start(place, topic, 'bounded=true', 'parallelism=2', 'batch=7').ended
  expect(run).toMatchObject({ code: 0 })
  const byPartition = Map.groupBy(copied(place), ({ partition }) => partition)
  const found = LOG_NAMES.map((name, partition) => {
    const mine = (byPartition.get(partition) ?? []).toSorted((one, other) => one.offset - other.offset)
    return [name, mine.map(({ value }) => value)]
  })
  expect(found).toEqual(LOG_NAMES.map((name, partition) => [name, logs.expected.get(partition)]))
  expect(copied(place)).toHaveLength(logs.count)
}, 120_000)

/** Plain records, and transactions that end one way or the other, in all partitions, some open at once. */
class Traffic {
  readonly expected: string[] = []
  readonly #topic: string
  readonly #partitions: number
  readonly #producers: TestProducer[]
  #step = 0

  constructor(topic: string, partitions: number, producers: TestProducer[]) {
    this.#topic = topic
    this.#partitions = partitions
    this.#producers = producers
  }

  async step(): Promise<void> {
    this.#step += 1
    const step = this.#step
    const partition = step % this.#partitions
    const values = (kind: string) => Array.from({ length: 5 + (step % 9) }, (_, index) => `${kind}-${step}-${index}`)
    const plain = values('plain')
    await append(client, { topic: this.#topic, partition, records: records(...plain) })
    this.expected.push(...plain)
    const producer = this.#producers[step % this.#producers.length]
    if (producer === undefined) return
    const inTransaction = values('transaction')
    await producer.write(this.#topic, records(...inTransaction), partition)
    const commits = step % 3 !== 0
    const { errorCode } = await end(client, producer.handle, { commits, version: 4 })
    if (errorCode !== 0) throw new Error(`EndTxn: ${errorCode}`)
    await settledState(client, producer.transactionalId)
    if (commits) this.expected.push(...inTransaction)
  }
}

test('killed at any moment, restored at another parallelism, partitions added meanwhile: exactly the committed records, once and in order', async () => {
  const topic = uniqueName('killed')
  await createTopic(client, topic, 2)
  const ids = [uniqueName('id'), uniqueName('id')]
  const producers = await Promise.all(ids.map(async (id) => await TestProducer.init(client, id)))
  let traffic = new Traffic(topic, 2, producers)
  const expected: string[] = []
  using place = new Workplace()
  let kills = 0
  for (const [round, parallelism] of [1, 2, 2, 1].entries()) {
    const job = start(place, topic, `parallelism=${parallelism}`)
    const before = copied(place).length
    for (let step = 0; step < 8; step += 1) await traffic.step()
    await until(() => copied(place).length > before, `output of round ${round}`)
    if (round === 1) {
      await (await client.admin()).createPartitions({ topicPartitions: [{ topic, count: 4 }] })
      expected.push(...traffic.expected)
      traffic = new Traffic(topic, 4, producers)
      await until(
        async () =>
          await traffic.step().then(
            () => true,
            () => false,
          ),
        'the new partitions to have leaders',
      )
    }
    // Somewhere between two effects: the pace of the machine decides.
    const moment = (round * 37) % 60
    await Promise.all([sleep(moment), traffic.step()])
    job.child.kill('SIGKILL')
    await job.ended
    kills += 1
  }
  const job = start(place, topic, 'parallelism=2')
  // What the killed ones cannot have brought.
  await traffic.step()
  const all = (): number => expected.length + traffic.expected.length
  await until(() => copied(place).length >= all(), 'all records')
  job.child.kill('SIGTERM')
  expect(await job.ended).toMatchObject({ code: 143 })
  expect(kills).toBe(4)
  expected.push(...traffic.expected)
  const found = copied(place)
  expect(found.map(({ value }) => value).toSorted()).toEqual(expected.toSorted())
  // Files in the order of their names are in that of the commits of each partition's reader.
  for (const mine of Map.groupBy(found, ({ partition }) => partition).values()) {
    const offsets = mine.map(({ offset }) => offset)
    expect(offsets).toEqual(offsets.toSorted((one, other) => one - other))
  }
}, 180_000)
