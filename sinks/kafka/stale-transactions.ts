/**
 * Aborts what older generations have left open, and fences their ids.
 *
 * The coordinators are asked for all ids that begin like the names of a generation; which of them are stale the engine says. Each is then
 * described before it is initialised: what a completed checkpoint holds is never touched, a later use of the same id is. Initialising aborts an
 * open transaction, and keeps who had the id from adding to it.
 *
 * An id that was swept shows it: it is initialised with a timeout that no writer has. So a sweep that comes again has nothing to do.
 */
import { DELETE_GROUPS } from '../../clients/kafka/wire/delete-groups.ts'
import { INIT_PRODUCER_ID } from '../../clients/kafka/wire/init-producer-id.ts'
import type { TransactionDescription } from '../../clients/kafka/wire/transaction-states.ts'
import { messageOf, type AbortReport, type CommitterContext, type StaleScope } from '../../engine/api/index.ts'
import { transactionsAt } from './broker-transactions.ts'
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
    const told = await transactionsAt(connection, {
      nodeId,
      prefixes,
      states: [],
      isMeant: (id) => prefixes.some((prefix) => id.startsWith(prefix)) && stale.isStale(id),
      patience: { deadlineMs: PATIENCE_MS, signal: context.signal },
    })
    return told.kind === 'told' ? told.descriptions : undefined
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
