/**
 * The logical graph of a job: what `build` produced, in memory, with closures. A tree per source: nodes in the order they were
 * declared, each naming its input. The plan (JSON, no closures) is derived from it.
 */
import type { Guarantee, OperatorId, Sink, Source, SplitLike } from '../api/index.ts'

export type JobNode = SourceNode | MapNode | FilterNode | FlatMapNode | KeyByNode | ProcessNode | SinkNode

interface NodeBase {
  readonly id: OperatorId
}
interface NodeWithInput extends NodeBase {
  readonly input: OperatorId
}
export interface SourceNode extends NodeBase {
  readonly kind: 'source'
  readonly source: Source<unknown, SplitLike, unknown>
}
export interface MapNode extends NodeWithInput {
  readonly kind: 'map'
  readonly map: (value: unknown, timestamp: number) => unknown
}
export interface FilterNode extends NodeWithInput {
  readonly kind: 'filter'
  readonly filter: (value: unknown, timestamp: number) => boolean
}
export interface FlatMapNode extends NodeWithInput {
  readonly kind: 'flatMap'
  readonly flatMap: (value: unknown, timestamp: number) => Iterable<unknown>
}
/** `id` is derived from its input's (`<input>.key-<n>` where not given). */
export interface KeyByNode extends NodeWithInput {
  readonly kind: 'keyBy'
  readonly key: (value: unknown) => unknown
}
/** Its input is a `keyBy`. */
export interface ProcessNode extends NodeWithInput {
  readonly kind: 'process'
  readonly state: Readonly<Record<string, StateDescriptor>>
  readonly onRecord: (value: unknown, context: unknown) => void
  /** Called once when the input has ended, not per key. */
  readonly onEnd?: (context: unknown) => void
}
export interface SinkNode extends NodeWithInput {
  readonly kind: 'sink'
  readonly sink: Sink<unknown, unknown, unknown>
}

/** Made by `value()`, `list()`, `map()` of engine/state/descriptors.ts. */
export interface StateDescriptor {
  readonly kind: 'value' | 'list' | 'map'
  /** Only for `value`: what `get` answers for a key that was never set; called each time. */
  readonly initial?: () => unknown
}

export interface JobGraph {
  readonly nodes: readonly JobNode[]
  /** The weakest of all source-to-sink paths. */
  readonly guarantee: Guarantee
}
