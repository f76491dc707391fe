/** What a broker answers to EndTxn, and says of a transaction, in every state that one can be in: what commits and recovery stand on. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { KafkaClient } from '../../../clients/kafka/client.ts'
import type { TransactionProducer } from '../../../clients/kafka/wire/add-to-transaction.ts'
import { END_TXN } from '../../../clients/kafka/wire/end-transaction.ts'
import { KafkaBroker } from '../../../services/kafka/broker.ts'
import { sharedKafka, uniqueName } from '../../services/kafka.ts'
import {
  committedOffset,
  coordinatorOf,
  createTopic,
  DEADLINE_MS,
  describeTransaction,
  end,
  offsetOf,
  records,
  settledState,
  TestProducer,
} from './transactions.ts'

/** A broker starts anew, on a machine that may do much else. */
const SLOW = { timeout: 180_000 }

const VERSIONS = ['v1', 'v4', 'v5'] as const
type Version = (typeof VERSIONS)[number]
const numberOf: Readonly<Record<Version, number>> = { v1: 1, v4: 4, v5: 5 }

/** A prepared transaction of a process that is gone: its handle is all that is left. */
interface Prepared {
  readonly client: KafkaClient
  readonly handle: TransactionProducer
  readonly version: number
}

type Situation = (prepared: Prepared) => Promise<void>

const commit = async ({ client, handle }: Prepared, version: number): Promise<number> =>
  (await end(client, handle, { commits: true, version })).errorCode
const abort = async ({ client, handle }: Prepared, version: number): Promise<number> =>
  (await end(client, handle, { commits: false, version })).errorCode

async function ended({ client, handle, version }: Prepared, commits: boolean, by = version): Promise<void> {
  const { errorCode } = await end(client, handle, { commits, version: by })
  expect(errorCode).toBe(0)
  await settledState(client, handle.transactionalId)
}

const situations = {
  'it is open': async () => await Promise.resolve(),
  'it was committed': async (prepared) => await ended(prepared, true),
  'it was committed by a version of the other family': async (prepared) =>
    await ended(prepared, true, prepared.version === 5 ? 4 : 5),
  'it was aborted': async (prepared) => await ended(prepared, false),
  'its id was initialised again': async ({ client, handle }) => {
    await TestProducer.init(client, handle.transactionalId)
  },
  'it timed out': async ({ client, handle }) => {
    await untilState(client, handle.transactionalId, 'CompleteAbort')
  },
} satisfies Readonly<Record<string, Situation>>
type SituationName = keyof typeof situations

const SHORT_TIMEOUT_MS = 1_000

async function untilState(client: KafkaClient, transactionalId: string, state: string): Promise<void> {
  await expect
    .poll(async () => (await describeTransaction(client, transactionalId)).state, { timeout: DEADLINE_MS })
    .toBe(state)
}

async function prepare(client: KafkaClient, topic: string, version: Version, timeoutMs?: number): Promise<Prepared> {
  const producer = await TestProducer.init(client, uniqueName('id'), timeoutMs)
  await producer.write(topic, records('prepared'))
  return { client, handle: producer.handle, version: numberOf[version] }
}

let client: KafkaClient
let topic = ''
beforeAll(async () => {
  client = await KafkaClient.open({ brokers: [await sharedKafka()] })
  topic = uniqueName('topic')
  await createTopic(client, topic)
})
afterAll(async () => {
  await client[Symbol.asyncDispose]()
})

type Answers = Readonly<Record<SituationName, Readonly<Record<Version, number>>>>

/** Error codes: 0 none, 47 INVALID_PRODUCER_EPOCH, 48 INVALID_TXN_STATE, 90 PRODUCER_FENCED. */
const toCommit: Answers = {
  'it is open': { v1: 0, v4: 0, v5: 0 },
  'it was committed': { v1: 0, v4: 0, v5: 0 },
  // Version 5 cannot tell it from an abort, though it is committed: a retry must keep the version of the first try.
  'it was committed by a version of the other family': { v1: 47, v4: 90, v5: 48 },
  'it was aborted': { v1: 48, v4: 48, v5: 48 },
  'its id was initialised again': { v1: 47, v4: 90, v5: 90 },
  // Version 1 answers as if it were fenced.
  'it timed out': { v1: 47, v4: 90, v5: 48 },
}
const toAbort: Answers = {
  'it is open': { v1: 0, v4: 0, v5: 0 },
  'it was committed': { v1: 48, v4: 48, v5: 48 },
  // Version 5 takes it for an abort of nothing: 0, a new epoch, and what was committed stays committed.
  'it was committed by a version of the other family': { v1: 47, v4: 90, v5: 0 },
  'it was aborted': { v1: 0, v4: 0, v5: 0 },
  'its id was initialised again': { v1: 47, v4: 90, v5: 90 },
  'it timed out': { v1: 47, v4: 90, v5: 0 },
}

