/** FindCoordinator: the broker that keeps a group or the transactions of an id. */
import type { Api, Throttled } from './request.ts'

export type CoordinatorKind = 'group' | 'transaction'

export interface FindCoordinatorRequest {
  readonly kind: CoordinatorKind
  readonly keys: readonly string[]
}

export interface Coordinator {
  readonly key: string
  readonly nodeId: number
  readonly host: string
  readonly port: number
  readonly errorCode: number
  readonly errorMessage: string | null
}

export interface FindCoordinatorResponse extends Throttled {
  readonly coordinators: readonly Coordinator[]
}

export const FIND_COORDINATOR: Api<FindCoordinatorRequest, FindCoordinatorResponse> = {
  name: 'FindCoordinator',
  key: 10,
  minVersion: 4,
  maxVersion: 6,
  encode(writer, { kind, keys }) {
    writer.int8(kind === 'group' ? 0 : 1)
    writer.array(keys, (key) => writer.string(key))
    writer.noTaggedFields()
  },
  decode(reader) {
    const throttleTimeMs = reader.int32()
    const coordinators = reader.array(() => {
      const coordinator = {
        key: reader.string(),
        nodeId: reader.int32(),
        host: reader.string(),
        port: reader.int32(),
        errorCode: reader.int16(),
        errorMessage: reader.nullableString(),
      }
      reader.taggedFields()
      return coordinator
    })
    reader.taggedFields()
    return { throttleTimeMs, coordinators }
  },
}
