/**
 * Numbers for the channels of an attempt: derived from the task graph alone, so that every worker numbers them alike; and which worker
 * runs which task.
 */
import { assert } from '../api/index.ts'
import type { TaskGraph } from '../graph/task-graph.ts'
import type { ChannelAddress } from '../task/local-host.ts'

/** Subtask i of each vertex runs in worker i mod N, so that what is forwarded stays there. */
export function workerOf(subtask: number, workers: number): number {
  return subtask % workers
}

interface ChannelRange {
  readonly first: number
  readonly readers: number
  /** That writes. */
  readonly operator: string
}

export class ChannelNumbers {
  /** By exchange. */
  readonly #ranges: readonly ChannelRange[]

  constructor({ vertices, exchanges }: TaskGraph) {
    const parallelism = new Map<string, number>(vertices.map((vertex) => [vertex.id, vertex.parallelism]))
    let first = 0
    this.#ranges = exchanges.map(({ fromVertex, toVertex, from }) => {
      const readers = parallelism.get(toVertex) ?? 0
      const range = { first, readers, operator: from }
      first += (parallelism.get(fromVertex) ?? 0) * readers
      return range
    })
  }

  of({ exchange, from, to }: ChannelAddress): number {
    const { first, readers } = this.#range(exchange)
    return first + from * readers + to
  }

  /** Whose records the exchange carries. */
  operatorOf(exchange: number): string {
    return this.#range(exchange).operator
  }

  #range(exchange: number): ChannelRange {
    const range = this.#ranges[exchange]
    assert(range !== undefined, () => `exchange ${exchange} is not one of this graph`)
    return range
  }
}
