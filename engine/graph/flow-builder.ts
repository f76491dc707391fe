/**
 * What stands behind the streams of engine/graph/stream.ts: one class for all of them, whose calls check what they are given and add a
 * node. That a keyed stream shows less than a stream is a matter of types; plain JavaScript is told when it goes too far.
 */
import {
  TerminalError,
  type OperatorId,
  type SideOutput,
  type Sink,
  type Source,
  type SplitLike,
} from '../api/index.ts'
import {
  checkConnect,
  checkFunction,
  checkOptions,
  checkProcess,
  checkSideOutput,
  checkSink,
  checkSource,
} from './check-operator.ts'
import type { JobNode, OperatorNode } from './job-graph.ts'
import { describe, NodeList, refuseReader } from './node-list.ts'
import type {
  BroadcastConnectedStreams,
  BroadcastStream,
  ConnectedStreams,
  Flow,
  KeyedStream,
  OperatorFunction,
  OperatorOptions,
  OperatorState,
  OperatorStream,
  Stream,
} from './stream.ts'

type PerRecord<Out> = (value: unknown, timestamp: number) => Out

export class FlowBuilder implements Flow {
  readonly #list = new NodeList()

  /** In the order of declaration. */
  get nodes(): readonly JobNode[] {
    return this.#list.nodes
  }

  source<T, Split extends SplitLike, Position>(
    id: string,
    source: Source<T, Split, Position>,
    options?: OperatorOptions,
  ): OperatorStream<T> {
    checkSource(id, source)
    const node = this.#list.add({
      kind: 'source',
      id: this.#list.newId('source', id),
      source: source as Source<unknown, SplitLike, unknown>,
      ...checkOptions('source', id, options),
    })
    return new NodeStream<T>(this.#list, node)
  }

  /** `build` has returned. */
  seal(): void {
    this.#list.seal()
  }
}

class NodeStream<T> implements OperatorStream<T> {
  readonly #list: NodeList
  readonly #node: JobNode
  /** By name: asked for again, it is the same stream. */
  readonly #sides = new Map<string, NodeStream<unknown>>()

  constructor(list: NodeList, node: JobNode) {
    this.#list = list
    this.#node = node
    list.register(this, node)
  }

  map<Out>(id: string, map: (record: T, timestamp: number) => Out, options?: OperatorOptions): Stream<Out> {
    checkFunction('map', id, map)
    return this.#behind({ kind: 'map', ...this.#operator('map', id, options), map: map as PerRecord<unknown> })
  }

  filter<Kept extends T>(
    id: string,
    filter: (record: T, timestamp: number) => boolean,
    options?: OperatorOptions,
  ): Stream<Kept> {
    checkFunction('filter', id, filter)
    const checked = filter as PerRecord<boolean>
    return this.#behind({ kind: 'filter', ...this.#operator('filter', id, options), filter: checked })
  }

  flatMap<Out>(
    id: string,
    flatMap: (record: T, timestamp: number) => Iterable<Out>,
    options?: OperatorOptions,
  ): Stream<Out> {
    checkFunction('flatMap', id, flatMap)
    const checked = flatMap as PerRecord<Iterable<unknown>>
    return this.#behind({ kind: 'flatMap', ...this.#operator('flatMap', id, options), flatMap: checked })
  }

