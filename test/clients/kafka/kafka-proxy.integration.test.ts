/** The proxy does to a request what it says, and the broker's side of it is as expected: the client's tests of failures stand on it. */
import { afterAll, beforeAll, beforeEach, afterEach, describe, expect, test } from 'vitest'
import { KafkaClient } from '../../../clients/kafka/client.ts'
import { END_TXN } from '../../../clients/kafka/wire/end-transaction.ts'
import { INIT_PRODUCER_ID } from '../../../clients/kafka/wire/init-producer-id.ts'
import { PRODUCE } from '../../../clients/kafka/wire/produce.ts'
import { RetryableError } from '../../../engine/api/index.ts'
import { KafkaBroker } from '../../../services/kafka/broker.ts'
import { uniqueName } from '../../services/kafka.ts'
import { KafkaProxy, type TrapAction } from './kafka-proxy.ts'
import {
  append,
  coordinatorOf,
  createTopic,
  describeTransaction,
  end,
  offsetOf,
  records,
  settledState,
  TestProducer,
} from './transactions.ts'

/** A broker starts anew, on a machine that may do much else. */
const SLOW = { timeout: 180_000 }
const COMMIT = { commits: true, version: 4 }

let proxy: KafkaProxy
let broker: KafkaBroker
/** Past the proxy. */
let watcher: KafkaClient
beforeAll(async () => {
  proxy = await KafkaProxy.start()
  broker = await KafkaBroker.start({ advertisedPort: proxy.port })
  proxy.forwardTo(broker.port)
  watcher = await KafkaClient.open({ brokers: [broker.directAddress] })
  await createTopic(watcher, 'data')
})
afterAll(async () => {
  await watcher[Symbol.asyncDispose]()
  await broker[Symbol.asyncDispose]()
  await proxy[Symbol.asyncDispose]()
})

/** Through the proxy. */
let client: KafkaClient
beforeEach(async () => {
  client = await KafkaClient.open({ brokers: [broker.address] })
})
afterEach(async () => {
  await client[Symbol.asyncDispose]()
})

async function prepared(): Promise<TestProducer> {
  const producer = await TestProducer.init(client, uniqueName('id'))
  await producer.write('data', records('prepared'))
  return producer
}

/** One request, without asking again. */
async function commitOnce({ handle }: TestProducer): Promise<number | 'no answer'> {
  try {
    const request = { ...handle, commits: true }
    const answer = await client.ask(END_TXN, coordinatorOf(handle.transactionalId), request, { version: 4 })
    return answer.errorCode
  } catch (error) {
    if (error instanceof RetryableError) return 'no answer'
    throw error
  }
}

test('a client of the advertised address is led back to the proxy, one of the direct address past it', async () => {
  const [through] = (await client.metadata([])).brokers
  expect(through?.port).toBe(proxy.port)
  const [direct] = (await watcher.metadata([])).brokers
  expect(direct?.port).not.toBe(proxy.port)
  const before = proxy.seen(PRODUCE.key)
  await append(client, { topic: 'data', records: records('one') })
  await append(watcher, { topic: 'data', records: records('two') })
  expect(proxy.seen(PRODUCE.key)).toBe(before + 1)
})

describe('what became of an EndTxn', () => {
  const cases: readonly (readonly [TrapAction, answer: number | 'no answer', state: string])[] = [
    ['cut-before', 'no answer', 'Ongoing'],
    ['cut-after', 'no answer', 'CompleteCommit'],
    // What kafkajs keeps of the half must not be taken for the beginning of the next answer.
    ['cut-within', 'no answer', 'CompleteCommit'],
    [{ delayMs: 50 }, 0, 'CompleteCommit'],
  ]
  test.each(cases)('%j', async (action, answer, state) => {
    const producer = await prepared()
    const trap = proxy.trap({ apiKey: END_TXN.key, action })
    expect(await commitOnce(producer)).toBe(answer)
    await trap.reached
    expect((await settledState(watcher, producer.transactionalId)).state).toBe(state)
    // Asked again it is committed, once.
    expect((await end(client, producer.handle, COMMIT)).errorCode).toBe(0)
    expect((await settledState(watcher, producer.transactionalId)).state).toBe('CompleteCommit')
  })

  test('held before the broker: nothing has happened until it is released', async () => {
    const producer = await prepared()
    const trap = proxy.trap({ apiKey: END_TXN.key, action: 'hold-request' })
    const committed = commitOnce(producer)
    await trap.reached
    expect((await describeTransaction(watcher, producer.transactionalId)).state).toBe('Ongoing')
    trap.release()
    expect(await committed).toBe(0)
  })

  test('held behind the broker: it has happened, and the client hears of it when it is released', async () => {
    const producer = await prepared()
    const trap = proxy.trap({ apiKey: END_TXN.key, action: 'hold-reply' })
    let answer: number | string | undefined
    const committed = commitOnce(producer).then((code) => (answer = code))
    await trap.reached
    expect((await settledState(watcher, producer.transactionalId)).state).toBe('CompleteCommit')
    expect(answer).toBeUndefined()
    trap.release()
    expect(await committed).toBe(0)
  })

  test('held until its process is gone and the id belongs to the next one: it does not touch what that one writes', async () => {
    const producer = await prepared()
    const trap = proxy.trap({ apiKey: END_TXN.key, action: 'hold-request' })
    const late = commitOnce(producer)
    await trap.reached
    await client[Symbol.asyncDispose]()
    expect(await late).toBe('no answer')
    const next = await TestProducer.init(watcher, producer.transactionalId)
    await next.write('data', records('of the next one'))
    trap.release()
    await trap.answered
    const { state, producerEpoch } = await describeTransaction(watcher, producer.transactionalId)
    expect([state, producerEpoch]).toEqual(['Ongoing', next.handle.producerEpoch])
    expect((await end(watcher, next.handle, { ...COMMIT, commits: false })).errorCode).toBe(0)
  })
})

test('a reply that is lost: the request was carried out, the client gives up at its timeout, and asks again', async () => {
  await using hasty = await KafkaClient.open({ brokers: [broker.address], requestTimeout: 1_000 })
  const transactionalId = uniqueName('id')
  const trap = proxy.trap({ apiKey: INIT_PRODUCER_ID.key, action: 'drop-reply' })
  const producer = await TestProducer.init(hasty, transactionalId)
  await trap.reached
  // The first try took epoch 0.
  expect(producer.handle.producerEpoch).toBe(1)
})

test('the second of several requests can be meant', async () => {
  const before = await offsetOf(watcher, 'data', 'end')
  const trap = proxy.trap({ apiKey: PRODUCE.key, action: 'cut-before', nth: 2 })
  await append(client, { topic: 'data', records: records('one') })
  await expect(append(client, { topic: 'data', records: records('two') })).rejects.toThrow(/^no answer from Kafka/)
  await trap.reached
  await append(client, { topic: 'data', records: records('three') })
  expect(await offsetOf(watcher, 'data', 'end')).toBe(before + 2)
})

test('it goes on when the broker was killed and is back, and when all connections were cut', SLOW, async () => {
  const producer = await prepared()
  await broker.kill()
  expect(await commitOnce(producer)).toBe('no answer')
  await broker.restart()
  proxy.cutAll()
  expect((await end(client, producer.handle, COMMIT)).errorCode).toBe(0)
  expect((await settledState(client, producer.transactionalId)).state).toBe('CompleteCommit')
})
