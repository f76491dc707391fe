/**
 * Opens what a task needs where a checkpoint left off: state, splits and positions, writers. What was opened is closed again when
 * something after it cannot be.
 */
import {
  parseGeneration,
  parseJobId,
  parseLineageId,
  TerminalError,
  type Metrics,
  type ReaderContext,
} from '../api/index.ts'
import type { OperatorSnapshot } from '../checkpoint/manifest.ts'
import type { SinkNode, SourceNode } from '../graph/job-graph.ts'
import { ChainGuard } from '../operators/chain-guard.ts'
import { compileChain, type Chain } from '../operators/chain.ts'
import { createSinkEdge, type SinkEdge } from '../operators/sink-edge.ts'
import { KeyedStateBackend, restoreKeyedState } from '../state/keyed-state-backend.ts'
import { externalNames, generationPrefix } from './external-name.ts'
import { FailureSwitch, failureAt } from './failure.ts'
import { SinkPort } from './sink-port.ts'
import { SourcePort } from './source-port.ts'
import { resolveSplits } from './splits.ts'
import type { TaskOptions } from './task.ts'

export interface OpenedTask {
  readonly chain: Chain
  readonly guard: ChainGuard
  readonly source: SourcePort
  readonly sinks: readonly SinkPort[]
  readonly backends: ReadonlyMap<string, KeyedStateBackend>
  /** Some split has no position in what was restored: nothing is polled before a checkpoint that holds it has completed (F32). */
  readonly hasNewSplits: boolean
  /** Operators that had ended in what was restored (F24). */
  readonly ended: readonly string[]
  /** Failures that sources, sinks and user functions report outside a call. */
  onFailure(listener: (error: unknown) => void): void
}

const SINK_MEMORY_BYTES = 64 * 1024 * 1024
export const NO_METRICS: Metrics = { count: () => undefined, gauge: () => undefined }

/** @throws TerminalError, TaskFailure, CorruptCheckpointError */
export async function openTask(options: TaskOptions, signal: AbortSignal): Promise<OpenedTask> {
  const failures = new FailureSwitch()
  const guard = new ChainGuard((failure) => failures.report(failure))
  await using opened = new AsyncDisposableStack()
  const backends = await openBackends(options)
  const edges = new Map<string, SinkEdge>()
  const sinks: SinkPort[] = []
  for (const node of options.graph.nodes) {
    if (node.kind !== 'sink') continue
    const edge = createSinkEdge(node)
    const sink = await openSink(options, edge, contextOf(options, node, { signal, failures }))
    opened.defer(() => sink.dispose())
    edges.set(node.id, edge)
    sinks.push(sink)
  }
  const [node, other] = options.graph.nodes.filter((one): one is SourceNode => one.kind === 'source')
  if (node === undefined) throw new TerminalError('the job has no source')
  if (other !== undefined)
    throw new TerminalError(`sources "${node.id}" and "${other.id}": one source per job is supported`)
  const chain = compileChain(options.graph, node.id, { backends, edges, guard })
  const { source, hasNewSplits } = await openSource(options, node, contextOf(options, node, { signal, failures }))
  opened.move()
  const ended = options.graph.nodes.map(({ id }) => id).filter((id) => hasEnded(restoredOf(options, id)))
  return {
    chain,
    guard,
    source,
    sinks,
    backends,
    hasNewSplits,
    ended,
    onFailure: (listener) => failures.connect(listener),
  }
}

function restoredOf(options: TaskOptions, operator: string): readonly OperatorSnapshot[] {
  if (options.dropped.includes(operator)) return []
  return options.restored?.operators.filter((one) => one.operator === operator) ?? []
}

/** With another parallelism than now: only if every part of it had ended. */
function hasEnded(parts: readonly OperatorSnapshot[]): boolean {
  return parts.length > 0 && parts.every((one) => one.ended)
}