  process<Out, const S extends OperatorState>(
    id: string,
    process: OperatorFunction<T, Out, S>,
    options?: OperatorOptions,
  ): OperatorStream<Out> {
    const checked = checkProcess(id, process, this.#node.kind === 'keyBy')
    return this.#behind({ kind: 'process', ...this.#operator('process', id, options), ...checked })
  }

  sink<C, W>(id: string, sink: Sink<T, C, W>, options?: OperatorOptions): void {
    checkSink(id, sink)
    const erased = sink as unknown as Sink<unknown, unknown, unknown>
    this.#list.add({ kind: 'sink', ...this.#operator('sink', id, options), sink: erased })
  }

  keyBy<const K>(key: (record: T) => K): KeyedStream<T, K> {
    const { id: input } = this.#node
    checkFunction('keyBy behind', input, key)
    refuseReader('keyBy', this.#node)
    const id = this.#list.derivedId('keyBy', 'key', input)
    const keyed: unknown = this.#behind({ kind: 'keyBy', id, input, key: key as (value: unknown) => unknown })
    return keyed as KeyedStream<T, K>
  }

  union<Others extends readonly [unknown, ...unknown[]]>(
    ...others: { readonly [Index in keyof Others]: Stream<Others[Index]> }
  ): Stream<T | Others[number]> {
    const { id: input } = this.#node
    const what = `the union behind "${input}"`
    const given: readonly unknown[] = others
    const nodes = [this.#node, ...given.map((other) => this.#list.behind(other, `an input of ${what}`))]
    if (nodes.length === 1)
      throw new TerminalError(`${what} needs at least one other stream`, { code: 'SLUICE_GRAPH_INVALID' })
    for (const node of nodes) refuseReader(what, node)
    const twice = nodes.find((node, index) => nodes.indexOf(node) !== index)
    if (twice !== undefined) {
      throw new TerminalError(
        `${what} has ${describe(twice)} twice: every record of it would come twice; name it once`,
        { code: 'SLUICE_GRAPH_INVALID' },
      )
    }
    const id = this.#list.derivedId('union', 'union', input)
    return this.#behind({ kind: 'union', id, inputs: nodes.map((node) => node.id) })
  }

  rebalance(): Stream<T> {
    const { id: input } = this.#node
    refuseReader('rebalance', this.#node)
    return this.#behind({ kind: 'rebalance', id: this.#list.derivedId('rebalance', 'rebalance', input), input })
  }

  broadcast(): BroadcastStream<T> {
    const { id: input } = this.#node
    refuseReader('broadcast', this.#node)
    const id = this.#list.derivedId('broadcast', 'broadcast', input)
    const broadcast: unknown = this.#behind({ kind: 'broadcast', id, input })
    return broadcast as BroadcastStream<T>
  }

  side<S>(output: SideOutput<S>): Stream<S> {
    const { id: input, kind } = this.#node
    checkSideOutput(input, output)
    const { name } = output
    if (kind !== 'source' && kind !== 'process' && kind !== 'connect') {
      throw new TerminalError(
        `${describe(this.#node)} has no side output "${name}": only a source, a process or a connect gives to one`,
        { code: 'SLUICE_SIDE_OUTPUT_INVALID' },
      )
    }
    let side = this.#sides.get(name)
    if (side === undefined) {
      const id = this.#list.newId('side', `${input}.side-${name}`)
      side = this.#behind({ kind: 'side', id, input, output: name })
      this.#sides.set(name, side)
    }
    return side as NodeStream<S>
  }

  connect<U>(broadcast: BroadcastStream<U>): BroadcastConnectedStreams<T, U>
  connect<U>(other: Stream<U>): ConnectedStreams<T, U>
  connect(other: unknown): unknown {
    const first = this.#node
    const what = `the connect behind "${first.id}"`
    const second = this.#list.behind(other, `the other input of ${what}`)
    if (first.kind === 'broadcast') refuseReader(what, first)
    const isKeyed = first.kind === 'keyBy'
    const isBroadcast = second.kind === 'broadcast'
    if (!isBroadcast && isKeyed !== (second.kind === 'keyBy')) {
      const [keyed, other] = isKeyed ? [first, second] : [second, first]
      throw new TerminalError(
        `${what} has a key on one side only (${describe(keyed)}); key ${describe(other)} too, or connect a broadcast to it`,
        { code: 'SLUICE_GRAPH_INVALID' },
      )
    }
    return {
      process: (id: string, process: unknown, options?: OperatorOptions) => {
        const { id: checkedId, ...rest } = this.#common('connect', id, options)
        const inputs = [first.id, second.id] as const
        const checked = checkConnect(id, process, { isKeyed, isBroadcast })
        return this.#behind({ kind: 'connect', id: checkedId, inputs, ...checked, ...rest })
      },
    }
  }

  #behind<Out>(node: JobNode): NodeStream<Out> {
    return new NodeStream<Out>(this.#list, this.#list.add(node))
  }

  /** What all operators with one input have. */
  #operator(
    kind: Exclude<OperatorNode['kind'], 'source' | 'connect'>,
    id: string,
    options: OperatorOptions | undefined,
  ): Operator {
    if (kind !== 'process' || this.#node.kind === 'broadcast') refuseReader(`${kind} "${id}"`, this.#node)
    return { ...this.#common(kind, id, options), input: this.#node.id }
  }

  #common(kind: OperatorNode['kind'], id: string, options: OperatorOptions | undefined): Omit<Operator, 'input'> {
    return { id: this.#list.newId(kind, id), ...checkOptions(kind, id, options) }
  }
}

interface Operator extends OperatorOptions {
  readonly id: OperatorId
  readonly input: OperatorId
}
