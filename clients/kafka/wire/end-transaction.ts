/**
 * EndTxn: commits or aborts. Any connection may send it, so a transaction whose writer died can be ended by who knows its handle. A retry must
 * use the version of the first try: the others answer as if the transaction were another one.
 */
import type { Api, Throttled } from './request.ts'
import type { TransactionProducer } from './add-to-transaction.ts'

export interface EndTransactionRequest extends TransactionProducer {
  readonly commits: boolean
}

export interface EndTransactionResponse extends Throttled {
  readonly errorCode: number
  /** From version 5 on: under what the id goes on. -1 before. */
  readonly producerId: number
  readonly producerEpoch: number
}

/** Ends the producer's epoch with the transaction, and is for brokers of transaction.version 2 only: it must be asked for. */
export const END_TXN_BUMPS_EPOCH = 5

export const END_TXN: Api<EndTransactionRequest, EndTransactionResponse> = {
  name: 'EndTxn',
  key: 26,
  minVersion: 1,
  maxVersion: END_TXN_BUMPS_EPOCH - 1,
  firstFlexible: 3,
  encode(writer, { transactionalId, producerId, producerEpoch, commits }, version) {
    if (version < 3) writer.oldString(transactionalId)
    else writer.string(transactionalId)
    writer.int64(producerId)
    writer.int16(producerEpoch)
    writer.boolean(commits)
    if (version >= 3) writer.noTaggedFields()
  },
  decode(reader, version) {
    const throttleTimeMs = reader.int32()
    const errorCode = reader.int16()
    const isBumped = version >= END_TXN_BUMPS_EPOCH
    const producerId = isBumped ? reader.int64() : -1
    const producerEpoch = isBumped ? reader.int16() : -1
    if (version >= 3) reader.taggedFields()
    return { throttleTimeMs, errorCode, producerId, producerEpoch }
  },
}