describe.each(VERSIONS)('EndTxn %s', (version) => {
  for (const name of Object.keys(situations) as readonly SituationName[]) {
    test(`answers as expected when ${name}`, async () => {
      const timeoutMs = name === 'it timed out' ? SHORT_TIMEOUT_MS : undefined
      const first = await prepare(client, topic, version, timeoutMs)
      const second = await prepare(client, topic, version, timeoutMs)
      await Promise.all([situations[name](first), situations[name](second)])
      expect(await commit(first, numberOf[version])).toBe(toCommit[name][version])
      expect(await abort(second, numberOf[version])).toBe(toAbort[name][version])
    })
  }

  test('answers 49 for an id that nobody has used', async () => {
    const handle = { transactionalId: uniqueName('id'), producerId: 1, producerEpoch: 0 }
    expect(await commit({ client, handle, version: numberOf[version] }, numberOf[version])).toBe(49)
  })

  test('asked again at once answers 0 or 51, and 0 in the end', async () => {
    const prepared = await prepare(client, topic, version)
    const ask = async (): Promise<number> =>
      (
        await client.ask(
          END_TXN,
          coordinatorOf(prepared.handle.transactionalId),
          { ...prepared.handle, commits: true },
          { version: numberOf[version] },
        )
      ).errorCode
    const answers = await Promise.all([ask(), ask(), ask()])
    expect([0, 51]).toEqual(expect.arrayContaining(answers))
    expect(await commit(prepared, numberOf[version])).toBe(0)
  })
})

type Described = Readonly<Record<SituationName, Readonly<Record<Version, readonly [state: string, epochs: number]>>>>

/** The state, and how many epochs the broker is ahead of the handle. */
const described: Described = {
  'it is open': { v1: ['Ongoing', 0], v4: ['Ongoing', 0], v5: ['Ongoing', 0] },
  'it was committed': { v1: ['CompleteCommit', 0], v4: ['CompleteCommit', 0], v5: ['CompleteCommit', 1] },
  'it was committed by a version of the other family': {
    v1: ['CompleteCommit', 1],
    v4: ['CompleteCommit', 1],
    v5: ['CompleteCommit', 0],
  },
  'it was aborted': { v1: ['CompleteAbort', 0], v4: ['CompleteAbort', 0], v5: ['CompleteAbort', 1] },
  'its id was initialised again': { v1: ['Empty', 2], v4: ['Empty', 2], v5: ['Empty', 2] },
  'it timed out': { v1: ['CompleteAbort', 1], v4: ['CompleteAbort', 1], v5: ['CompleteAbort', 1] },
}

describe.each(VERSIONS)('DescribeTransactions, after what %s did', (version) => {
  for (const name of Object.keys(situations) as readonly SituationName[]) {
    test(`tells when ${name}`, async () => {
      const prepared = await prepare(client, topic, version, name === 'it timed out' ? SHORT_TIMEOUT_MS : undefined)
      await situations[name](prepared)
      const { state, producerEpoch, producerId } = await describeTransaction(client, prepared.handle.transactionalId)
      expect([state, producerEpoch - prepared.handle.producerEpoch]).toEqual(described[name][version])
      expect(producerId).toBe(prepared.handle.producerId)
    })
  }
})

test('an id that nobody has used is described by error 105', async () => {
  expect(await describeTransaction(client, uniqueName('id'))).toMatchObject({ errorCode: 105, state: undefined })
})

