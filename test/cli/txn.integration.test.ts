/**
 * `sluice txn` on a real broker, on what a killed job has left: what a checkpoint holds and nobody could commit, and what was begun behind it.
 */
import { deepEqual } from 'node:assert/strict'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { KafkaClient } from '../../clients/kafka/client.ts'
import { END_TXN } from '../../clients/kafka/wire/end-transaction.ts'
import { LIST_TRANSACTIONS } from '../../clients/kafka/wire/transaction-states.ts'
import { KafkaBroker } from '../../services/kafka/broker.ts'
import { consumeCommitted, type ConsumedRecord } from '../../services/kafka/java-tools.ts'
import { KafkaProxy, type Trap } from '../clients/kafka/kafka-proxy.ts'
import { BROKER, createTopic, DEADLINE_MS } from '../clients/kafka/transactions.ts'
import { committedValues } from '../sinks/kafka/kafka-environment.ts'
import { COUNT, expectExact, expectNothingOpen, JOB, Orders, reached } from '../sinks/kafka/orders.ts'

const TIMEOUT_MS = 240_000
/** Of EndTxn, from the first held one on: as often as a job may ask again until it is killed. */
const HELD = 12
const FIRST_HELD = 4
/** So slow that the input has not ended by then. */
const RATE = 200

let proxy: KafkaProxy
let broker: KafkaBroker
let client: KafkaClient

beforeAll(async () => {
  proxy = await KafkaProxy.start()
  broker = await KafkaBroker.start({ advertisedPort: proxy.port })
  proxy.forwardTo(broker.port)
  client = await KafkaClient.open({ brokers: [broker.directAddress] })
}, TIMEOUT_MS)

afterAll(async () => {
  await client[Symbol.asyncDispose]()
  await broker[Symbol.asyncDispose]()
  await proxy[Symbol.asyncDispose]()
})

interface Row {
  readonly id: string
  readonly sink: string
  readonly verdict: string
  readonly state: string
  readonly producerId: number
  readonly producerEpoch: number
  readonly openSince: string | null
  readonly expiresAt: string | null
  readonly places: readonly string[]
  readonly records: number | null
  readonly checkpoint: number | null
  readonly committed: boolean | null
}

/** A job of its own topic, whose EndTxn do not arrive from the fourth on. */
class Stuck implements Disposable {
  readonly life: string
  readonly orders: Orders
  readonly #unreached = new Set<Trap>()
  #run: ReturnType<Orders['start']> | undefined

  private constructor(life: string) {
    this.life = life
    this.orders = new Orders({ life, broker: broker.address, topic: life })
  }

