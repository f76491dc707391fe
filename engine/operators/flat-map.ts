/** `flatMap`: one record in, any number out, with the same event time. Outputs go on one by one; they are not gathered first. */
import type { FlatMapNode } from '../graph/job-graph.ts'
import type { ChainGuard } from './chain-guard.ts'
import type { Push } from './push.ts'

export function flatMapPush(node: FlatMapNode, next: Push, guard: ChainGuard): Push {
  const { id, flatMap } = node
  return (value, timestamp) => {
    try {
      for (const output of flatMap(value, timestamp)) next(output, timestamp)
    } catch (error) {
      // What failed further down is kept as it is: the guard remembers the first failure.
      throw guard.failed(id, error)
    }
  }
}
