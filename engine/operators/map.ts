/** `map`: one record in, one out, with the same event time. */
import type { MapNode } from '../graph/job-graph.ts'
import type { ChainGuard } from './chain-guard.ts'
import type { Push } from './push.ts'

export function mapPush(node: MapNode, next: Push, guard: ChainGuard): Push {
  const { id, map } = node
  return (value, timestamp) => {
    let mapped: unknown
    try {
      mapped = map(value, timestamp)
    } catch (error) {
      throw guard.failed(id, error)
    }
    if (mapped instanceof Promise) guard.refusePromise(id, mapped)
    next(mapped, timestamp)
  }
}
