/**
 * Opens what a task needs where a checkpoint left off: state, positions, writers. What was opened is closed again when something after it
 * cannot be.
 */
import { assert, parseGeneration, parseJobId, parseLineageId, TerminalError, type ReaderContext } from '../api/index.ts'
import { partsOf, type OperatorSnapshot } from '../checkpoint/manifest.ts'
import { checkReader } from '../graph/check-operator.ts'
import { isOperator, type OperatorNode, type SinkNode, type SourceNode } from '../graph/job-graph.ts'
import type { Vertex } from '../graph/task-graph.ts'
import { ChainGuard } from '../operators/chain-guard.ts'
import { compileChain, type Chain } from '../operators/chain.ts'
import { createExchangeEdge, type ExchangeEdge } from '../operators/exchange-edge.ts'
import { createSinkEdge, type SinkEdge } from '../operators/sink-edge.ts'
import { keyGroupRange } from '../state/key-group.ts'
import { KeyedStateBackend, restoreKeyedState } from '../state/keyed-state-backend.ts'
import { OperatorStateBackend, restoreOperatorState } from '../state/operator-state.ts'
import { externalNames, generationPrefix } from './external-name.ts'
import { FailureSwitch, failureAt } from './failure.ts'
import { Figures } from './figures.ts'
import { OutputPort } from './output-port.ts'
import { endedOf, shareOf } from './share.ts'
import { SinkPort } from './sink-port.ts'
import { SourcePort } from './source-port.ts'
import type { TaskOptions } from './task.ts'

export interface OpenedTask {
  readonly chain: Chain
  readonly guard: ChainGuard
  readonly vertex: Vertex
  /** Of a vertex that begins with one. */
  readonly source: SourcePort | undefined
  readonly sinks: readonly SinkPort[]
  readonly outputs: readonly OutputPort[]
  readonly backends: ReadonlyMap<string, KeyedStateBackend>
  readonly operatorStates: ReadonlyMap<string, OperatorStateBackend>
  /** Some split has no position in what was restored: nothing is polled before a checkpoint that holds it has completed (F32). */
  readonly hasNewSplits: boolean
  /** The source had ended in what was restored. */
  readonly hasEnded: boolean
  /** Operators whose end has run in an earlier life of the job; said by subtask 0, for all (F24). */
  readonly closed: ReadonlySet<string>
  /** Failures that sources, sinks and user functions report outside a call. */
  onFailure(listener: (error: unknown) => void): void
}

const SINK_MEMORY_BYTES = 64 * 1024 * 1024

/** @throws TerminalError, TaskFailure, CorruptCheckpointError */
export async function openTask(options: TaskOptions, signal: AbortSignal): Promise<OpenedTask> {
  const opening = new Opening(options, signal)
  await using opened = new AsyncDisposableStack()
  const { guard, vertex } = opening
  const backends = await opening.backends()
  const operatorStates = await opening.operatorStates()
  const edges = new Map<string, SinkEdge>()
  const sinks: SinkPort[] = []
  for (const node of opening.nodes) {
    if (node.kind !== 'sink') continue
    const edge = createSinkEdge(node)
    const sink = await opening.sink(edge)
    opened.defer(() => sink.dispose())
    edges.set(node.id, edge)
    sinks.push(sink)
  }
  const exchanges = opening.exchanges()
  const chain = compileChain(options.graph, options.taskGraph, vertex, {
    backends,
    operatorStates: new Map([...operatorStates].map(([operator, { handles }]) => [operator, handles])),
    sinks: edges,
    exchanges: new Map([...exchanges].map(([index, { edge }]) => [index, edge.push])),
    guard,
  })
  const [first] = opening.nodes
  const source = first?.kind === 'source' ? await opening.source(first) : undefined
  opened.move()
  const share = first === undefined ? undefined : options.spec.splits[first.id]?.[options.id.subtask]
  return {
    chain,
    guard,
    vertex,
    source,
    sinks,
    outputs: [...exchanges.values()].map(({ port }) => port),
    backends,
    operatorStates,
    hasNewSplits: share?.hasNewSplits ?? false,
    hasEnded: share?.hasEnded ?? false,
    closed: new Set(vertex.operators.filter((operator) => opening.isClosed(operator))),
    onFailure: (listener) => opening.failures.connect(listener),
  }
}

