/**
 * Opens what a task needs from where a checkpoint left off: state, splits and positions, writers.
 */
import {
  parseGeneration,
  parseJobId,
  parseLineageId,
  TerminalError,
  type SplitLike,
} from '../api/index.ts'
import type { OperatorSnapshot } from '../checkpoint/manifest.ts'
import type { SinkNode, SourceNode } from '../graph/job-graph.ts'
import { compileChain, type Chain, type SinkEdge } from '../operators/chain.ts'
import { KeyedStateBackend } from '../state/keyed-state-backend.ts'
import { externalNames } from './external-name.ts'
import { SinkPort } from './sink-port.ts'
import { SourcePort, type SplitState } from './source-port.ts'
import type { TaskOptions } from './task.ts'

export interface OpenedTask {
  readonly chain: Chain
  readonly source: SourcePort
  readonly sinks: readonly SinkPort[]
  readonly backends: ReadonlyMap<string, KeyedStateBackend>
  /** Some split has no position in what was restored: nothing is polled before a checkpoint that holds it has completed (F32). */
  readonly hasNewSplits: boolean
  /** Failures that sources and sinks report outside a call. */
  onFailure(listener: (error: unknown) => void): void
}

const MEMORY_BUDGET_BYTES = 64 * 1024 * 1024

export async function openTask(options: TaskOptions): Promise<OpenedTask> {
  const failures = new FailureSwitch()
  const backends = await openBackends(options)
  const edges = new Map<string, SinkEdge>()
  const sinks: SinkPort[] = []
  for (const node of options.graph.nodes) {
    if (node.kind !== 'sink') continue
    const edge: SinkEdge = { node, values: [], timestamps: [] }
    edges.set(node.id, edge)
    sinks.push(await openSink(options, node, edge, failures))
  }
  const node = options.graph.nodes.find((one): one is SourceNode => one.kind === 'source')
  if (node === undefined) throw new TerminalError('the job has no source')
  const { source, hasNewSplits } = await openSource(options, node, failures)
  const chain = compileChain(options.graph, node.id, { backends, edges })
  return { chain, source, sinks, backends, hasNewSplits, onFailure: (listener) => failures.connect(listener) }
}

class FailureSwitch {
  #listener: ((error: unknown) => void) | undefined
  #early: { readonly error: unknown } | undefined

  report(error: unknown): void {
    if (this.#listener === undefined) this.#early ??= { error }
    else this.#listener(error)
  }

  connect(listener: (error: unknown) => void): void {
    this.#listener = listener
    if (this.#early !== undefined) listener(this.#early.error)
  }
}

function restoredOf(options: TaskOptions, operator: string): readonly OperatorSnapshot[] {
  if (options.dropped.includes(operator)) return []
  return options.restored?.operators.filter((one) => one.operator === operator) ?? []
}

async function openBackends(options: TaskOptions): Promise<ReadonlyMap<string, KeyedStateBackend>> {
  const backends = new Map<string, KeyedStateBackend>()
  for (const node of options.graph.nodes) {
    if (node.kind !== 'process') continue
    const backend = new KeyedStateBackend(node.state, options.maxParallelism)
    backends.set(node.id, backend)
    if (options.restored === null) continue
    const handles = restoredOf(options, node.id).flatMap((one) => (one.state === undefined ? [] : [one.state]))
    const references = new Map(handles.flatMap((handle) => handle.blobs).map((blob) => [blob.key, blob]))
    const loaded = await Promise.all(
      [...references.values()].map(async (blob) => [blob.key, await options.store.getBlob(blob)] as const),
    )
    backend.restore(options.restored.checkpoint, handles, new Map(loaded))
  }
  return backends
}

function contextOf(options: TaskOptions, operator: SinkNode['id'], failures: FailureSwitch) {
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
    metrics: { count: () => undefined, gauge: () => undefined },
    signal: options.signal,
    fail: (error: unknown) => failures.report(error),
  }
}

async function openSink(options: TaskOptions, node: SinkNode, edge: SinkEdge, failures: FailureSwitch): Promise<SinkPort> {
  const context = contextOf(options, node.id, failures)
  const codec = node.sink.writerStateCodec
  const restored =
    codec === undefined
      ? []
      : restoredOf(options, node.id).flatMap((one) =>
          (one.writerState?.entries ?? []).map((entry) => codec.decode(Buffer.from(entry, 'base64'), one.writerState?.version ?? 1)),
        )
  const writer = await node.sink.createWriter(
    {
      ...context,
      nextName: externalNames({ ...options.names, operator: node.id, subtask: 0 }),
      namePrefix: `${options.names.job}--${options.names.lineage}--`,
      memoryBudgetBytes: MEMORY_BUDGET_BYTES,
    },
    restored,
  )
  return new SinkPort(edge, writer, context.generation)
}

async function openSource(
  options: TaskOptions,
  node: SourceNode,
  failures: FailureSwitch,
): Promise<{ readonly source: SourcePort; readonly hasNewSplits: boolean }> {
  const context = contextOf(options, node.id, failures)
  const known = new Map(restoredOf(options, node.id).flatMap((one) => one.splits ?? []).map((one) => [one.split.id, one]))
  const discovered = await node.source.discover(context, [...known.values()].map((one): SplitLike => one.split))
  const splits = new Map<string, SplitState>()
  // A split that is not discovered any more but has not ended stays: its reader says what is missing (F20).
  for (const one of known.values()) if (!one.ended) splits.set(one.split.id, { split: one.split, position: one.position, ended: false })
  const ordered = new Map<string, SplitState>()
  for (const { split, start } of discovered) {
    const old = known.get(split.id)
    ordered.set(split.id, old === undefined ? { split, position: start, ended: false } : { split: old.split, position: old.position, ended: old.ended })
  }
  for (const [id, state] of splits) if (!ordered.has(id)) ordered.set(id, state)
  const reader = await node.source.createReader(context)
  await reader.assign([...ordered.values()].filter((one) => !one.ended).map(({ split, position }) => ({ split, position })))
  const hasNewSplits = known.size === 0 || discovered.some(({ split }) => !known.has(split.id))
  return { source: new SourcePort(node, reader, ordered), hasNewSplits }
}
