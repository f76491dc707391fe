/**
 * A job that is killed at a request boundary of its Kafka sink, or at a random moment, and started again: Kafka's own console consumer sees each
 * record once, and nothing is left open.
 */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { KafkaClient } from '../../../clients/kafka/client.ts'
import { ADD_OFFSETS_TO_TXN, ADD_PARTITIONS_TO_TXN } from '../../../clients/kafka/wire/add-to-transaction.ts'
import { END_TXN } from '../../../clients/kafka/wire/end-transaction.ts'
import { TXN_OFFSET_COMMIT } from '../../../clients/kafka/wire/group-offsets.ts'
import { INIT_PRODUCER_ID } from '../../../clients/kafka/wire/init-producer-id.ts'
import { PRODUCE } from '../../../clients/kafka/wire/produce.ts'
import { DESCRIBE_TRANSACTIONS } from '../../../clients/kafka/wire/transaction-states.ts'
import { KafkaBroker } from '../../../services/kafka/broker.ts'
import { consumeCommitted } from '../../../services/kafka/java-tools.ts'
import { KafkaProxy, type TrapAction } from '../../clients/kafka/kafka-proxy.ts'
import { createTopic } from '../../clients/kafka/transactions.ts'
import { until } from '../../kills/run.ts'
import { expectExact, expectNothingOpen, Orders, reached } from './orders.ts'

const IS_LONG = process.env['SLUICE_KILLS'] === 'all'
const TOPIC = 'orders'
const PARTITIONS = 3
const TIMEOUT_MS = 240_000

let proxy: KafkaProxy
let broker: KafkaBroker
let client: KafkaClient
const lives: string[] = []
/** A busy machine must not get through with fewer transactions than a trap waits for. */
const SLOW = { RATE: 250 }

beforeAll(async () => {
  proxy = await KafkaProxy.start()
  broker = await KafkaBroker.start({ advertisedPort: proxy.port })
  proxy.forwardTo(broker.port)
  client = await KafkaClient.open({ brokers: [broker.directAddress] })
  await createTopic(client, TOPIC, PARTITIONS)
  // The first transactions of a new broker take seconds.
  using orders = ordersOf('first')
  await orders.run(0)
}, TIMEOUT_MS)

afterAll(async () => {
  await client[Symbol.asyncDispose]()
  await broker[Symbol.asyncDispose]()
  await proxy[Symbol.asyncDispose]()
})

const nameOf = (action: TrapAction): string => (typeof action === 'string' ? action : 'late')

function ordersOf(life: string): Orders {
  lives.push(life)
  return new Orders({ life, broker: broker.address, topic: TOPIC })
}

const requests = {
  init: INIT_PRODUCER_ID,
  'add-partitions': ADD_PARTITIONS_TO_TXN,
  'add-offsets': ADD_OFFSETS_TO_TXN,
  produce: PRODUCE,
  witness: TXN_OFFSET_COMMIT,
  end: END_TXN,
} as const
type Request = keyof typeof requests

/** Before the broker has it, when it has it and nobody is left who sent it, and when it has answered. */
const AROUND: readonly TrapAction[] = ['cut-before', 'hold-request', 'hold-reply']
const killedAt: Readonly<Record<Request, readonly TrapAction[]>> = {
  init: IS_LONG ? AROUND : ['hold-request'],
  'add-partitions': IS_LONG ? AROUND : ['hold-reply'],
  'add-offsets': IS_LONG ? AROUND : ['hold-request'],
  produce: IS_LONG ? AROUND : ['hold-request', 'hold-reply'],
  witness: IS_LONG ? AROUND : ['hold-reply'],
  end: AROUND,
}

for (const [request, actions] of Object.entries(killedAt) as [Request, readonly TrapAction[]][]) {
  for (const action of actions) {
    test(`killed at ${request}, ${nameOf(action)}`, { timeout: TIMEOUT_MS }, async () => {
      using orders = ordersOf(`${request}-${nameOf(action)}`)
      const trap = proxy.trap({ apiKey: requests[request].key, action, nth: 2 })
      const first = orders.start(SLOW)
      await reached(trap, first)
      first.kill()
      await first.expectCode(null)
      // What was held arrives now, though its sender is gone.
      trap.release()
      const run = await orders.run(0)
      expect(run.events('ended')).toMatchObject([{ state: 'FINISHED' }])
    })
  }
}

const UNCLEAR: readonly TrapAction[] = ['cut-before', 'cut-after', 'cut-within', 'drop-reply', { delayMs: 500 }]
const survives: Readonly<Record<Request, readonly TrapAction[]>> = {
  init: IS_LONG ? UNCLEAR : ['cut-after'],
  'add-partitions': IS_LONG ? UNCLEAR : ['drop-reply'],
  'add-offsets': IS_LONG ? UNCLEAR : [],
  produce: IS_LONG ? UNCLEAR : ['cut-after', 'drop-reply'],
  witness: IS_LONG ? UNCLEAR : ['cut-within'],
  end: IS_LONG ? UNCLEAR : ['cut-before', 'drop-reply'],
}

for (const [request, actions] of Object.entries(survives) as [Request, readonly TrapAction[]][]) {
  for (const action of actions) {
    test(`goes on after ${request}, ${nameOf(action)}`, { timeout: TIMEOUT_MS }, async () => {
      using orders = ordersOf(`on-${request}-${nameOf(action)}`)
      const trap = proxy.trap({ apiKey: requests[request].key, action, nth: 2 })
      const run = orders.start(SLOW)
      await reached(trap, run)
      await run.expectCode(0)
      expect(run.events('restarting')).toEqual([])
    })
  }
}

test(
  'a successor that is killed while it looks at what is due is followed by one that commits it',
  { timeout: TIMEOUT_MS },
  async () => {
    using orders = ordersOf('recovery')
    const end = proxy.trap({ apiKey: END_TXN.key, action: 'cut-before', nth: 2 })
    const first = orders.start(SLOW)
    await reached(end, first)
    first.kill()
    await first.expectCode(null)
    const look = proxy.trap({ apiKey: DESCRIBE_TRANSACTIONS.key, action: 'hold-reply' })
    const second = orders.start()
    await reached(look, second)
    second.kill()
    await second.expectCode(null)
    look.release()
    const run = await orders.run(0)
    expect(run.events('ended')).toMatchObject([{ state: 'FINISHED' }])
  },
)

test('killed at random moments', { timeout: TIMEOUT_MS }, async () => {
  using orders = ordersOf('random')
  let killed = 0
  for (let kill = 0; kill < (IS_LONG ? 20 : 3); kill += 1) {
    const run = orders.start(SLOW)
    const before = orders.log().length
    const goal = before + 1 + Math.floor(Math.random() * 8)
    let isOver = false
    void run.exited.then(() => (isOver = true))
    await until(() => isOver || orders.log().length >= goal, 'the job to get on')
    run.kill()
    if ((await run.ended).signal === 'SIGKILL') killed += 1
  }
  expect(killed).toBeGreaterThan(0)
  await orders.run(0)
})

test(
  'of all of them the console consumer sees each record once, in order by key, and nothing is open',
  { timeout: TIMEOUT_MS },
  async () => {
    const consumed = await consumeCommitted({
      installation: broker.installation,
      address: broker.directAddress,
      topic: TOPIC,
    })
    const facts = expectExact(consumed, lives)
    expect(consumed).toHaveLength(facts)
    await expectNothingOpen(client, TOPIC, PARTITIONS)
  },
)
