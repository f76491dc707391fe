/**
 * The transactions that one broker coordinates, among those whose ids begin like names of a sink: listed, then described.
 */
import { CODES } from '../../clients/kafka/error-table.ts'
import {
  DESCRIBE_TRANSACTIONS,
  LIST_TRANSACTIONS,
  type TransactionDescription,
  type TransactionState,
} from '../../clients/kafka/wire/transaction-states.ts'
import type { KafkaConnection } from './connection.ts'

export interface BrokerQuery {
  readonly nodeId: number
  readonly prefixes: readonly string[]
  /** Empty: all. */
  readonly states: readonly TransactionState[]
  /** Which of those that begin so are meant. */
  readonly isMeant: (transactionalId: string) => boolean
  readonly patience: { readonly deadlineMs: number; readonly signal: AbortSignal }
}

export type BrokerTransactions =
  /** Those that have expired since they were listed are left out. */
  | { readonly kind: 'told'; readonly descriptions: readonly TransactionDescription[] }
  /** This broker does not say all that it coordinates. */
  | { readonly kind: 'refused'; readonly errorCode: number }

const MOST_IDS_DESCRIBED = 500

/** @throws RetryableError when the broker does not answer in time */
export async function transactionsAt(
  connection: KafkaConnection,
  { nodeId, prefixes, states, isMeant, patience }: BrokerQuery,
): Promise<BrokerTransactions> {
  const target = { kind: 'broker', nodeId } as const
  const listed = await connection.persist(
    LIST_TRANSACTIONS,
    target,
    { states, producerIds: [], idPattern: patternOf(prefixes) },
    { ...patience, errorCodeOf: ({ errorCode }) => errorCode },
  )
  if (listed.errorCode !== 0) return { kind: 'refused', errorCode: listed.errorCode }
  const ids = listed.transactions.map(({ transactionalId }) => transactionalId).filter((id) => isMeant(id))
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
  const descriptions = described.filter(({ errorCode }) => errorCode !== CODES.TRANSACTIONAL_ID_NOT_FOUND)
  const failed = descriptions.find(({ errorCode }) => errorCode !== 0)
  return failed === undefined ? { kind: 'told', descriptions } : { kind: 'refused', errorCode: failed.errorCode }
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