async function openBackends(options: TaskOptions): Promise<ReadonlyMap<string, KeyedStateBackend>> {
  const backends = new Map<string, KeyedStateBackend>()
  for (const node of options.graph.nodes) {
    if (node.kind !== 'process') continue
    const backend = new KeyedStateBackend(node.state, options.maxParallelism)
    backends.set(node.id, backend)
    if (options.restored === null) continue
    const handles = restoredOf(options, node.id).flatMap((one) => (one.state === undefined ? [] : [one.state]))
    const { checkpoint } = options.restored
    await restoreKeyedState(backend, { checkpoint, handles, getBlob: (blob) => options.store.getBlob(blob) })
  }
  return backends
}

function contextOf(
  options: TaskOptions,
  { id: operator, kind }: SourceNode | SinkNode,
  { signal, failures }: { readonly signal: AbortSignal; readonly failures: FailureSwitch },
): ReaderContext {
  const { runtime, names } = options
  return {
    job: parseJobId(names.job),
    lineage: parseLineageId(names.lineage),
    generation: parseGeneration(names.generation),
    operator,
    subtask: 0,
    parallelism: 1,
    maxParallelism: options.maxParallelism,
    baseDirectory: options.baseDirectory,
    clock: runtime.clock,
    random: runtime.random,
    logger: runtime.logger,
    metrics: options.metrics ?? NO_METRICS,
    signal,
    fail: (error) => failures.report(failureAt(`${kind} "${operator}" failed`, error)),
  }
}

async function openSink(options: TaskOptions, edge: SinkEdge, context: ReaderContext): Promise<SinkPort> {
  const { node } = edge
  const restored = writerStateOf(node, restoredOf(options, node.id))
  try {
    const writer = await node.sink.createWriter(
      {
        ...context,
        nextName: externalNames({ ...options.names, operator: node.id, subtask: 0 }),
        namePrefix: generationPrefix({ ...options.names, operator: node.id }),
        checkpoint: options.checkpoint,
        memoryBudgetBytes: options.limits?.sinkMemoryBytes ?? SINK_MEMORY_BYTES,
      },
      restored,
    )
    return new SinkPort(edge, writer, context.generation)
  } catch (error) {
    throw failureAt(`sink "${node.id}" could not create its writer`, error)
  }
}

function writerStateOf(node: SinkNode, parts: readonly OperatorSnapshot[]): readonly unknown[] {
  const codec = node.sink.writerStateCodec
  return parts.flatMap(({ writerState }) => {
    if (writerState === undefined || writerState.entries.length === 0) return []
    if (codec !== undefined) {
      return writerState.entries.map((entry) => codec.decode(Buffer.from(entry, 'base64'), writerState.version))
    }
    throw new TerminalError(
      `sink "${node.id}" (${node.sink.kind}) cannot read the ${writerState.entries.length} entries of writer state that the ` +
        `checkpoint holds for it: it has no writerStateCodec. Put the old sink back, or drop the operator`,
    )
  })
}

async function openSource(
  options: TaskOptions,
  node: SourceNode,
  context: ReaderContext,
): Promise<{ readonly source: SourcePort; readonly hasNewSplits: boolean }> {
  const known = restoredOf(options, node.id).flatMap((one) => one.splits ?? [])
  try {
    const discovered = await node.source.discover(
      context,
      known.map((one) => one.split),
    )
    const { splits, hasNewSplits } = resolveSplits(node.id, known, discovered)
    const reader = await node.source.createReader(context)
    await using opened = new AsyncDisposableStack()
    opened.use(reader)
    const open = [...splits.values()].filter((one) => !one.ended)
    await reader.assign(open.map(({ split, position }) => ({ split, position })))
    opened.move()
    return { source: new SourcePort(node, reader, { splits, logger: context.logger }), hasNewSplits }
  } catch (error) {
    throw failureAt(`source "${node.id}" could not be opened`, error)
  }
}
