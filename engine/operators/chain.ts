/**
 * A tree of operators compiled to nested synchronous calls: no envelope, promise or event per record.
 *
 *   source ─push─▶ filter ─push─▶ keyBy ─▶ process ─push─▶ sink edge ─(after each slice)─▶ writer
 *
 * - T2: everything here is synchronous; what a record causes is at the sink edges when `push` returns.
 * - Closing output comes from the top down: what an operator emits at its end is seen by all below it before they end.
 */
import { TerminalError, unreachable } from '../api/index.ts'
import type { JobGraph, JobNode, KeyByNode, ProcessNode } from '../graph/job-graph.ts'
import type { KeyedStateBackend } from '../state/keyed-state-backend.ts'
import type { ChainGuard } from './chain-guard.ts'
import { filterPush } from './filter.ts'
import { flatMapPush } from './flat-map.ts'
import { keyByPush } from './key-by.ts'
import { mapPush } from './map.ts'
import { processOperator, type KeyedPush } from './process.ts'
import type { Push } from './push.ts'
import { sinkPush, type SinkEdge } from './sink-edge.ts'

export interface Chain {
  readonly push: Push
  /** Closing functions, top down; whoever runs them sees to it that each runs once in the life of the job (F24). */
  readonly ends: readonly OperatorEnd[]
}

export interface OperatorEnd {
  readonly operator: string
  readonly end: () => void
}

export interface ChainParts {
  readonly backends: ReadonlyMap<string, KeyedStateBackend>
  readonly edges: ReadonlyMap<string, SinkEdge>
  readonly guard: ChainGuard
}

/** @throws TerminalError for a graph that is no tree of known operators */
export function compileChain(graph: JobGraph, source: string, parts: ChainParts): Chain {
  const compiler = new Compiler(graph, parts)
  return { push: compiler.downstream(source), ends: compiler.ends }
}

class Compiler {
  readonly ends: { operator: string; end: () => void }[] = []
  readonly #graph: JobGraph
  readonly #parts: ChainParts

  constructor(graph: JobGraph, parts: ChainParts) {
    this.#graph = graph
    this.#parts = parts
  }

  /** All that reads from `id`, in the order of declaration. */
  downstream(id: string): Push {
    const pushes = this.#readersOf(id).map((node) => this.#compile(node))
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

  #compile(node: JobNode): Push {
    const { guard } = this.#parts
    switch (node.kind) {
      case 'map':
        return mapPush(node, this.downstream(node.id), guard)
      case 'filter':
        return filterPush(node, this.downstream(node.id), guard)
      case 'flatMap':
        return flatMapPush(node, this.downstream(node.id), guard)
      case 'keyBy':
        return keyByPush(node, this.#processesOf(node), guard)
      case 'sink':
        return this.#sink(node.id)
      case 'source':
      case 'process':
        throw new TerminalError(`operator "${node.id}" (${node.kind}) has no place here: a process follows a keyBy`)
      default:
        return unreachable(node)
    }
  }

  #processesOf(keyBy: KeyByNode): readonly KeyedPush[] {
    return this.#readersOf(keyBy.id).map((node) => {
      if (node.kind === 'process') return this.#process(node)
      throw new TerminalError(
        `operator "${node.id}" (${node.kind}) cannot read keyed stream "${keyBy.id}": use a process`,
      )
    })
  }

  #process(node: ProcessNode): KeyedPush {
    const backend = this.#parts.backends.get(node.id)
    if (backend === undefined) throw new TerminalError(`operator "${node.id}" has no state backend`)
    // Its place is taken before those below it take theirs.
    const place = { operator: node.id, end: (): void => undefined }
    if (node.onEnd !== undefined) this.ends.push(place)
    const operator = processOperator(node, backend, { next: this.downstream(node.id), guard: this.#parts.guard })
    place.end = operator.end
    return operator.push
  }

  #sink(id: string): Push {
    const edge = this.#parts.edges.get(id)
    if (edge === undefined) throw new TerminalError(`sink "${id}" has no edge`)
    return sinkPush(edge, this.#parts.guard)
  }

  #readersOf(id: string): readonly Exclude<JobNode, { kind: 'source' }>[] {
    return this.#graph.nodes.filter((node) => node.kind !== 'source').filter((node) => node.input === id)
  }
}
