/** ListOffsets: the offsets at which partitions begin and end, or at which a time begins. */
import type { Api, Throttled } from './request.ts'

/** Instead of a time. The latest is the last stable offset where `isolation` is read_committed. */
export const LATEST = -1
export const EARLIEST = -2

export interface ListOffsetsRequest {
  readonly isolation: 'read_uncommitted' | 'read_committed'
  readonly timeoutMs: number
  readonly topics: readonly {
    readonly name: string
    readonly partitions: readonly {
      readonly partition: number
      readonly leaderEpoch: number
      /** `LATEST`, `EARLIEST`, or milliseconds since 1970: the first record of that time or later. */
      readonly timestamp: number
    }[]
  }[]
}

export interface PartitionOffset {
  readonly partition: number
  readonly errorCode: number
  readonly timestamp: number
  /** -1: no record is that late. */
  readonly offset: number
  readonly leaderEpoch: number
}

export interface ListOffsetsResponse extends Throttled {
  readonly topics: readonly { readonly name: string; readonly partitions: readonly PartitionOffset[] }[]
}

export const LIST_OFFSETS: Api<ListOffsetsRequest, ListOffsetsResponse> = {
  name: 'ListOffsets',
  key: 2,
  minVersion: 6,
  maxVersion: 10,
  encode(writer, { isolation, timeoutMs, topics }, version) {
    writer.int32(-1)
    writer.int8(isolation === 'read_committed' ? 1 : 0)
    writer.array(topics, ({ name, partitions }) => {
      writer.string(name)
      writer.array(partitions, ({ partition, leaderEpoch, timestamp }) => {
        writer.int32(partition)
        writer.int32(leaderEpoch)
        writer.int64(timestamp)
        writer.noTaggedFields()
      })
      writer.noTaggedFields()
    })
    if (version >= 10) writer.int32(timeoutMs)
    writer.noTaggedFields()
  },
  decode(reader) {
    const throttleTimeMs = reader.int32()
    const topics = reader.array(() => {
      const name = reader.string()
      const partitions = reader.array(() => {
        const offset = {
          partition: reader.int32(),
          errorCode: reader.int16(),
          timestamp: reader.int64(),
          offset: reader.int64(),
          leaderEpoch: reader.int32(),
        }
        reader.taggedFields()
        return offset
      })
      reader.taggedFields()
      return { name, partitions }
    })
    reader.taggedFields()
    return { throttleTimeMs, topics }
  },
}