describe('between transactions of one id', () => {
  const COMMIT = { commits: true, version: 4 }

  test('a commit that is repeated late makes the next one visible, half written, unless the id is initialised between', async () => {
    const own = uniqueName('topic')
    await createTopic(client, own)
    const leaky = await TestProducer.init(client, uniqueName('id'))
    await leaky.write(own, records('first'))
    await ended({ client, handle: leaky.handle, version: 4 }, true)
    await leaky.write(own, records('second, half written'))
    expect((await end(client, leaky.handle, COMMIT)).errorCode).toBe(0)
    await settledState(client, leaky.transactionalId)
    expect(await offsetOf(client, own, 'stable')).toBe(4)

    const strict = await TestProducer.init(client, uniqueName('id'))
    await strict.write(own, records('first'))
    await ended({ client, handle: strict.handle, version: 4 }, true)
    const next = await TestProducer.init(client, strict.transactionalId)
    await next.write(own, records('second, half written'))
    expect((await end(client, strict.handle, COMMIT)).errorCode).toBe(90)
    expect((await end(client, strict.handle, { ...COMMIT, version: 1 })).errorCode).toBe(47)
    expect((await describeTransaction(client, next.transactionalId)).state).toBe('Ongoing')
    await ended({ client, handle: next.handle, version: 4 }, false)
  })

  test('AddOffsetsToTxn on one that was aborted begins a new one, which then commits without its data', async () => {
    const own = uniqueName('topic')
    await createTopic(client, own)
    const group = uniqueName('group')
    const producer = await TestProducer.init(client, uniqueName('id'))
    await producer.write(own, records('lost'))
    await ended({ client, handle: producer.handle, version: 4 }, false)
    expect(await producer.commitOffset(group, own, 1)).toBe(0)
    await ended({ client, handle: producer.handle, version: 4 }, true)
    expect(await committedOffset(client, group, own)).toBe(1)
  })

  test('the witness appears with the commit and never otherwise; after the end it is refused', async () => {
    const groups = { committed: uniqueName('group'), aborted: uniqueName('group') }
    for (const [outcome, group] of Object.entries(groups)) {
      const producer = await TestProducer.init(client, uniqueName('id'))
      await producer.write(topic, records('data'))
      expect(await producer.commitOffset(group, topic, 7)).toBe(0)
      await ended({ client, handle: producer.handle, version: 4 }, outcome === 'committed')
      // INVALID_TXN_STATE, and since version 4 TRANSACTION_ABORTABLE.
      expect(await producer.commitOffsetOnly(group, topic, { offset: 8, version: 3 })).toBe(48)
      expect(await producer.commitOffsetOnly(group, topic, { offset: 8, version: 4 })).toBe(120)
    }
    expect(await committedOffset(client, groups.committed, topic)).toBe(7)
    expect(await committedOffset(client, groups.aborted, topic)).toBe(-1)
  })
})

test('a timeout of nothing, or above what the broker allows, is refused', async () => {
  await expect(TestProducer.init(client, uniqueName('id'), 0)).rejects.toThrow('InitProducerId: 50')
  await expect(TestProducer.init(client, uniqueName('id'), 900_001)).rejects.toThrow('InitProducerId: 50')
})

describe('a broker that is killed, or forgets', () => {
  let broker: KafkaBroker
  let own: KafkaClient
  beforeAll(async () => {
    broker = await KafkaBroker.start({ settings: { 'transactional.id.expiration.ms': '2000' } })
    own = await KafkaClient.open({ brokers: [broker.address] })
    await createTopic(own, 'data')
  })
  afterAll(async () => {
    await own[Symbol.asyncDispose]()
    await broker[Symbol.asyncDispose]()
  })

  test(
    'commits after its restart what was prepared before, and what it was killed in the middle of, once',
    SLOW,
    async () => {
      const before = await offsetOf(own, 'data', 'end')
      const prepared = await Promise.all(VERSIONS.map(async (version) => await prepare(own, 'data', version)))
      const inFlight = await Promise.all(VERSIONS.map(async (version) => await prepare(own, 'data', version)))
      const asked = inFlight.map(async ({ handle, version }) =>
        own
          .ask(END_TXN, coordinatorOf(handle.transactionalId), { ...handle, commits: true }, { version })
          .catch((error: unknown) => error),
      )
      await broker.kill()
      await Promise.all(asked)
      await broker.restart()
      for (const one of [...prepared, ...inFlight]) {
        expect(await commit(one, one.version)).toBe(0)
        const { state } = await settledState(own, one.handle.transactionalId)
        expect(state).toBe('CompleteCommit')
      }
      // Six records and six markers, none twice.
      expect(await offsetOf(own, 'data', 'stable')).toBe(before + 12)
      expect(await offsetOf(own, 'data', 'end')).toBe(before + 12)
    },
  )

  test('forgets an id that was not used for long, but not an open transaction, however old', SLOW, async () => {
    const open = await Promise.all(VERSIONS.map(async (version) => await prepare(own, 'data', version)))
    const done = await prepare(own, 'data', 'v4')
    await ended(done, true)
    await expect
      .poll(async () => (await describeTransaction(own, done.handle.transactionalId)).errorCode, {
        timeout: DEADLINE_MS,
      })
      .toBe(105)
    expect(await commit(done, done.version)).toBe(49)
    for (const one of open) expect(await commit(one, one.version)).toBe(0)
  })
})