class Opening {
  readonly vertex: Vertex
  readonly nodes: readonly OperatorNode[]
  readonly failures = new FailureSwitch()
  readonly guard = new ChainGuard((failure) => this.failures.report(failure))
  readonly #figures: Figures
  readonly #options: TaskOptions
  readonly #signal: AbortSignal

  constructor(options: TaskOptions, signal: AbortSignal) {
    this.#options = options
    this.#signal = signal
    this.#figures = options.figures ?? new Figures()
    const vertex = options.taskGraph.vertices.find(({ id }) => id === options.id.vertex)
    assert(vertex !== undefined, () => `"${options.id.vertex}" is no vertex of the job`)
    this.vertex = vertex
    this.nodes = options.graph.nodes.filter(isOperator).filter(({ id }) => vertex.operators.includes(id))
  }

  isClosed(operator: string): boolean {
    return endedOf(this.#restoredOf(operator), this.#options.id.subtask)
  }

  async backends(): Promise<ReadonlyMap<string, KeyedStateBackend>> {
    const { graph, id, spec, store } = this.#options
    const range = keyGroupRange(id.subtask, this.vertex.parallelism, spec.maxParallelism)
    const keyed = new Set(graph.nodes.filter(({ kind }) => kind === 'keyBy').map((node) => String(node.id)))
    const backends = new Map<string, KeyedStateBackend>()
    for (const node of this.nodes) {
      const input = node.kind === 'process' ? node.input : node.kind === 'connect' ? node.inputs[0] : undefined
      if (input === undefined || !keyed.has(input) || (node.kind !== 'process' && node.kind !== 'connect')) continue
      const backend = new KeyedStateBackend(node.state, spec.maxParallelism, {
        firstKeyGroup: range.first,
        lastKeyGroup: range.last,
      })
      backends.set(node.id, backend)
      if (spec.restored === null) continue
      const handles = this.#restoredOf(node.id).flatMap((one) => (one.state === undefined ? [] : [one.state]))
      const { checkpoint } = spec.restored
      await restoreKeyedState(backend, { checkpoint, handles, getBlob: (blob) => store.getBlob(blob) })
    }
    return backends
  }

  async operatorStates(): Promise<ReadonlyMap<string, OperatorStateBackend>> {
    const { id, store } = this.#options
    const me = { subtask: id.subtask, parallelism: this.vertex.parallelism }
    const backends = new Map<string, OperatorStateBackend>()
    for (const node of this.nodes) {
      if (node.kind !== 'process' && node.kind !== 'connect') continue
      if (Object.keys(node.operatorState).length === 0) continue
      const backend = new OperatorStateBackend(node.operatorState)
      backends.set(node.id, backend)
      const parts = this.#restoredOf(node.id)
      await restoreOperatorState(backend, {
        operator: node.id,
        parts,
        me,
        getBlob: (blob) => store.getBlob(blob),
      })
    }
    return backends
  }

  async sink(edge: SinkEdge): Promise<SinkPort> {
    const { node } = edge
    const { spec, id, limits } = this.#options
    const parts = this.#restoredOf(node.id)
    const restored = writerStateOf(node, parts, {
      subtask: id.subtask,
      parallelism: this.vertex.parallelism,
    })
    const context = this.#contextOf(node)
    try {
      const writer = await node.sink.createWriter(
        {
          ...context,
          nextName: externalNames({ ...spec.names, operator: node.id, subtask: id.subtask }),
          namePrefix: generationPrefix({ ...spec.names, operator: node.id }),
          checkpoint: spec.checkpoint,
          memoryBudgetBytes: limits?.sinkMemoryBytes ?? SINK_MEMORY_BYTES,
        },
        restored,
      )
      return new SinkPort(edge, writer, {
        origin: { generation: context.generation, subtask: id.subtask },
        counts: { ...countedIn(parts, id.subtask), written: this.#figures.counter(node.id, id.subtask, 'written') },
      })
    } catch (error) {
      throw failureAt(`sink "${node.id}" could not create its writer`, error)
    }
  }

  async source(node: SourceNode): Promise<SourcePort> {
    const share = this.#options.spec.splits[node.id]?.[this.#options.id.subtask]
    assert(share !== undefined, () => `source "${node.id}" was given no splits, not even none`)
    const context = this.#contextOf(node)
    const splits = new Map(share.splits.map((one) => [one.split.id, { ...one }]))
    try {
      const reader = await node.source.createReader(context)
      await using opened = new AsyncDisposableStack()
      opened.use(reader)
      checkReader(node.id, node.source, reader)
      const open = share.splits.filter((one) => !one.ended)
      await reader.assign(open.map(({ split, position }) => ({ split, position })))
      opened.move()
      return new SourcePort(node, reader, {
        splits,
        logger: context.logger,
        records: countedIn(this.#restoredOf(node.id), context.subtask).records,
        counters: {
          read: this.#figures.counter(node.id, context.subtask, 'read'),
          skipped: this.#figures.counter(node.id, context.subtask, 'skipped'),
        },
      })
    } catch (error) {
      throw failureAt(`source "${node.id}" could not be opened`, error)
    }
  }

  /** What leaves this vertex, by the index of the exchange. */
  exchanges(): ReadonlyMap<number, { readonly edge: ExchangeEdge; readonly port: OutputPort }> {
    const { graph, outputs, spec } = this.#options
    return new Map(
      outputs.map(({ exchange, writers }) => {
        const { partition } = exchange
        const keyBy = graph.nodes.find((node) => partition.kind === 'key' && node.id === partition.keyBy)
        const edge = createExchangeEdge({
          exchange,
          from: { subtask: this.#options.id.subtask, parallelism: this.vertex.parallelism },
          targets: writers.length,
          keyBy: keyBy?.kind === 'keyBy' ? keyBy : undefined,
          maxParallelism: spec.maxParallelism,
          guard: this.guard,
        })
        return [exchange.index, { edge, port: new OutputPort(edge, writers) }] as const
      }),
    )
  }

  #restoredOf(operator: string): readonly OperatorSnapshot[] {
    const { restored, dropped } = this.#options.spec
    return partsOf(restored, operator, dropped)
  }

  #contextOf({ id: operator, kind }: SourceNode | SinkNode): ReaderContext {
    const { runtime, spec, id } = this.#options
    return {
      job: parseJobId(spec.names.job),
      lineage: parseLineageId(spec.names.lineage),
      generation: parseGeneration(spec.names.generation),
      operator,
      subtask: id.subtask,
      parallelism: this.vertex.parallelism,
      maxParallelism: spec.maxParallelism,
      baseDirectory: spec.baseDirectory,
      clock: runtime.clock,
      random: runtime.random,
      logger: runtime.logger,
      metrics: this.#figures.metricsOf(operator, id.subtask),
      signal: this.#signal,
      fail: (error) => this.failures.report(failureAt(`${kind} "${operator}" failed`, error)),
    }
  }
}

function writerStateOf(
  node: SinkNode,
  parts: readonly OperatorSnapshot[],
  me: { readonly subtask: number; readonly parallelism: number },
): readonly unknown[] {
  const codec = node.sink.writerStateCodec
  const held = parts.map(({ subtask, parallelism, writerState }) => ({
    subtask,
    parallelism,
    entries: (writerState?.entries ?? []).map((bytes) => ({ bytes, version: writerState?.version ?? 1 })),
  }))
  const mine = shareOf(held, me)
  if (mine.length === 0) return []
  if (codec !== undefined) {
    return mine.map(({ bytes, version }) => codec.decode(Buffer.from(bytes, 'base64'), version))
  }
  throw new TerminalError(
    `sink "${node.id}" (${node.sink.kind}) cannot read the ${mine.length} entries of writer state that the ` +
      `checkpoint holds for it: it has no writerStateCodec. Put the old sink back, or drop the operator`,
    { code: 'SLUICE_OPERATOR_CHANGED' },
  )
}

/** Subtask 0 goes on from what all subtasks had counted, whatever their parallelism was: sums stay what they are. */
function countedIn(
  parts: readonly OperatorSnapshot[],
  subtask: number,
): { readonly records: number; readonly newestEventAt: number | undefined } {
  if (subtask !== 0) return { records: 0, newestEventAt: undefined }
  const times = parts.flatMap(({ newestEventAt }) => newestEventAt ?? [])
  return {
    records: parts.reduce((sum, { records = 0 }) => sum + records, 0),
    newestEventAt: times.length === 0 ? undefined : Math.max(...times),
  }
}
