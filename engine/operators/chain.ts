/**
 * A tree of operators compiled to nested synchronous calls: no envelope, promise or event per record.
 *
 * - T2: everything here is synchronous; what a record causes is at the sink edges when `push` returns.
 */
import { TaskFailure, TerminalError, unreachable, messageOf } from '../api/index.ts'
import type { FilterNode, FlatMapNode, JobGraph, JobNode, KeyByNode, MapNode, ProcessNode, SinkNode } from '../graph/job-graph.ts'
import type { KeyedStateBackend } from '../state/keyed-state-backend.ts'

export type Push = (value: unknown, timestamp: number) => void

/** What a sink's writer is given after each slice of a batch. */
export interface SinkEdge {
  readonly node: SinkNode
  readonly values: unknown[]
  readonly timestamps: number[]
}

export interface Chain {
  readonly push: Push
  /** Closing output of operators, top down; each once. */
  readonly end: () => void
}

export interface ChainParts {
  readonly backends: ReadonlyMap<string, KeyedStateBackend>
  readonly edges: ReadonlyMap<string, SinkEdge>
}

export function compileChain(graph: JobGraph, from: string, parts: ChainParts): Chain {
  const ends: (() => void)[] = []
  const downstream = (id: string): Push => {
    const pushes = graph.nodes.filter((node) => node.kind !== 'source' && node.input === id).map(compile)
    const [first, second] = pushes
    if (first === undefined) return () => undefined
    if (second === undefined) return first
    return (value, timestamp) => {
      for (const push of pushes) push(value, timestamp)
    }
  }
  const compile = (node: JobNode): Push => {
    switch (node.kind) {
      case 'map':
        return mapPush(node, downstream(node.id))
      case 'filter':
        return filterPush(node, downstream(node.id))
      case 'flatMap':
        return flatMapPush(node, downstream(node.id))
      case 'keyBy':
        return keyedPush(node, { graph, parts, downstream, ends })
      case 'sink':
        return sinkPush(node, parts)
      case 'source':
      case 'process':
        throw new TerminalError(`operator "${node.id}" (${node.kind}) has no place here: a process follows a keyBy`)
      default:
        return unreachable(node)
    }
  }
  return { push: downstream(from), end: () => ends.forEach((end) => end()) }
}

function mapPush(node: MapNode, next: Push): Push {
  const { map } = node
  return (value, timestamp) => {
    let mapped: unknown
    try {
      mapped = map(value, timestamp)
    } catch (error) {
      throw userFailure(node.id, error)
    }
    next(mapped, timestamp)
  }
}

function filterPush(node: FilterNode, next: Push): Push {
  const { filter } = node
  return (value, timestamp) => {
    let passes: boolean
    try {
      passes = filter(value, timestamp)
    } catch (error) {
      throw userFailure(node.id, error)
    }
    if (passes) next(value, timestamp)
  }
}

function flatMapPush(node: FlatMapNode, next: Push): Push {
  const { flatMap } = node
  return (value, timestamp) => {
    let outputs: readonly unknown[]
    try {
      outputs = [...flatMap(value, timestamp)]
    } catch (error) {
      throw userFailure(node.id, error)
    }
    for (const output of outputs) next(output, timestamp)
  }
}

interface Compilation {
  readonly graph: JobGraph
  readonly parts: ChainParts
  readonly downstream: (id: string) => Push
  readonly ends: (() => void)[]
}

/** A keyBy and the process operators behind it: with parallelism 1 the keyed edge is part of the chain. */
function keyedPush(node: KeyByNode, compilation: Compilation): Push {
  const isMine = (one: JobNode): one is ProcessNode => one.kind === 'process' && one.input === node.id
  const pushes = compilation.graph.nodes.filter(isMine).map((process) => processPush(node, process, compilation))
  const [first, second] = pushes
  if (first !== undefined && second === undefined) return first
  return (value, timestamp) => {
    for (const push of pushes) push(value, timestamp)
  }
}

function processPush(keyBy: KeyByNode, node: ProcessNode, { parts, downstream, ends }: Compilation): Push {
  const next = downstream(node.id)
  const backend = parts.backends.get(node.id)
  if (backend === undefined) throw new TerminalError(`operator "${node.id}" has no state backend`)
  const { key: selectKey } = keyBy
  const { onRecord, onEnd } = node
  let open = false
  const context = {
    state: backend.handles,
    key: undefined as unknown,
    timestamp: 0,
    emit: (output: unknown): void => {
      if (!open) throw new TerminalError(`operator "${node.id}" emitted after its function had returned; emit before returning`)
      next(output, context.timestamp)
    },
  }
  if (onEnd !== undefined) {
    ends.push(() => {
      open = true
      try {
        onEnd(context)
      } catch (error) {
        throw userFailure(node.id, error)
      }
      open = false
    })
  }
  return (value, timestamp) => {
    try {
      const key = selectKey(value)
      backend.setCurrentKey(key)
      context.key = key
      context.timestamp = timestamp
      open = true
      onRecord(value, context)
      open = false
    } catch (error) {
      throw userFailure(node.id, error)
    }
  }
}

function sinkPush(node: SinkNode, parts: ChainParts): Push {
  const edge = parts.edges.get(node.id)
  if (edge === undefined) throw new TerminalError(`sink "${node.id}" has no edge`)
  const { values, timestamps } = edge
  return (value, timestamp) => {
    values.push(value)
    timestamps.push(timestamp)
  }
}

/** A user's function threw: the attempt is lost; the restart policy says how often it is tried again (F21). */
function userFailure(operator: string, error: unknown): Error {
  if (error instanceof TaskFailure || error instanceof TerminalError) return error
  return new TaskFailure(`operator "${operator}" failed: ${messageOf(error)}`, { cause: error })
}
