/** A job with a Kafka sink, and what can happen to it beside a crash: its broker dies, it is down for too long, it wakes up too late. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { KafkaClient } from '../../../clients/kafka/client.ts'
import { END_TXN } from '../../../clients/kafka/wire/end-transaction.ts'
import { LIST_TRANSACTIONS } from '../../../clients/kafka/wire/transaction-states.ts'
import { KafkaBroker } from '../../../services/kafka/broker.ts'
import { consumeCommitted } from '../../../services/kafka/java-tools.ts'
import { KafkaProxy } from '../../clients/kafka/kafka-proxy.ts'
import { BROKER, createTopic, DEADLINE_MS, describeTransaction } from '../../clients/kafka/transactions.ts'
import { until, type Run } from '../../kills/run.ts'
import { committedValues } from './kafka-environment.ts'
import { COUNT, expectExact, expectNothingOpen, Orders, reached } from './orders.ts'

const TIMEOUT_MS = 240_000
const PARTITIONS = 3

let proxy: KafkaProxy
let broker: KafkaBroker
let client: KafkaClient

beforeAll(async () => {
  proxy = await KafkaProxy.start()
  broker = await KafkaBroker.start({ advertisedPort: proxy.port })
  proxy.forwardTo(broker.port)
  client = await KafkaClient.open({ brokers: [broker.directAddress] })
  await createTopic(client, 'exact', PARTITIONS)
  await createTopic(client, 'lost', PARTITIONS)
  // The first transactions of a new broker take seconds.
  using orders = ordersOf('first')
  await orders.run(0)
}, TIMEOUT_MS)

afterAll(async () => {
  await client[Symbol.asyncDispose]()
  await broker[Symbol.asyncDispose]()
  await proxy[Symbol.asyncDispose]()
})

const lives: string[] = []
function ordersOf(life: string, topic = 'exact'): Orders {
  if (topic === 'exact') lives.push(life)
  return new Orders({ life, broker: broker.address, topic })
}

/** Of the job: what its transactional ids begin with. */
async function openIds(life: string): Promise<readonly string[]> {
  const { transactions } = await client.persist(
    LIST_TRANSACTIONS,
    BROKER,
    { states: ['Ongoing'], producerIds: [] },
    { errorCodeOf: ({ errorCode }) => errorCode, deadlineMs: DEADLINE_MS },
  )
  return transactions.map(({ transactionalId }) => transactionalId).filter((id) => id.startsWith(`orders-${life}--`))
}

async function visibleIn(topic: string): Promise<readonly string[]> {
  const all: string[] = []
  for (let partition = 0; partition < PARTITIONS; partition += 1) {
    all.push(...(await committedValues(client, topic, partition)))
  }
  return all
}

/** Killed, with a commit that is due and was not sent. */
async function killedBeforeCommit(
  orders: Orders,
  settings: Readonly<Record<string, string | number>> = {},
): Promise<Run> {
  const trap = proxy.trap({ apiKey: END_TXN.key, action: 'cut-before', nth: 2 })
  const run = orders.start({ RATE: 200, ...settings })
  await reached(trap, run)
  run.kill()
  await run.expectCode(null)
  return run
}

test(
  'the broker is killed between prepare and commit, and in the middle of a run',
  { timeout: TIMEOUT_MS },
  async () => {
    using between = ordersOf('broker-between')
    await killedBeforeCommit(between)
    using within = ordersOf('broker-within')
    const running = within.start({ RATE: 200 })
    await until(() => within.log().some(({ committedThrough }) => committedThrough > 2), 'commits')
    await broker.kill()
    await broker.restart()
    const ended = await between.run(0)
    expect(ended.events('ended')).toMatchObject([{ state: 'FINISHED' }])
    await running.expectCode(0)
  },
)

test(
  'an EndTxn that arrives long after its sender gave it up, and used the id again, changes nothing (F30)',
  { timeout: TIMEOUT_MS },
  async () => {
    using orders = ordersOf('late-end')
    const trap = proxy.trap({ apiKey: END_TXN.key, action: 'hold-request', nth: 3 })
    const run = orders.start({ RATE: 80 })
    await reached(trap, run)
    const committed = (): number => orders.log().at(-1)?.committedThrough ?? 0
    const held = committed()
    await until(() => committed() > held + 15, 'it to go on')
    trap.release()
    await trap.answered
    await run.expectCode(0)
    expect(run.events('restarting')).toEqual([])
  },
)

