/** `keyBy`: selects the key, once for all operators behind it. With parallelism 1 the keyed edge is part of the chain. */
import { assert } from '../api/index.ts'
import type { KeyByNode } from '../graph/job-graph.ts'
import type { ChainGuard } from './chain-guard.ts'
import type { KeyedPush } from './process.ts'
import type { Push } from './push.ts'

export function keyByPush(node: KeyByNode, readers: readonly KeyedPush[], guard: ChainGuard): Push {
  const { id, key: selectKey } = node
  const [first] = readers
  assert(first !== undefined, () => `keyed stream "${id}" is read by nobody`)
  const push: KeyedPush =
    readers.length === 1
      ? first
      : (value, key, timestamp) => {
          for (const reader of readers) reader(value, key, timestamp)
        }
  return (value, timestamp) => {
    let key: unknown
    try {
      key = selectKey(value)
    } catch (error) {
      throw guard.failed(id, error)
    }
    push(value, key, timestamp)
  }
}
