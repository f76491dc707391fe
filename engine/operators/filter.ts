/** `filter`: lets a record pass or not. */
import type { FilterNode } from '../graph/job-graph.ts'
import type { ChainGuard } from './chain-guard.ts'
import type { Push } from './push.ts'

export function filterPush(node: FilterNode, next: Push, guard: ChainGuard): Push {
  const { id, filter } = node
  return (value, timestamp) => {
    let passes: unknown
    try {
      passes = filter(value, timestamp)
    } catch (error) {
      throw guard.failed(id, error)
    }
    if (!passes) return
    // A promise is truthy: an async filter would let everything pass.
    if (passes !== true) guard.refusePromise(id, passes)
    next(value, timestamp)
  }
}
