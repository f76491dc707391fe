/** AddPartitionsToTxn and AddOffsetsToTxn: what a transaction is going to write to. The first of them begins it, and starts its clock. */
import type { Api, Throttled } from './request.ts'

export interface TransactionProducer {
  readonly transactionalId: string
  readonly producerId: number
  readonly producerEpoch: number
}

export interface AddPartitionsRequest extends TransactionProducer {
  readonly topics: readonly { readonly name: string; readonly partitions: readonly number[] }[]
}

export interface AddPartitionsResponse extends Throttled {
  readonly topics: readonly {
    readonly name: string
    readonly partitions: readonly { readonly partition: number; readonly errorCode: number }[]
  }[]
}

/** Versions above 3 are for brokers among themselves. */
export const ADD_PARTITIONS_TO_TXN: Api<AddPartitionsRequest, AddPartitionsResponse> = {
  name: 'AddPartitionsToTxn',
  key: 24,
  minVersion: 3,
  maxVersion: 3,
  encode(writer, { transactionalId, producerId, producerEpoch, topics }) {
    writer.string(transactionalId)
    writer.int64(producerId)
    writer.int16(producerEpoch)
    writer.array(topics, ({ name, partitions }) => {
      writer.string(name)
      writer.array(partitions, (partition) => writer.int32(partition))
      writer.noTaggedFields()
    })
    writer.noTaggedFields()
  },
  decode(reader) {
    const throttleTimeMs = reader.int32()
    const topics = reader.array(() => {
      const name = reader.string()
      const partitions = reader.array(() => {
        const result = { partition: reader.int32(), errorCode: reader.int16() }
        reader.taggedFields()
        return result
      })
      reader.taggedFields()
      return { name, partitions }
    })
    reader.taggedFields()
    return { throttleTimeMs, topics }
  },
}

export interface AddOffsetsRequest extends TransactionProducer {
  readonly groupId: string
}

export interface AddOffsetsResponse extends Throttled {
  readonly errorCode: number
}

/** Never at commit time: on a transaction that has ended it begins a new one. */
export const ADD_OFFSETS_TO_TXN: Api<AddOffsetsRequest, AddOffsetsResponse> = {
  name: 'AddOffsetsToTxn',
  key: 25,
  minVersion: 3,
  maxVersion: 4,
  encode(writer, { transactionalId, producerId, producerEpoch, groupId }) {
    writer.string(transactionalId)
    writer.int64(producerId)
    writer.int16(producerEpoch)
    writer.string(groupId)
    writer.noTaggedFields()
  },
  decode(reader) {
    const response = { throttleTimeMs: reader.int32(), errorCode: reader.int16() }
    reader.taggedFields()
    return response
  },
}
