/** OffsetCommit, OffsetFetch and TxnOffsetCommit: the offsets of a group that has no members (each of our readers assigns by itself). */
import type { TransactionProducer } from './add-to-transaction.ts'
import type { ByteReader } from './byte-reader.ts'
import type { ByteWriter } from './byte-writer.ts'
import type { Api, Throttled } from './request.ts'

export interface OffsetToCommit {
  readonly partition: number
  readonly offset: number
  readonly leaderEpoch: number
  readonly metadata: string | null
}

export interface TopicOffsets {
  readonly name: string
  readonly partitions: readonly OffsetToCommit[]
}

export interface PartitionsAnswered extends Throttled {
  readonly topics: readonly {
    readonly name: string
    readonly partitions: readonly { readonly partition: number; readonly errorCode: number }[]
  }[]
}

/** Of a commit from outside the group protocol. */
const NO_GENERATION = -1

export interface OffsetCommitRequest {
  readonly groupId: string
  readonly topics: readonly TopicOffsets[]
}

export const OFFSET_COMMIT: Api<OffsetCommitRequest, PartitionsAnswered> = {
  name: 'OffsetCommit',
  key: 8,
  minVersion: 8,
  maxVersion: 9,
  encode(writer, { groupId, topics }) {
    writer.string(groupId)
    writer.int32(NO_GENERATION)
    writer.string('')
    writer.nullableString(null)
    writeOffsets(writer, topics)
    writer.noTaggedFields()
  },
  decode: readAnswers,
}

export interface TxnOffsetCommitRequest extends TransactionProducer {
  readonly groupId: string
  readonly topics: readonly TopicOffsets[]
}

/** Visible when the transaction commits. Versions above 4 add the group to it by themselves (transaction.version 2 only). */
export const TXN_OFFSET_COMMIT: Api<TxnOffsetCommitRequest, PartitionsAnswered> = {
  name: 'TxnOffsetCommit',
  key: 28,
  minVersion: 3,
  maxVersion: 4,
  encode(writer, { transactionalId, groupId, producerId, producerEpoch, topics }) {
    writer.string(transactionalId)
    writer.string(groupId)
    writer.int64(producerId)
    writer.int16(producerEpoch)
    writer.int32(NO_GENERATION)
    writer.string('')
    writer.nullableString(null)
    writeOffsets(writer, topics)
    writer.noTaggedFields()
  },
  decode: readAnswers,
}

export interface OffsetFetchRequest {
  /** Answers 88 while a transaction has offsets pending, instead of those before it. */
  readonly requireStable: boolean
  readonly groups: readonly {
    readonly groupId: string
    /** Null: all that the group has. */
    readonly topics: readonly { readonly name: string; readonly partitions: readonly number[] }[] | null
  }[]
}

export interface CommittedOffset {
  readonly partition: number
  /** -1: none was committed. */
  readonly offset: number
  readonly leaderEpoch: number
  readonly metadata: string | null
  readonly errorCode: number
}

export interface OffsetFetchResponse extends Throttled {
  readonly groups: readonly {
    readonly groupId: string
    readonly errorCode: number
    readonly topics: readonly { readonly name: string; readonly partitions: readonly CommittedOffset[] }[]
  }[]
}

export const OFFSET_FETCH: Api<OffsetFetchRequest, OffsetFetchResponse> = {
  name: 'OffsetFetch',
  key: 9,
  minVersion: 8,
  maxVersion: 9,
  encode(writer, { requireStable, groups }, version) {
    writer.array(groups, ({ groupId, topics }) => {
      writer.string(groupId)
      if (version >= 9) {
        writer.nullableString(null)
        writer.int32(NO_GENERATION)
      }
      if (topics === null) writer.unsignedVarint(0)
      else {
        writer.array(topics, ({ name, partitions }) => {
          writer.string(name)
          writer.array(partitions, (partition) => writer.int32(partition))
          writer.noTaggedFields()
        })
      }
      writer.noTaggedFields()
    })
    writer.boolean(requireStable)
    writer.noTaggedFields()
  },
  decode(reader) {
    const throttleTimeMs = reader.int32()
    const groups = reader.array(() => {
      const groupId = reader.string()
      const topics = reader.array(() => {
        const name = reader.string()
        const partitions = reader.array(() => {
          const offset = {
            partition: reader.int32(),
            offset: reader.int64(),
            leaderEpoch: reader.int32(),
            metadata: reader.nullableString(),
            errorCode: reader.int16(),
          }
          reader.taggedFields()
          return offset
        })
        reader.taggedFields()
        return { name, partitions }
      })
      const errorCode = reader.int16()
      reader.taggedFields()
      return { groupId, errorCode, topics }
    })
    reader.taggedFields()
    return { throttleTimeMs, groups }
  },
}

function writeOffsets(writer: ByteWriter, topics: readonly TopicOffsets[]): void {
  writer.array(topics, ({ name, partitions }) => {
    writer.string(name)
    writer.array(partitions, ({ partition, offset, leaderEpoch, metadata }) => {
      writer.int32(partition)
      writer.int64(offset)
      writer.int32(leaderEpoch)
      writer.nullableString(metadata)
      writer.noTaggedFields()
    })
    writer.noTaggedFields()
  })
}

function readAnswers(reader: ByteReader): PartitionsAnswered {
  const throttleTimeMs = reader.int32()
  const topics = reader.array(() => {
    const name = reader.string()
    const partitions = reader.array(() => {
      const answer = { partition: reader.int32(), errorCode: reader.int16() }
      reader.taggedFields()
      return answer
    })
    reader.taggedFields()
    return { name, partitions }
  })
  reader.taggedFields()
  return { throttleTimeMs, topics }
}
