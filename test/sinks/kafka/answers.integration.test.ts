/** What the committer makes of a prepared transaction, in every state that a real broker can have it in. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { KafkaClient } from '../../../clients/kafka/client.ts'
import { kafkaTransactionCodec, witnessGroup, type KafkaTransaction } from '../../../sinks/kafka/committable.ts'
import { SinkGeneration, type StoredCommit } from '../../conformance/sink-generation.ts'
import {
  committedOffset,
  DEADLINE_MS,
  describeTransaction,
  end,
  settledState,
  TestProducer,
} from '../../clients/kafka/transactions.ts'
import { kafkaEnvironment, type KafkaEnvironment } from './kafka-environment.ts'

interface Prepared {
  readonly environment: KafkaEnvironment
  readonly client: KafkaClient
  readonly job: SinkGeneration<number, KafkaTransaction, never>
  readonly handle: KafkaTransaction
  readonly stored: readonly StoredCommit[]
}

const SHORT_TIMEOUT_MS = 1_000

/** Beside the codec nothing is shared with who prepared it. */
function handleOf(stored: readonly StoredCommit[]): KafkaTransaction {
  const [only] = stored
  if (only === undefined) throw new Error('nothing was prepared')
  return kafkaTransactionCodec.decode(only.bytes, only.version)
}

async function endIt({ client, handle }: Prepared, commits: boolean): Promise<void> {
  expect((await end(client, handle, { commits, version: handle.endTxnVersion })).errorCode).toBe(0)
  await settledState(client, handle.transactionalId)
}

async function timedOut({ client, handle }: Prepared): Promise<void> {
  await expect
    .poll(async () => (await describeTransaction(client, handle.transactionalId)).state, { timeout: DEADLINE_MS })
    .toBe('CompleteAbort')
}

/** What became of it, and how many of its records are visible in the end. */
interface Expected {
  readonly outcome: string
  readonly visible: number
  readonly reason?: RegExp
  readonly inspected: string
}

const situations = {
  'it is open': async () => await Promise.resolve(),
  'it was committed, and nobody noted it': async (prepared) => await endIt(prepared, true),
  'it was aborted by hand': async (prepared) => await endIt(prepared, false),
  'it timed out': timedOut,
  'it was committed, and its id initialised': async (prepared) => {
    await endIt(prepared, true)
    await TestProducer.init(prepared.client, prepared.handle.transactionalId)
  },
  'its id was initialised while it was open': async ({ client, handle }) => {
    await TestProducer.init(client, handle.transactionalId)
  },
  'it timed out, and its id was initialised': async (prepared) => {
    await timedOut(prepared)
    await TestProducer.init(prepared.client, prepared.handle.transactionalId)
  },
  'it was committed, its id is in use, and the next transaction is open': async ({
    client,
    handle,
    environment,
    ...all
  }) => {
    await endIt({ client, handle, environment, ...all }, true)
    const next = await TestProducer.init(client, handle.transactionalId)
    await next.write(environment.topic, [{ key: null, value: '99', timestamp: 0 }])
    const errorCode = await next.commitOffset(witnessGroup(handle.transactionalId), environment.topic, handle.use + 1)
    if (errorCode !== 0) throw new Error(`the next witness: ${errorCode}`)
  },
} satisfies Readonly<Record<string, (prepared: Prepared) => Promise<void>>>
type Situation = keyof typeof situations

const expected: Readonly<Record<Situation, Expected>> = {
  'it is open': { outcome: 'committed', visible: 2, inspected: 'prepared' },
  'it was committed, and nobody noted it': { outcome: 'already-committed', visible: 2, inspected: 'committed' },
  'it was aborted by hand': { outcome: 'lost', visible: 0, reason: /aborted by a request/, inspected: 'gone' },
  'it timed out': { outcome: 'lost', visible: 0, reason: /longer than its timeout/, inspected: 'gone' },
  'it was committed, and its id initialised': { outcome: 'already-committed', visible: 2, inspected: 'committed' },
  'its id was initialised while it was open': { outcome: 'lost', visible: 0, reason: /initialised/, inspected: 'gone' },
  'it timed out, and its id was initialised': { outcome: 'lost', visible: 0, reason: /initialised/, inspected: 'gone' },
  'it was committed, its id is in use, and the next transaction is open': {
    outcome: 'already-committed',
    visible: 2,
    inspected: 'committed',
  },
}

let environment: KafkaEnvironment
beforeAll(async () => {
  environment = await kafkaEnvironment()
})
afterAll(async () => {
  await environment[Symbol.asyncDispose]()
})

