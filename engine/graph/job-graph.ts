/**
 * The logical graph of a job: what `build` produced, in memory, with closures. Nodes in the order they were declared, each naming its
 * inputs, which come before it. The plan (JSON, no closures) and the task graph are derived from it.
 *
 * - Operators run: source, map, filter, flatMap, process, connect, sink. They have a parallelism, and a part in each checkpoint.
 * - The others only say how records get from one operator to another: keyBy, rebalance, broadcast, union, side.
 */
import type { Guarantee, OperatorId, Sink, Source, SplitLike } from '../api/index.ts'

export type OperatorNode = SourceNode | MapNode | FilterNode | FlatMapNode | ProcessNode | ConnectNode | SinkNode
export type RouteNode = KeyByNode | RebalanceNode | BroadcastNode | UnionNode | SideNode
export type JobNode = OperatorNode | RouteNode

interface NodeBase {
  readonly id: OperatorId
}
interface NodeWithInput extends NodeBase {
  readonly input: OperatorId
}
/** Left out: the parallelism of the job. */
interface WithParallelism {
  readonly parallelism?: number
}

export interface SourceNode extends NodeBase, WithParallelism {
  readonly kind: 'source'
  readonly source: Source<unknown, SplitLike, unknown>
}
export interface MapNode extends NodeWithInput, WithParallelism {
  readonly kind: 'map'
  readonly map: (value: unknown, timestamp: number) => unknown
}
export interface FilterNode extends NodeWithInput, WithParallelism {
  readonly kind: 'filter'
  readonly filter: (value: unknown, timestamp: number) => boolean
}
export interface FlatMapNode extends NodeWithInput, WithParallelism {
  readonly kind: 'flatMap'
  readonly flatMap: (value: unknown, timestamp: number) => Iterable<unknown>
}
/** With keyed state its input is a `keyBy`. */
export interface ProcessNode extends NodeWithInput, WithParallelism {
  readonly kind: 'process'
  /** Keyed; empty where the input is no `keyBy`. */
  readonly state: Readonly<Record<string, StateDescriptor>>
  readonly operatorState: Readonly<Record<string, OperatorStateDescriptor>>
  readonly onRecord: (value: unknown, context: unknown) => void
  /** Called once in the life of the job, by subtask 0, when all of its inputs have ended; not per key. */
  readonly onEnd?: (context: unknown) => void
}
/**
 * Two inputs, one function each. Both keyed: they share keyed state. The second one broadcast: each subtask gets all of it, and keeps
 * `broadcast-map`s, the same in all subtasks; the first may be keyed or not.
 */
export interface ConnectNode extends NodeBase, WithParallelism {
  readonly kind: 'connect'
  readonly inputs: readonly [OperatorId, OperatorId]
  /** Keyed; empty where the first input is no `keyBy`. */
  readonly state: Readonly<Record<string, StateDescriptor>>
  readonly operatorState: Readonly<Record<string, OperatorStateDescriptor>>
  readonly onFirst: (value: unknown, context: unknown) => void
  readonly onSecond: (value: unknown, context: unknown) => void
  readonly onEnd?: (context: unknown) => void
}
export interface SinkNode extends NodeWithInput, WithParallelism {
  readonly kind: 'sink'
  readonly sink: Sink<unknown, unknown, unknown>
}

/** Records of one key go to one subtask, in order. `id` is derived from its input's: `<input>.key-<n>`. */
export interface KeyByNode extends NodeWithInput {
  readonly kind: 'keyBy'
  readonly key: (value: unknown) => unknown
}
/** Records go to the subtasks in turn. `<input>.rebalance-<n>`. */
export interface RebalanceNode extends NodeWithInput {
  readonly kind: 'rebalance'
}
/** Each record goes to every subtask. `<input>.broadcast-<n>`. */
export interface BroadcastNode extends NodeWithInput {
  readonly kind: 'broadcast'
}
/** Records of all inputs. `<first input>.union-<n>`. */
export interface UnionNode extends NodeBase {
  readonly kind: 'union'
  readonly inputs: readonly OperatorId[]
}
/** What operator `input` (a source, process or connect) gives to its side output `output`. `<input>.side-<output>`. */
export interface SideNode extends NodeWithInput {
  readonly kind: 'side'
  readonly output: string
}

/** Keyed state: made by `value()`, `list()`, `map()` of engine/graph/descriptors.ts. */
export interface StateDescriptor {
  readonly kind: 'value' | 'list' | 'map'
  /** Only for `value`: what `get` answers for a key that was never set; called each time. */
  readonly initial?: () => unknown
}

/**
 * State of a subtask, not of a key. At another parallelism the entries of `split-list` are dealt out anew; every subtask gets all entries of
 * all of `union-list`; a `broadcast-map` is the same in all subtasks, and stays so.
 */
export interface OperatorStateDescriptor {
  readonly kind: 'split-list' | 'union-list' | 'broadcast-map'
}

export interface JobGraph {
  readonly nodes: readonly JobNode[]
  /** The weakest of all source-to-sink paths. */
  readonly guarantee: Guarantee
}

export function isOperator(node: JobNode): node is OperatorNode {
  switch (node.kind) {
    case 'keyBy':
    case 'rebalance':
    case 'broadcast':
    case 'union':
    case 'side':
      return false
    default:
      return true
  }
}

/** In the order of its inputs. */
export function inputsOf(node: JobNode): readonly OperatorId[] {
  if (node.kind === 'source') return []
  return node.kind === 'union' || node.kind === 'connect' ? node.inputs : [node.input]
}
