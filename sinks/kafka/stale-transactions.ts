/**
 * Aborts what older generations have left open, and fences their ids.
 *
 * The coordinators are asked for all ids that begin like the names of a generation; which of them are stale the engine says. Each is then
 * described before it is initialised: what a completed checkpoint holds is never touched, a later use of the same id is. Initialising aborts an
 * open transaction, and keeps who had the id from adding to it.
 *
 * An id that was swept shows it: it is initialised with a timeout that no writer has. So a sweep that comes again has nothing to do.
 */
import { CODES } from '../../clients/kafka/error-table.ts'
import { DELETE_GROUPS } from '../../clients/kafka/wire/delete-groups.ts'
import { INIT_PRODUCER_ID } from '../../clients/kafka/wire/init-producer-id.ts'
import {
  DESCRIBE_TRANSACTIONS,
  LIST_TRANSACTIONS,
  type TransactionDescription,
} from '../../clients/kafka/wire/transaction-states.ts'
import { messageOf, type AbortReport, type CommitterContext, type StaleScope } from '../../engine/api/index.ts'
import { describedAs } from './commit-decision.ts'
import { witnessGroup, type KafkaTransaction } from './committable.ts'
import type { KafkaConnection } from './connection.ts'
import { coordinatorOf } from './transaction.ts'

export interface StaleTransactionsOptions {
  readonly connection: KafkaConnection
  readonly context: Pick<CommitterContext, 'operator' | 'signal' | 'logger'>
}

/** Below what a writer may have. */
export const SWEPT_TIMEOUT_MS = 999
const PATIENCE_MS = 10_000
const AT_ONCE = 16
const MOST_IDS_DESCRIBED = 500

export class StaleTransactions {
  readonly #options: StaleTransactionsOptions

  constructor(options: StaleTransactionsOptions) {
    this.#options = options
  }

  async abort(stale: StaleScope<KafkaTransaction>): Promise<AbortReport> {
    const prefixes = [...new Set(stale.scopes.map(({ namePrefix }) => namePrefix))]
    if (prefixes.length === 0) return { aborted: 0, clean: true }
    const { brokers } = await this.#options.connection.metadata([])
    let clean = true
    let aborted = 0
    for (const { nodeId } of brokers) {
      const described = await this.#describeAll(nodeId, stale, prefixes)
      clean &&= described !== undefined
      const due = (described ?? []).filter((one) => isDue(one, stale.keep))
      for (let at = 0; at < due.length; at += AT_ONCE) {
        const ended = await Promise.all(due.slice(at, at + AT_ONCE).map(async (one) => await this.#sweep(one)))
        clean &&= ended.every((one) => one !== 'failed')
        aborted += ended.filter((one) => one === 'aborted').length
      }
    }
    return { aborted, clean }
  }

  /** Undefined: this broker does not say all that it coordinates. */
  async #describeAll(
    nodeId: number,
    stale: StaleScope<KafkaTransaction>,
    prefixes: readonly string[],
  ): Promise<readonly TransactionDescription[] | undefined> {
    const { connection, context } = this.#options
    const target = { kind: 'broker', nodeId } as const
    const patience = { deadlineMs: PATIENCE_MS, signal: context.signal }
    const listed = await connection.persist(
      LIST_TRANSACTIONS,
      target,
      { states: [], producerIds: [], idPattern: patternOf(prefixes) },
      { ...patience, errorCodeOf: ({ errorCode }) => errorCode },
    )
    if (listed.errorCode !== 0) return undefined
    const ids = listed.transactions
      .map(({ transactionalId }) => transactionalId)
      .filter((id) => prefixes.some((prefix) => id.startsWith(prefix)) && stale.isStale(id))
    const described: TransactionDescription[] = []
    for (let at = 0; at < ids.length; at += MOST_IDS_DESCRIBED) {
      const answer = await connection.persist(
        DESCRIBE_TRANSACTIONS,
        target,
        { transactionalIds: ids.slice(at, at + MOST_IDS_DESCRIBED) },
        { ...patience, errorCodeOf: () => 0 },
      )
      described.push(...answer.transactions)
    }
    // Expired meanwhile.
    const there = described.filter(({ errorCode }) => errorCode !== CODES.TRANSACTIONAL_ID_NOT_FOUND)
    return there.every(({ errorCode }) => errorCode === 0) ? there : undefined
  }

  async #sweep({ transactionalId, state }: TransactionDescription): Promise<'aborted' | 'fenced' | 'failed'> {
    const { connection, context } = this.#options
    const patience = { deadlineMs: PATIENCE_MS, signal: context.signal }
    try {
      const answer = await connection.persist(
        INIT_PRODUCER_ID,
        coordinatorOf(transactionalId),
        { transactionalId, transactionTimeoutMs: SWEPT_TIMEOUT_MS, producerId: -1, producerEpoch: -1 },
        { ...patience, errorCodeOf: ({ errorCode }) => errorCode },
      )
      if (answer.errorCode !== 0) return 'failed'
      // Nobody will ask for the evidence any more. Where it may not be deleted it goes by age.
      const groupId = witnessGroup(transactionalId)
      await connection.persist(
        DELETE_GROUPS,
        { kind: 'coordinator', of: 'group', key: groupId },
        { groupIds: [groupId] },
        { ...patience, errorCodeOf: ({ groups }) => groups[0]?.errorCode ?? 0 },
      )
      return state === 'Ongoing' ? 'aborted' : 'fenced'
    } catch (error) {
      context.logger.warn(`the Kafka transaction of an older run could not be aborted: ${messageOf(error)}`, {
        operator: context.operator,
        transactionalId,
      })
      return 'failed'
    }
  }
}

/** Not swept before, and no completed checkpoint holds this use of the id. */
function isDue(description: TransactionDescription, keep: readonly KafkaTransaction[]): boolean {
  const { transactionalId, state, timeoutMs } = description
  if (state === 'Empty' && timeoutMs === SWEPT_TIMEOUT_MS) return false
  const kept = keep.filter((one) => one.transactionalId === transactionalId)
  if (kept.length === 0) return true
  // What became of a kept one is evidence as long as nothing is open: a later use that is must go.
  return state === 'Ongoing' && kept.every((one) => describedAs(one, description) !== 'open')
}

/** What all of them have in common, and anything behind it: brokers that know patterns need not list what is others'. */
function patternOf(prefixes: readonly string[]): string {
  const [first = '', ...others] = prefixes
  let length = first.length
  for (const other of others) {
    while (!other.startsWith(first.slice(0, length))) length -= 1
  }
  return `${first.slice(0, length).replaceAll('.', '\\.')}.*`
}
