/** InitProducerId: a producer id, or for a transactional id its next epoch, which aborts what was open and fences who had it before. */
import type { Api, Throttled } from './request.ts'

export interface InitProducerIdRequest {
  /** Null: for an idempotent producer without transactions. */
  readonly transactionalId: string | null
  readonly transactionTimeoutMs: number
  /** -1 in both: whoever had the id is fenced. Given: only its holder is served. */
  readonly producerId: number
  readonly producerEpoch: number
}

export interface InitProducerIdResponse extends Throttled {
  readonly errorCode: number
  readonly producerId: number
  readonly producerEpoch: number
}

export const INIT_PRODUCER_ID: Api<InitProducerIdRequest, InitProducerIdResponse> = {
  name: 'InitProducerId',
  key: 22,
  minVersion: 3,
  maxVersion: 5,
  encode(writer, request) {
    writer.nullableString(request.transactionalId)
    writer.int32(request.transactionTimeoutMs)
    writer.int64(request.producerId)
    writer.int16(request.producerEpoch)
    writer.noTaggedFields()
  },
  decode(reader) {
    const response = {
      throttleTimeMs: reader.int32(),
      errorCode: reader.int16(),
      producerId: reader.int64(),
      producerEpoch: reader.int16(),
    }
    reader.taggedFields()
    return response
  },
}
