/**
 * The edge of a chain at a sink: gathers what one slice of records causes, until the task hands it to the writer. Both arrays are
 * reused; only `count` says how much of them is meant.
 *
 * - C8: an edge that holds FLUSH_RECORDS asks for a flush at the next record of the source; what one single record may cause is limited.
 */
import { TerminalError, type SinkBatch } from '../api/index.ts'
import type { SinkNode } from '../graph/job-graph.ts'
import type { ChainGuard } from './chain-guard.ts'
import type { Push } from './push.ts'

export interface SinkEdge {
  readonly node: SinkNode
  readonly values: unknown[]
  readonly timestamps: number[]
  count: number
}

/** As many records as a writer is given at once, as a rule. */
export const FLUSH_RECORDS = 1_024
/** As many as one record of the source, or one end of input, may cause at one sink. */
export const LIMIT_RECORDS = 4_194_304

export function createSinkEdge(node: SinkNode): SinkEdge {
  return { node, values: [], timestamps: [], count: 0 }
}

export function sinkPush(edge: SinkEdge, guard: ChainGuard): Push {
  const { values, timestamps } = edge
  const { id } = edge.node
  return (value, timestamp) => {
    const { count } = edge
    values[count] = value
    timestamps[count] = timestamp
    edge.count = count + 1
    if (count < FLUSH_RECORDS - 1) return
    guard.isFull = true
    if (count < LIMIT_RECORDS) return
    const what = `a single record caused more than ${LIMIT_RECORDS} records for it; emit less at a time`
    throw guard.failed(id, new TerminalError(what, { code: 'SLUICE_TOO_MANY_RECORDS' }))
  }
}

/** What the edge holds, to be given to a writer; call {@link clearEdge} once it has been taken. */
export function batchOf(edge: SinkEdge): SinkBatch<unknown> {
  if (edge.values.length !== edge.count) {
    edge.values.length = edge.count
    edge.timestamps.length = edge.count
  }
  return { values: edge.values, timestamps: edge.timestamps }
}

export function clearEdge(edge: SinkEdge): void {
  edge.count = 0
}
