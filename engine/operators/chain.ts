/**
 * The operators of a vertex compiled to nested synchronous calls: no envelope, promise or event per record.
 *
 *   source ─push─▶ filter ─push─▶ keyBy ─▶ process ─push─▶ sink edge ─(after each slice)─▶ writer
 *   entry of an exchange ─push─▶ …                   └push─▶ exchange edge ─(after each slice)─▶ channels
 *
 * - T2: everything here is synchronous; what a record causes is at the edges when `push` returns.
 * - Closing output comes from the top down: what an operator emits at its end is seen by all below it before they end.
 */
import { assert, InvariantViolation, unreachable } from '../api/index.ts'
import type { JobGraph, KeyByNode, OperatorNode } from '../graph/job-graph.ts'
import { isOperator } from '../graph/job-graph.ts'
import type { Connection, Exchange, TaskGraph, Vertex } from '../graph/task-graph.ts'
import type { KeyedStateBackend } from '../state/keyed-state-backend.ts'
import type { ChainGuard } from './chain-guard.ts'
import { connectOperator } from './connect.ts'
import { filterPush } from './filter.ts'
import { flatMapPush } from './flat-map.ts'
import { keyByPush } from './key-by.ts'
import { mapPush } from './map.ts'
import { processOperator, type KeyedPush, type OperatorParts } from './process.ts'
import type { Push } from './push.ts'
import { sinkPush, type SinkEdge } from './sink-edge.ts'

export interface Chain {
  /** Of a vertex that begins with a source: its records, and those of its side outputs that are read. */
  readonly source: { readonly push: Push; readonly sides: ReadonlyMap<string, Push> } | undefined
  /** Where records of an exchange enter, by its index. */
  readonly entries: ReadonlyMap<number, Push>
  /** Closing functions, top down; whoever runs them sees to it that each runs once in the life of the job (F24). */
  readonly ends: readonly OperatorEnd[]
}

export interface OperatorEnd {
  readonly operator: string
  readonly end: () => void
}

export interface ChainParts {
  /** Of operators with a keyed input. */
  readonly backends: ReadonlyMap<string, KeyedStateBackend>
  /** Handles of operator state, by operator. */
  readonly operatorStates: ReadonlyMap<string, Readonly<Record<string, unknown>>>
  readonly sinks: ReadonlyMap<string, SinkEdge>
  /** What leaves the vertex, by the index of the exchange. */
  readonly exchanges: ReadonlyMap<number, Push>
  readonly guard: ChainGuard
}

/** @throws TerminalError for operators that do not fit together */
export function compileChain(graph: JobGraph, tasks: TaskGraph, vertex: Vertex, parts: ChainParts): Chain {
  return new Compiler(graph, { tasks, vertex, parts }).compile()
}

/** How records get into an operator. */
type Ports =
  | { readonly kind: 'plain'; readonly push: Push }
  | { readonly kind: 'keyed'; readonly first: KeyedPush; readonly second: KeyedPush }

interface CompilerOptions {
  readonly tasks: TaskGraph
  readonly vertex: Vertex
  readonly parts: ChainParts
}

class Compiler {
  readonly #nodes: ReadonlyMap<string, JobGraph['nodes'][number]>
  readonly #vertex: Vertex
  readonly #chained: readonly Connection[]
  readonly #incoming: readonly Exchange[]
  readonly #outgoing: readonly Exchange[]
  readonly #parts: ChainParts
  /** Several inputs of a vertex may lead to one operator. */
  readonly #compiled = new Map<string, Ports>()
  readonly #ends = new Map<string, () => void>()

  constructor(graph: JobGraph, { tasks, vertex, parts }: CompilerOptions) {
    this.#nodes = new Map(graph.nodes.map((node) => [node.id, node]))
    this.#vertex = vertex
    this.#parts = parts
    const isMine = (operator: Connection['from']): boolean => vertex.operators.includes(operator)
    this.#chained = tasks.chained.filter(({ from }) => isMine(from))
    this.#incoming = tasks.exchanges.filter(({ to }) => isMine(to))
    this.#outgoing = tasks.exchanges.filter(({ from }) => isMine(from))
  }

  compile(): Chain {
    const first = this.#operator(this.#vertex.id)
    const source =
      first.kind === 'source' ? { push: this.#downstream(first.id), sides: this.#sidesOf(first.id) } : undefined
    const entries = new Map(this.#incoming.map((exchange) => [exchange.index, this.#entry(exchange)]))
    // The order of declaration is from the top down.
    const ends = this.#vertex.operators.flatMap((operator) => {
      const end = this.#ends.get(operator)
      return end === undefined ? [] : [{ operator, end }]
    })
    return { source, entries, ends }
  }

  #entry(exchange: Exchange): Push {
    const { partition } = exchange
    if (partition.kind !== 'key') return this.#plainPort(exchange)
    return keyByPush(this.#keyBy(partition.keyBy), [this.#keyedPort(exchange)], this.#parts.guard)
  }