test(
  'a process that is stopped, and wakes when its successor has taken over, changes nothing (F14)',
  { timeout: TIMEOUT_MS },
  async () => {
    using orders = ordersOf('zombie')
    const zombie = orders.start({ RATE: 200 })
    await until(() => orders.log().some(({ committedThrough }) => committedThrough > 2), 'commits')
    zombie.child.kill('SIGSTOP')
    const successor = orders.start({ RATE: 400 }, ['--take-over'])
    await until(
      () => orders.log().some(({ generation, committedThrough }) => generation > 1 && committedThrough > 8),
      'its commits',
    )
    zombie.child.kill('SIGCONT')
    await successor.expectCode(0)
    expect((await zombie.ended).code).toBe(3)
    expect(await openIds('zombie')).toEqual([])
  },
)

test(
  'commits that are pending are made at another parallelism, 2 to 3 to 1 (F34)',
  { timeout: TIMEOUT_MS },
  async () => {
    using orders = ordersOf('rescale')
    await killedBeforeCommit(orders, { PARALLELISM: 2 })
    expect(await openIds('rescale')).not.toEqual([])
    await killedBeforeCommit(orders, { PARALLELISM: 3 })
    await orders.run(0, { PARALLELISM: 1 })
    expect(await openIds('rescale')).toEqual([])
  },
)

test('epochs without records make no transactions', { timeout: TIMEOUT_MS }, async () => {
  using orders = ordersOf('quiet')
  // Ten records a second, in checkpoints of 5 ms.
  const before = proxy.seen(END_TXN.key)
  const run = orders.start({ INTERVAL_MS: 5, RATE: 10, COUNT: 10 })
  await run.expectCode(0)
  const completed = orders.log().filter(({ kind }) => kind === 'completed').length
  const ended = proxy.seen(END_TXN.key) - before
  expect(completed).toBeGreaterThan(ended * 2)
  expect(ended).toBeGreaterThan(0)
})

test('each of them is there once, in order by key, and nothing is open', { timeout: TIMEOUT_MS }, async () => {
  const consumed = await consumeCommitted({
    installation: broker.installation,
    address: broker.directAddress,
    topic: 'exact',
  })
  const whole = lives.filter((life) => life !== 'quiet')
  const facts = expectExact(consumed, whole) + expectExact(consumed, ['quiet'], 10)
  expect(consumed).toHaveLength(facts)
  await expectNothingOpen(client, 'exact', PARTITIONS)
})

test(
  'prepared records whose time is up while the job is down fail it, named, and the output stays as it was (F18)',
  { timeout: TIMEOUT_MS },
  async () => {
    using orders = ordersOf('late', 'lost')
    const settings = { TRANSACTION_TIMEOUT_MS: 1_500 }
    await killedBeforeCommit(orders, settings)
    // The first of them is due; one behind it may have been open.
    const [id = ''] = (await openIds('late')).toSorted()
    await expect
      .poll(async () => (await describeTransaction(client, id)).state, { timeout: DEADLINE_MS })
      .toBe('CompleteAbort')
    const before = await visibleIn('lost')
    for (let time = 0; time < 2; time += 1) {
      const run = await orders.run(1, settings)
      const reason = String(run.events('ended')[0]?.['reason'])
      expect(reason).toContain('sink "out" subtask 0')
      expect(reason).toContain(id)
      expect(reason).toMatch(/producer id \d+, producer epoch \d+\) with \d+ records, begun at 20/)
      expect(reason).toContain('open for longer than its timeout')
      expect(reason).toContain('--accept-loss')
    }
    await expectNothingOpen(client, 'lost', PARTITIONS)
    expect(await visibleIn('lost')).toEqual(before)
    expect(before.length).toBeGreaterThan(0)
    expect(before.length).toBeLessThan(COUNT)
  },
)
