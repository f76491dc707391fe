/** Fetch: batches of records of partitions, from positions on. Without a fetch session: each request names all that it wants. */
import type { AbortedTransaction } from '../read-committed.ts'
import type { Api, Throttled } from './request.ts'

export interface FetchPartition {
  readonly partition: number
  readonly offset: number
  /** -1: unknown. Known, it lets the broker notice that the log was truncated, or that it leads no longer. */
  readonly leaderEpoch: number
  /**
   * Of the record before `offset`; left out: unknown. With it the broker looks whether its log still holds what was read, and answers with
   * `divergesAt` where it does not.
   */
  readonly lastEpoch?: number
  readonly maxBytes: number
}

export interface FetchRequest {
  readonly maxWaitMs: number
  readonly minBytes: number
  /** Of the whole answer; the first batch comes even if it is larger. */
  readonly maxBytes: number
  readonly isolation: 'read_uncommitted' | 'read_committed'
  readonly rackId?: string
  /** `topicId` is what versions from 13 on go by, the name is for those before. */
  readonly topics: readonly {
    readonly name: string
    readonly topicId: string
    readonly partitions: readonly FetchPartition[]
  }[]
}

export interface FetchedPartition {
  readonly partition: number
  readonly errorCode: number
  readonly highWatermark: number
  /** With read_committed nothing at or behind it is sent. */
  readonly lastStableOffset: number
  readonly logStartOffset: number
  readonly abortedTransactions: readonly AbortedTransaction[]
  /** -1: the leader; else a replica that is nearer and to be asked from now on. */
  readonly preferredReadReplica: number
  /** The log holds another history than what was read: the same only up to here. */
  readonly divergesAt?: { readonly leaderEpoch: number; readonly offset: number }
  /** Batches, the last one possibly cut off; a view into the answer. */
  readonly records: Buffer
}

export interface FetchResponse extends Throttled {
  readonly errorCode: number
  /** Topics by name or by id, as the version has it: the other one is empty. */
  readonly topics: readonly {
    readonly name: string
    readonly topicId: string
    readonly partitions: readonly FetchedPartition[]
  }[]
}

/** From this version on topics are named by id. */
export const FETCH_BY_TOPIC_ID = 13
const DIVERGING_EPOCH = 0
const NO_RECORDS = Buffer.alloc(0)

export const FETCH: Api<FetchRequest, FetchResponse> = {
  name: 'Fetch',
  key: 1,
  minVersion: 12,
  maxVersion: 17,
  encode(writer, request, version) {
    // We are no replica.
    if (version < 15) writer.int32(-1)
    writer.int32(request.maxWaitMs)
    writer.int32(request.minBytes)
    writer.int32(request.maxBytes)
    writer.int8(request.isolation === 'read_committed' ? 1 : 0)
    // No session: its id and its epoch.
    writer.int32(0)
    writer.int32(-1)
    writer.array(request.topics, ({ name, topicId, partitions }) => {
      if (version < FETCH_BY_TOPIC_ID) writer.string(name)
      else writer.uuid(topicId)
      writer.array(partitions, ({ partition, leaderEpoch, offset, lastEpoch, maxBytes }) => {
        writer.int32(partition)
        writer.int32(leaderEpoch)
        writer.int64(offset)
        writer.int32(lastEpoch ?? -1)
        // The log's start: what only replicas know.
        writer.int64(-1)
        writer.int32(maxBytes)
        writer.noTaggedFields()
      })
      writer.noTaggedFields()
    })
    writer.array([], () => undefined)
    writer.string(request.rackId ?? '')
    writer.noTaggedFields()
  },
  decode(reader, version) {
    const throttleTimeMs = reader.int32()
    const errorCode = reader.int16()
    reader.int32()
    const topics = reader.array(() => {
      const name = version < FETCH_BY_TOPIC_ID ? reader.string() : ''
      const topicId = version < FETCH_BY_TOPIC_ID ? '' : reader.uuid()
      const partitions = reader.array(() => {
        const head = {
          partition: reader.int32(),
          errorCode: reader.int16(),
          highWatermark: reader.int64(),
          lastStableOffset: reader.int64(),
          logStartOffset: reader.int64(),
        }
        const abortedTransactions = reader.array(() => {
          const transaction = { producerId: reader.int64(), firstOffset: reader.int64() }
          reader.taggedFields()
          return transaction
        })
        const preferredReadReplica = reader.int32()
        const records = reader.nullableBytes() ?? NO_RECORDS
        let divergesAt: FetchedPartition['divergesAt']
        reader.taggedFields((tag, field) => {
          if (tag === DIVERGING_EPOCH) divergesAt = { leaderEpoch: field.int32(), offset: field.int64() }
        })
        return {
          ...head,
          abortedTransactions,
          preferredReadReplica,
          records,
          ...(divergesAt === undefined ? {} : { divergesAt }),
        }
      })
      reader.taggedFields()
      return { name, topicId, partitions }
    })
    reader.taggedFields()
    return { throttleTimeMs, errorCode, topics }
  },
}
