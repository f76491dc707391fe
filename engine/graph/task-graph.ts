/**
 * The task graph: operators chained into vertices, each of which runs as `parallelism` tasks, and the exchanges between them. Derived from
 * the job graph and the parallelism alone, so every process of a generation derives the same one.
 *
 *   job graph          a ─▶ map ─▶ keyBy ─▶ process ─▶ sink
 *   vertices (2)      [a, map] ══ by key ══▶ [process, sink]        one channel from each task to each
 *
 * Chaining: an operator runs in the vertex of its inputs if all of them are there, at the same parallelism, and no record has to change the
 * subtask on the way; at parallelism 1 none has to.
 */
import { assert, type OperatorId } from '../api/index.ts'
import { inputsOf, isOperator, type JobNode, type OperatorNode } from './job-graph.ts'

export interface TaskGraph {
  /** In the order of declaration of their first operators: what is read comes before who reads it. */
  readonly vertices: readonly Vertex[]
  readonly exchanges: readonly Exchange[]
  /** Within a vertex: calls. */
  readonly chained: readonly Connection[]
}

export interface Vertex {
  /** The id of its first operator. */
  readonly id: OperatorId
  /** In the order of declaration. */
  readonly operators: readonly OperatorId[]
  readonly parallelism: number
}

/** From one operator (or one of its side outputs) to one input of another. */
export interface Connection {
  readonly from: OperatorId
  /** The side output; undefined: the main one. */
  readonly side?: string
  readonly to: OperatorId
  /** Which input of a `connect`; otherwise 0. */
  readonly port: 0 | 1
  readonly partition: Partition
}

export type Partition =
  /** Subtask i to subtask i; at another parallelism each subtask keeps to one that reads, so that order is kept. */
  | { readonly kind: 'forward' }
  | { readonly kind: 'rebalance' }
  | { readonly kind: 'broadcast' }
  | { readonly kind: 'key'; readonly keyBy: OperatorId }

/** A connection between two vertices. A channel for each pair of subtasks; `forward` between equals: for each subtask. */
export interface Exchange extends Connection {
  /** In {@link TaskGraph.exchanges}. */
  readonly index: number
  readonly fromVertex: OperatorId
  readonly toVertex: OperatorId
}

/** `parallelism` is that of the job, for operators that name none. Nodes are what `planOf` has accepted. */
export function taskGraphOf(nodes: readonly JobNode[], parallelism: number): TaskGraph {
  const connections = connectionsOf(nodes)
  const parallelismOf = new Map(
    nodes.filter(isOperator).map((node) => [node.id, node.parallelism ?? parallelism] as const),
  )
  const vertexOf = new Map<OperatorId, { id: OperatorId; operators: OperatorId[]; parallelism: number }>()
  for (const node of nodes.filter(isOperator)) {
    const mine = parallelismOf.get(node.id) ?? parallelism
    const inputs = connections.filter(({ to }) => to === node.id)
    const vertices = new Set(inputs.map(({ from }) => vertexOf.get(from)))
    const [only] = vertices
    const isChained =
      only?.parallelism === mine &&
      vertices.size === 1 &&
      inputs.every(({ partition }) => partition.kind === 'forward' || mine === 1)
    if (isChained) only.operators.push(node.id)
    vertexOf.set(node.id, isChained ? only : { id: node.id, operators: [node.id], parallelism: mine })
  }
  const exchanges: Exchange[] = []
  const chained: Connection[] = []
  for (const connection of connections) {
    const from = vertexOf.get(connection.from)
    const to = vertexOf.get(connection.to)
    assert(
      from !== undefined && to !== undefined,
      () => `connection ${connection.from} -> ${connection.to} leads nowhere`,
    )
    if (from === to) {
      chained.push(connection)
      continue
    }
    exchanges.push({ ...connection, index: exchanges.length, fromVertex: from.id, toVertex: to.id })
  }
  return { vertices: [...new Set(vertexOf.values())], exchanges, chained }
}

/** Between operators; what lies in between is resolved. In the order of declaration of those that read. */
export function connectionsOf(nodes: readonly JobNode[]): readonly Connection[] {
  const byId = new Map(nodes.map((node) => [node.id, node]))
  return nodes.filter(isOperator).flatMap((node) =>
    inputsOf(node).flatMap((input, index) =>
      resolve(byId, input).map(({ from, side, partition }): Connection => ({
        from,
        ...(side === undefined ? {} : { side }),
        to: node.id,
        port: index === 1 ? 1 : 0,
        partition: partition ?? { kind: 'forward' },
      })),
    ),
  )
}

interface Origin {
  readonly from: OperatorId
  readonly side?: string
  readonly partition?: Partition
}

/** The operators whose records `input` stands for. Of several partitions on the way the last one counts. */
function resolve(byId: ReadonlyMap<OperatorId, JobNode>, input: OperatorId): readonly Origin[] {
  const node = byId.get(input)
  assert(node !== undefined, () => `"${input}" is read but not declared`)
  switch (node.kind) {
    case 'union':
      return node.inputs.flatMap((one) => resolve(byId, one))
    case 'side':
      return [{ from: node.input, side: node.output }]
    case 'keyBy':
      return resolve(byId, node.input).map((one) => ({ ...one, partition: { kind: 'key', keyBy: node.id } }))
    case 'rebalance':
    case 'broadcast':
      return resolve(byId, node.input).map((one) => ({ ...one, partition: { kind: node.kind } }))
    default:
      return [{ from: operatorOf(node).id }]
  }
}

function operatorOf(node: JobNode): OperatorNode {
  assert(isOperator(node), () => `"${node.id}" is no operator`)
  return node
}
