/** DeleteGroups: groups without members, with all their offsets. */
import type { Api, Throttled } from './request.ts'

export interface DeleteGroupsRequest {
  readonly groupIds: readonly string[]
}

export interface DeleteGroupsResponse extends Throttled {
  readonly groups: readonly { readonly groupId: string; readonly errorCode: number }[]
}

export const DELETE_GROUPS: Api<DeleteGroupsRequest, DeleteGroupsResponse> = {
  name: 'DeleteGroups',
  key: 42,
  minVersion: 2,
  maxVersion: 2,
  encode(writer, { groupIds }) {
    writer.array(groupIds, (id) => writer.string(id))
    writer.noTaggedFields()
  },
  decode(reader) {
    const throttleTimeMs = reader.int32()
    const groups = reader.array(() => {
      const group = { groupId: reader.string(), errorCode: reader.int16() }
      reader.taggedFields()
      return group
    })
    reader.taggedFields()
    return { throttleTimeMs, groups }
  },
}
