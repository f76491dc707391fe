/**
 * Produce: batches of records for partitions. Versions above 11 add a partition to the transaction by themselves, and are for brokers of
 * transaction.version 2 only: they must be asked for.
 */
import type { Api, Throttled } from './request.ts'

export interface ProduceRequest {
  /** Null: the batches are not transactional. */
  readonly transactionalId: string | null
  /** -1: all in-sync replicas have it; 1: the leader has it. (0 has no answer, and is not for us.) */
  readonly acks: -1 | 1
  readonly timeoutMs: number
  readonly topics: readonly {
    readonly name: string
    readonly partitions: readonly { readonly partition: number; readonly batch: Buffer }[]
  }[]
}

export interface PartitionProduced {
  readonly partition: number
  readonly errorCode: number
  readonly errorMessage: string | null
  /** Of the first record; -1 after an error. */
  readonly baseOffset: number
  readonly logStartOffset: number
}

export interface ProduceResponse extends Throttled {
  readonly topics: readonly { readonly name: string; readonly partitions: readonly PartitionProduced[] }[]
}

/** The first version in which the broker adds partitions to the transaction by itself. */
export const PRODUCE_ADDS_PARTITIONS = 12

export const PRODUCE: Api<ProduceRequest, ProduceResponse> = {
  name: 'Produce',
  key: 0,
  minVersion: 9,
  maxVersion: PRODUCE_ADDS_PARTITIONS - 1,
  encode(writer, { transactionalId, acks, timeoutMs, topics }) {
    writer.nullableString(transactionalId)
    writer.int16(acks)
    writer.int32(timeoutMs)
    writer.array(topics, ({ name, partitions }) => {
      writer.string(name)
      writer.array(partitions, ({ partition, batch }) => {
        writer.int32(partition)
        writer.bytes(batch)
        writer.noTaggedFields()
      })
      writer.noTaggedFields()
    })
    writer.noTaggedFields()
  },
  decode(reader) {
    const topics = reader.array(() => {
      const name = reader.string()
      const partitions = reader.array(() => {
        const partition = reader.int32()
        const errorCode = reader.int16()
        const baseOffset = reader.int64()
        reader.int64()
        const logStartOffset = reader.int64()
        reader.array(() => {
          reader.int32()
          reader.nullableString()
          reader.taggedFields()
        })
        const errorMessage = reader.nullableString()
        reader.taggedFields()
        return { partition, errorCode, errorMessage, baseOffset, logStartOffset }
      })
      reader.taggedFields()
      return { name, partitions }
    })
    const throttleTimeMs = reader.int32()
    reader.taggedFields()
    return { throttleTimeMs, topics }
  },
}
