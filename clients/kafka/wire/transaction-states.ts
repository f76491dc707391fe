/** DescribeTransactions and ListTransactions: what is open, or has ended, at the coordinators. */
import { malformed } from './malformed.ts'
import type { Api, Throttled } from './request.ts'

export const TRANSACTION_STATES = [
  'Empty',
  'Ongoing',
  'PrepareCommit',
  'PrepareAbort',
  'CompleteCommit',
  'CompleteAbort',
  'Dead',
  'PrepareEpochFence',
] as const
export type TransactionState = (typeof TRANSACTION_STATES)[number]

export interface DescribeTransactionsRequest {
  readonly transactionalIds: readonly string[]
}

export interface TransactionDescription {
  /** 105: the coordinator does not know the id. */
  readonly errorCode: number
  readonly transactionalId: string
  /** Undefined with an error. */
  readonly state: TransactionState | undefined
  readonly timeoutMs: number
  readonly startedAtMs: number
  readonly producerId: number
  readonly producerEpoch: number
  readonly topics: readonly { readonly name: string; readonly partitions: readonly number[] }[]
}

export interface DescribeTransactionsResponse extends Throttled {
  readonly transactions: readonly TransactionDescription[]
}

export const DESCRIBE_TRANSACTIONS: Api<DescribeTransactionsRequest, DescribeTransactionsResponse> = {
  name: 'DescribeTransactions',
  key: 65,
  minVersion: 0,
  maxVersion: 0,
  encode(writer, { transactionalIds }) {
    writer.array(transactionalIds, (id) => writer.string(id))
    writer.noTaggedFields()
  },
  decode(reader) {
    const throttleTimeMs = reader.int32()
    const transactions = reader.array(() => {
      const description = {
        errorCode: reader.int16(),
        transactionalId: reader.string(),
        state: stateOf(reader.string()),
        timeoutMs: reader.int32(),
        startedAtMs: reader.int64(),
        producerId: reader.int64(),
        producerEpoch: reader.int16(),
        topics: reader.array(() => {
          const topic = { name: reader.string(), partitions: reader.array(() => reader.int32()) }
          reader.taggedFields()
          return topic
        }),
      }
      reader.taggedFields()
      return description
    })
    reader.taggedFields()
    return { throttleTimeMs, transactions }
  },
}

export interface ListTransactionsRequest {
  /** Empty: all. */
  readonly states: readonly TransactionState[]
  readonly producerIds: readonly number[]
  /** Of whole ids, in the syntax of RE2; brokers before 4.1 do not know it, and list all. Left out: all. */
  readonly idPattern?: string
}

export interface ListedTransaction {
  readonly transactionalId: string
  readonly producerId: number
  readonly state: TransactionState | undefined
}

export interface ListTransactionsResponse extends Throttled {
  readonly errorCode: number
  readonly transactions: readonly ListedTransaction[]
}

/** Of one coordinator: to know all, all brokers are asked. */
export const LIST_TRANSACTIONS: Api<ListTransactionsRequest, ListTransactionsResponse> = {
  name: 'ListTransactions',
  key: 66,
  minVersion: 0,
  maxVersion: 2,
  encode(writer, { states, producerIds, idPattern }, version) {
    writer.array(states, (state) => writer.string(state))
    writer.array(producerIds, (id) => writer.int64(id))
    // However long they run.
    if (version >= 1) writer.int64(-1)
    if (version >= 2) writer.nullableString(idPattern ?? null)
    writer.noTaggedFields()
  },
  decode(reader) {
    const throttleTimeMs = reader.int32()
    const errorCode = reader.int16()
    reader.array(() => reader.string())
    const transactions = reader.array(() => {
      const transaction = {
        transactionalId: reader.string(),
        producerId: reader.int64(),
        state: stateOf(reader.string()),
      }
      reader.taggedFields()
      return transaction
    })
    reader.taggedFields()
    return { throttleTimeMs, errorCode, transactions }
  },
}

function stateOf(text: string): TransactionState | undefined {
  if (text === '') return undefined
  const state = TRANSACTION_STATES.find((one) => one === text)
  if (state === undefined) throw malformed(`a transaction in the state "${text}"`)
  return state
}