  /** All that reads the main output (or a side output) of `operator`. */
  #downstream(operator: string, side?: string): Push {
    const isRead = (one: Connection): boolean => one.from === operator && one.side === side
    const pushes = [
      ...this.#chainedPushes(this.#chained.filter(isRead)),
      ...this.#outgoing.filter(isRead).map((exchange) => this.#leave(exchange)),
    ]
    const [first, second, third] = pushes
    if (first === undefined) return () => undefined
    if (second === undefined) return first
    if (third === undefined) {
      return (value, timestamp) => {
        first(value, timestamp)
        second(value, timestamp)
      }
    }
    return (value, timestamp) => {
      for (const push of pushes) push(value, timestamp)
    }
  }

  /** Those of its side outputs that are read, by name. */
  #sidesOf(operator: string): ReadonlyMap<string, Push> {
    const connections = [...this.#chained, ...this.#outgoing].filter(({ from }) => from === operator)
    const names = new Set(connections.flatMap(({ side }) => (side === undefined ? [] : [side])))
    return new Map([...names].map((side) => [side, this.#downstream(operator, side)]))
  }

  /** Those behind one keyBy share its look at the key. */
  #chainedPushes(connections: readonly Connection[]): readonly Push[] {
    const readers = new Map<string, Connection[]>()
    for (const connection of connections) {
      const { partition, to, port } = connection
      const group = partition.kind === 'key' ? `key ${partition.keyBy}` : `${to} ${port}`
      readers.set(group, [...(readers.get(group) ?? []), connection])
    }
    return [...readers.values()].flatMap((group) => {
      const partition = group[0]?.partition
      if (partition?.kind !== 'key') return group.map((one) => this.#plainPort(one))
      const ports = group.map((one) => this.#keyedPort(one))
      return [keyByPush(this.#keyBy(partition.keyBy), ports, this.#parts.guard)]
    })
  }

  #leave({ index }: Exchange): Push {
    const push = this.#parts.exchanges.get(index)
    assert(push !== undefined, () => `exchange ${index} of "${this.#vertex.id}" has no edge`)
    return push
  }

  #plainPort({ to, port }: Connection): Push {
    const ports = this.#portsOf(to)
    if (ports.kind === 'plain') return ports.push
    const push = port === 0 ? ports.first : ports.second
    return (value, timestamp) => push(value, undefined, timestamp)
  }

  #keyedPort({ to, port, partition }: Connection): KeyedPush {
    const ports = this.#portsOf(to)
    if (ports.kind === 'keyed') return port === 0 ? ports.first : ports.second
    const keyBy = partition.kind === 'key' ? partition.keyBy : ''
    throw new InvariantViolation(`operator "${to}" cannot read keyed stream "${keyBy}"`, { code: 'SLUICE_BUG' })
  }

  #portsOf(operator: string): Ports {
    const before = this.#compiled.get(operator)
    if (before !== undefined) return before
    const ports = this.#compileOperator(this.#operator(operator))
    this.#compiled.set(operator, ports)
    return ports
  }

  #compileOperator(node: OperatorNode): Ports {
    const { guard } = this.#parts
    switch (node.kind) {
      case 'map':
        return { kind: 'plain', push: mapPush(node, this.#downstream(node.id), guard) }
      case 'filter':
        return { kind: 'plain', push: filterPush(node, this.#downstream(node.id), guard) }
      case 'flatMap':
        return { kind: 'plain', push: flatMapPush(node, this.#downstream(node.id), guard) }
      case 'process': {
        const { push, end } = processOperator(node, this.#operatorParts(node.id))
        if (node.onEnd !== undefined) this.#ends.set(node.id, end)
        return { kind: 'keyed', first: push, second: push }
      }
      case 'connect': {
        const { first, second, end } = connectOperator(node, this.#operatorParts(node.id))
        if (node.onEnd !== undefined) this.#ends.set(node.id, end)
        return { kind: 'keyed', first, second }
      }
      case 'sink':
        return { kind: 'plain', push: this.#sink(node.id) }
      case 'source':
        throw new InvariantViolation(`source "${node.id}" cannot read anything`, { code: 'SLUICE_BUG' })
      default:
        return unreachable(node)
    }
  }

  #operatorParts(operator: string): OperatorParts {
    const { backends, operatorStates, guard } = this.#parts
    const sides = this.#sidesOf(operator)
    return {
      keyed: backends.get(operator),
      operatorState: operatorStates.get(operator) ?? {},
      next: this.#downstream(operator),
      side: (output) => sides.get(output),
      guard,
    }
  }

  #sink(id: string): Push {
    const edge = this.#parts.sinks.get(id)
    assert(edge !== undefined, () => `sink "${id}" has no edge`)
    return sinkPush(edge, this.#parts.guard)
  }

  #operator(id: string): OperatorNode {
    const node = this.#nodes.get(id)
    assert(node !== undefined && isOperator(node), () => `"${id}" is no operator of the job`)
    return node
  }

  #keyBy(id: string): KeyByNode {
    const node = this.#nodes.get(id)
    assert(node?.kind === 'keyBy', () => `"${id}" is no keyBy of the job`)
    return node
  }
}
