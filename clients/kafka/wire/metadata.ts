/** Metadata: the brokers, and where the partitions of topics are. Versions from 10 on tell topics of one name apart by their ids. */
import type { Api, Throttled } from './request.ts'

export interface MetadataRequest {
  /** Null: all topics. */
  readonly topics: readonly string[] | null
}

export interface BrokerAddress {
  readonly nodeId: number
  readonly host: string
  readonly port: number
}

export interface PartitionMetadata {
  readonly errorCode: number
  readonly partition: number
  /** -1: there is none now. */
  readonly leader: number
  readonly leaderEpoch: number
}

export interface TopicMetadata {
  readonly errorCode: number
  readonly name: string
  /** Another one for a topic of the same name that was created anew. */
  readonly topicId: string
  readonly isInternal: boolean
  readonly partitions: readonly PartitionMetadata[]
}

export interface MetadataResponse extends Throttled {
  readonly brokers: readonly BrokerAddress[]
  readonly clusterId: string | null
  readonly controllerId: number
  readonly topics: readonly TopicMetadata[]
}

const NO_TOPIC_ID = 'AAAAAAAAAAAAAAAAAAAAAA'

export const METADATA: Api<MetadataRequest, MetadataResponse> = {
  name: 'Metadata',
  key: 3,
  minVersion: 10,
  maxVersion: 12,
  encode(writer, { topics }, version) {
    if (topics === null) writer.unsignedVarint(0)
    else {
      writer.array(topics, (topic) => {
        writer.uuid(NO_TOPIC_ID)
        writer.string(topic)
        writer.noTaggedFields()
      })
    }
    // No topic is ever created by asking for it.
    writer.boolean(false)
    if (version === 10) writer.boolean(false)
    writer.boolean(false)
    writer.noTaggedFields()
  },
  decode(reader, version) {
    const throttleTimeMs = reader.int32()
    const brokers = reader.array(() => {
      const broker = { nodeId: reader.int32(), host: reader.string(), port: reader.int32() }
      reader.nullableString()
      reader.taggedFields()
      return broker
    })
    const clusterId = reader.nullableString()
    const controllerId = reader.int32()
    const topics = reader.array(() => {
      const errorCode = reader.int16()
      const name = reader.nullableString() ?? ''
      const topicId = reader.uuid()
      const isInternal = reader.boolean()
      const partitions = reader.array(() => {
        const partition = {
          errorCode: reader.int16(),
          partition: reader.int32(),
          leader: reader.int32(),
          leaderEpoch: reader.int32(),
        }
        for (let list = 0; list < 3; list += 1) reader.array(() => reader.int32())
        reader.taggedFields()
        return partition
      })
      reader.int32()
      reader.taggedFields()
      return { errorCode, name, topicId, isInternal, partitions }
    })
    if (version === 10) reader.int32()
    reader.taggedFields()
    return { throttleTimeMs, brokers, clusterId, controllerId, topics }
  },
}