async function prepare(own: KafkaEnvironment): Promise<Prepared> {
  const job = new SinkGeneration<number, KafkaTransaction, never>(own, { generation: 1 })
  await job.open()
  await job.write([1, 2])
  const stored = await job.prepare()
  return { environment: own, client: own.client, job, handle: handleOf(stored), stored }
}

describe.each(Object.keys(situations) as readonly Situation[])('when %s', (name) => {
  test(`the answer of another process is ${expected[name].outcome}, again and again`, async () => {
    const shortens = name.startsWith('it timed out')
    await using own = await kafkaEnvironment(shortens ? { transactionTimeoutMs: SHORT_TIMEOUT_MS } : {})
    const prepared = await prepare(own)
    await using _job = prepared.job
    await situations[name](prepared)
    await using other = new SinkGeneration<number, KafkaTransaction, never>(own, { generation: 2 })
    expect(await other.inspect(prepared.stored)).toEqual([expected[name].inspected])
    const [outcome] = await other.commit(prepared.stored)
    expect(outcome?.kind).toBe(expected[name].outcome)
    const reason = outcome?.kind === 'lost' ? outcome.reason : ''
    expect(reason).toMatch(expected[name].reason ?? /^$/)
    const named = reason.includes(prepared.handle.transactionalId) && reason.includes('with 2 records')
    expect(named).toBe(outcome?.kind === 'lost')
    const [again] = await other.commit(prepared.stored)
    expect(again?.kind).toBe(outcome?.kind === 'lost' ? 'lost' : 'already-committed')
    expect(await own.readVisible()).toHaveLength(expected[name].visible)
  })
})

test('an id that the broker does not know is lost, with what may be the reason', async () => {
  await using job = new SinkGeneration<number, KafkaTransaction, never>(environment, { generation: 1 })
  const prepared = await prepare(environment)
  await using _prepared = prepared.job
  const unknown: KafkaTransaction = { ...prepared.handle, transactionalId: 'conformance--nobody' }
  const [stored] = prepared.stored
  if (stored === undefined) throw new Error('nothing was prepared')
  const [outcome] = await job.commit([{ ...stored, bytes: kafkaTransactionCodec.encode(unknown) }])
  expect(outcome).toMatchObject({ kind: 'lost' })
  expect(outcome?.kind === 'lost' && outcome.reason).toMatch(/does not know its id/)
})

test('an EndTxn that comes late does not touch the next transaction of its id (F30)', async () => {
  await using own = await kafkaEnvironment()
  const { job, handle, client, stored } = await prepare(own)
  await using _job = job
  await job.commitUntilClear(stored)
  job.settle()
  // The id rests until the others before it have been used.
  const due: StoredCommit[] = []
  let next: KafkaTransaction
  do {
    await job.write([3])
    const prepared = await job.prepare()
    next = handleOf(prepared)
    due.push(...prepared)
  } while (next.transactionalId !== handle.transactionalId)
  expect(next.use).toBe(2)
  for (const commits of [true, false]) {
    expect((await end(client, handle, { commits, version: handle.endTxnVersion })).errorCode).toBe(90)
    expect((await end(client, handle, { commits, version: 1 })).errorCode).toBe(47)
  }
  expect(await own.readVisible()).toEqual([1, 2])
  await job.commitUntilClear(due)
  expect(await own.readVisible()).toEqual([1, 2, ...due.map(() => 3)])
})

test('the witness is there with the commit, in one group per id, which goes with the sweep of a newer generation', async () => {
  await using own = await kafkaEnvironment()
  const { job, handle, client, stored } = await prepare(own)
  await using _job = job
  const group = witnessGroup(handle.transactionalId)
  await job.commitUntilClear(stored)
  await expect
    .poll(async () => await committedOffset(client, group, own.topic), { timeout: DEADLINE_MS })
    .toBe(handle.use)
  await using next = new SinkGeneration<number, KafkaTransaction, never>(own, { generation: 2 })
  await next.abortStale(stored)
  expect(await committedOffset(client, group, own.topic)).toBe(handle.use)
  await next.abortStale()
  expect(await committedOffset(client, group, own.topic)).toBe(-1)
})

test('an epoch without records takes no id', async () => {
  await using own = await kafkaEnvironment()
  const { job, handle, stored } = await prepare(own)
  await using _job = job
  for (let epoch = 0; epoch < 50; epoch += 1) expect(await job.prepare()).toEqual([])
  await job.write([3])
  const later = handleOf(await job.prepare())
  expect(later.transactionalId.replace(/\d+$/, '')).toBe(handle.transactionalId.replace(/\d+$/, ''))
  expect(Number(later.transactionalId.slice(-9)) - Number(handle.transactionalId.slice(-9))).toBe(1)
  await job.commitUntilClear(stored)
})