  /** Runs, with commits that are due and a transaction behind them. */
  static async running(life: string): Promise<Stuck> {
    await createTopic(client, life)
    const stuck = new Stuck(life)
    const traps: readonly Trap[] = Array.from({ length: HELD }, (_, index) =>
      proxy.trap({ apiKey: END_TXN.key, action: 'hold-request', nth: FIRST_HELD + index }),
    )
    const run = stuck.orders.start({ RATE })
    stuck.#run = run
    for (const trap of traps) {
      stuck.#unreached.add(trap)
      void trap.reached.then(() => stuck.#unreached.delete(trap))
    }
    // One that an earlier test has left may be hit instead of the first.
    await Promise.race(traps.map(async (trap) => await reached(trap, run)))
    // What the writer has begun behind it.
    const deadline = performance.now() + DEADLINE_MS
    while ((await stuck.open()).length < 2 || stuck.due() < 1) {
      if (performance.now() > deadline) throw new Error(`not begun: ${(await stuck.open()).join()} due: ${stuck.due()}`)
    }
    return stuck
  }

  static async killed(life: string): Promise<Stuck> {
    const stuck = await Stuck.running(life)
    await stuck.kill()
    return stuck
  }

  async kill(): Promise<void> {
    this.#run?.kill()
    await this.#run?.expectCode(null)
    // What was held is never delivered; what others send from now on is.
    for (const trap of this.#unreached) trap.release()
  }

  /** Checkpoints that are completed and not known to be committed. */
  due(): number {
    const newest = this.orders.log().at(-1)
    return newest?.retained.filter(({ checkpoint }) => checkpoint > newest.committedThrough).length ?? 0
  }

  async open(): Promise<readonly string[]> {
    const { transactions } = await client.persist(
      LIST_TRANSACTIONS,
      BROKER,
      { states: ['Ongoing'], producerIds: [] },
      { errorCodeOf: ({ errorCode }) => errorCode, deadlineMs: DEADLINE_MS },
    )
    return transactions
      .map(({ transactionalId }) => transactionalId)
      .filter((id) => id.startsWith(`orders-${this.life}--`))
  }

  async list(): Promise<readonly Row[]> {
    const { code, out, err } = await this.orders.command('txn', 'list', JOB, '--json')
    deepEqual({ code, err }, { code: 0, err: '' })
    const looked = JSON.parse(out) as { readonly transactions: readonly Row[]; readonly incomplete: readonly unknown[] }
    deepEqual(looked.incomplete, [])
    return looked.transactions
  }

  async of(verdict: string): Promise<readonly Row[]> {
    return (await this.list()).filter((one) => one.verdict === verdict)
  }

  /** What a reader of committed records sees. */
  async visible(): Promise<number> {
    return (await committedValues(client, this.life)).length
  }

  async consumed(): Promise<readonly ConsumedRecord[]> {
    const { installation, directAddress: address } = broker
    return await consumeCommitted({ installation, address, topic: this.life })
  }

  [Symbol.dispose](): void {
    this.orders[Symbol.dispose]()
  }
}

/** The first of them; there is one. */
function first(rows: readonly Row[]): Row {
  const [row] = rows
  if (row === undefined) throw new Error('there is none')
  return row
}

function sumOf(rows: readonly Row[]): number {
  return rows.reduce((sum, { records }) => sum + (records ?? NaN), 0)
}

test('of a job that runs it shows what is being written, and ends nothing', { timeout: TIMEOUT_MS }, async () => {
  using stuck = await Stuck.running('txn-running')
  const verdicts = new Set((await stuck.list()).map(({ verdict }) => verdict))
  expect(verdicts).toContain('due')
  expect(verdicts).toContain('writing')
  const before = await stuck.open()
  for (const argv of [
    ['commit', JOB, '--all-due', '--yes'],
    ['abort', JOB, '--all-orphans', '--yes'],
    ['abort', JOB, first(await stuck.of('due')).id, '--yes', '--accept-loss'],
  ]) {
    const { code, err } = await stuck.orders.command('txn', ...argv)
    expect({ code, err }).toEqual({
      code: 3,
      err: expect.stringMatching(/is run by process \d+ on .* \[SLUICE_JOB_HELD\]/),
    })
  }
  expect(await stuck.open()).toEqual(expect.arrayContaining([...before]))
  await stuck.kill()
  await stuck.orders.run(0)
  expectExact(await stuck.consumed(), [stuck.life])
})

test(
  'what is due is committed by hand, what is left behind aborted; the next run finds it so',
  { timeout: TIMEOUT_MS },
  async () => {
    using stuck = await Stuck.killed('txn-commit')
    const rows = await stuck.list()
    const due = rows.filter(({ verdict }) => verdict === 'due')
    const orphans = rows.filter(({ verdict }) => verdict === 'orphan')
    expect(rows.filter(({ verdict }) => verdict === 'committed').length).toBeGreaterThan(0)
    expect(first(due)).toMatchObject({ sink: 'out', state: 'Ongoing', places: ['txn-commit/0'], committed: false })
    expect(first(due).checkpoint).toBeGreaterThan(0)
    expect(Date.parse(first(due).expiresAt ?? '') - Date.parse(first(due).openSince ?? '')).toBe(60_000)
    expect(first(orphans)).toMatchObject({
      sink: 'out',
      state: 'Ongoing',
      checkpoint: null,
      committed: null,
      records: null,
    })
    expect([...due, ...orphans].map(({ id }) => id).toSorted()).toEqual((await stuck.open()).toSorted())

    const before = await stuck.visible()
    const unasked = await stuck.orders.command('txn', 'commit', JOB, '--all-due')
    expect(unasked).toMatchObject({ code: 2, out: '' })
    expect(unasked.err).toContain(`${first(due).records} records of sink "out" in txn-commit/0 become visible`)
    expect(unasked.err).toContain('[SLUICE_TXN_NOT_CONFIRMED]')
    expect(await stuck.visible()).toBe(before)

    const committed = await stuck.orders.command('txn', 'commit', JOB, '--all-due', '--yes', '--json')
    expect(committed).toMatchObject({ code: 0 })
    expect(JSON.parse(committed.out)).toMatchObject({
      event: 'commit',
      transactions: due.map(({ id }) => ({ id, outcome: 'done' })),
      exitCode: 0,
    })
    const aborted = await stuck.orders.command('txn', 'abort', JOB, '--all-orphans', '--yes')
    expect(aborted).toMatchObject({ code: 0 })
    expect(aborted.err).toContain('nothing is lost')
    expect(aborted.out).toBe(orphans.map(({ id }) => `${id}: aborted\n`).join(''))
    await expectNothingOpen(client, stuck.life, 1)
    expect(await stuck.visible()).toBe(before + sumOf(due))

    expect(new Set((await stuck.list()).map(({ verdict }) => verdict))).toEqual(new Set(['committed']))
    const again = await stuck.orders.command('txn', 'commit', JOB, first(due).id, '--yes')
    expect(again).toMatchObject({ code: 0, out: 'orders-txn-commit: there is nothing to commit\n' })
    expect((await stuck.orders.command('txn', 'abort', JOB, first(due).id, '--yes', '--accept-loss')).err).toContain(
      '[SLUICE_TXN_REFUSED]',
    )
    await stuck.orders.run(0)
    expect(expectExact(await stuck.consumed(), [stuck.life])).toBe(COUNT)
  },
)

test(
  'what is due is aborted by hand only as a loss; the next run fails with its name, or goes on without it',
  { timeout: TIMEOUT_MS },
  async () => {
    using stuck = await Stuck.killed('txn-abort')
    const due = await stuck.of('due')
    const { id, checkpoint, records } = first(due)
    const unaccepted = await stuck.orders.command('txn', 'abort', JOB, id, '--yes')
    expect(unaccepted.code).toBe(2)
    expect(unaccepted.err).toContain(`${records} records of sink "out" in txn-abort/0 are LOST`)
    expect(unaccepted.err).toContain('[SLUICE_TXN_NOT_ACCEPTED]')
    expect(await stuck.open()).toContain(id)

    const aborted = await stuck.orders.command('txn', 'abort', JOB, id, '--yes', '--accept-loss')
    expect(aborted).toMatchObject({ code: 0, out: `${id}: aborted\n` })
    expect((await stuck.of('lost')).map((one) => one.id)).toEqual([id])
    const failed = await stuck.orders.run(1)
    expect(failed.said).toContain(id)
    expect(failed.said).toContain('SLUICE_COMMIT_LOST')
    await stuck.orders.run(0, {}, ['--accept-loss', String(checkpoint)])
    const consumed = await stuck.consumed()
    expect(consumed).toHaveLength(COUNT - (records ?? NaN))
    expect(new Set(consumed.map(({ value }) => value)).size).toBe(consumed.length)
  },
)

test(
  'what no checkpoint holds is committed by hand only as duplicates, and comes twice',
  { timeout: TIMEOUT_MS },
  async () => {
    using stuck = await Stuck.killed('txn-orphan')
    const { id } = first(await stuck.of('orphan'))
    const shown = await stuck.orders.command('txn', 'show', JOB, id)
    expect(shown).toMatchObject({ code: 0 })
    expect(shown.out).toMatch(/commit +only with --accept-duplicates: .* a second time/)
    expect(shown.out).toMatch(/abort +its records .* nothing is lost/)
    const unaccepted = await stuck.orders.command('txn', 'commit', JOB, id, '--yes')
    expect(unaccepted).toMatchObject({ code: 2, err: expect.stringContaining('[SLUICE_TXN_NOT_ACCEPTED]') })
    expect(await stuck.open()).toContain(id)

    const committed = await stuck.orders.command('txn', 'commit', JOB, id, '--yes', '--accept-duplicates')
    expect(committed).toMatchObject({ code: 0, out: `${id}: committed\n` })
    await stuck.orders.run(0)
    const values = (await stuck.consumed()).map(({ value }) => value)
    expect(new Set(values).size).toBe(COUNT)
    expect(values.length).toBeGreaterThan(COUNT)
  },
)

test('while the broker is down it says what it cannot know, and ends nothing', { timeout: TIMEOUT_MS }, async () => {
  using stuck = await Stuck.killed('txn-down')
  const due = await stuck.of('due')
  proxy.forwardTo(1)
  proxy.cutAll()
  try {
    const { code, out } = await stuck.orders.command('txn', 'list', JOB, '--json')
    const looked = JSON.parse(out) as { readonly transactions: readonly Row[]; readonly incomplete: readonly unknown[] }
    expect(code).toBe(0)
    expect(looked.incomplete).toHaveLength(1)
    expect(looked.transactions.filter(({ verdict }) => verdict === 'unknown').map(({ id }) => id)).toEqual(
      due.map(({ id }) => id),
    )
    const refused = await stuck.orders.command('txn', 'commit', JOB, first(due).id, '--yes')
    expect(refused).toMatchObject({ code: 2, err: expect.stringContaining('[SLUICE_TXN_REFUSED]') })
  } finally {
    proxy.forwardTo(broker.port)
  }
  await stuck.orders.run(0)
  expectExact(await stuck.consumed(), [stuck.life])
})

test('an id that nobody has is said to be none', { timeout: TIMEOUT_MS }, async () => {
  using stuck = await Stuck.killed('txn-none')
  const { code, err } = await stuck.orders.command('txn', 'show', JOB, 'orders-of-somebody-else')
  expect({ code, err }).toEqual({ code: 2, err: expect.stringContaining('[SLUICE_TXN_UNKNOWN]') })
  for (const argv of [[], ['x', '--all-due'], ['--all-due', '--all-orphans']]) {
    const usage = await stuck.orders.command('txn', 'commit', JOB, ...argv, '--yes')
    expect(usage).toMatchObject({ code: 2, err: expect.stringContaining('[SLUICE_USAGE]') })
  }
})
