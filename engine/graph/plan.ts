/**
 * The plan: a job's graph as JSON, without code. What people read, what two builds are compared by, and what the log keeps a hash of. The
 * parallelism of the job is no part of it: another one is the same plan.
 */
import { createHash } from 'node:crypto'
import { TerminalError, type Guarantee, type OperatorId } from '../api/index.ts'
import { inputsOf, type JobNode, type SinkNode, type SourceNode } from './job-graph.ts'
import { describe } from './node-list.ts'

/** A job as JSON: what is compared between runs and shown to people. No code, no addresses, no secrets. */
export interface Plan {
  readonly format: 1
  readonly job: string
  /** What every path has to give. */
  readonly guarantee: Guarantee
  readonly keyGroups: number
  /** All nodes in the order of declaration, also those that only route: `keyBy`, `rebalance`, `broadcast`, `union`, `side`. */
  readonly operators: readonly PlanOperator[]
  /** In the order of those that read; of one, in the order of its inputs. */
  readonly edges: readonly PlanEdge[]
  /** Each source with each sink that it reaches. */
  readonly paths: readonly PlanPath[]
}

/** One node of the graph. */
export interface PlanOperator {
  readonly id: string
  readonly kind: JobNode['kind']
  /** Sources and sinks: which. */
  readonly connector?: string
  readonly guarantee?: Guarantee
  /** Process and connect: keyed state, name to kind. */
  readonly state?: Readonly<Record<string, string>>
  /** The same for operator state, broadcast state included; left out where there is none. */
  readonly operatorState?: Readonly<Record<string, string>>
  /** Left out: that of the job. */
  readonly parallelism?: number
}

/** Who reads whom, and how records are dealt out to the subtasks of the reader. */
export interface PlanEdge {
  readonly from: string
  readonly to: string
  /** `key`: records are routed by their key. */
  readonly by: 'forward' | 'key' | 'rebalance' | 'broadcast'
  /** The side output that is read; left out: the main one. */
  readonly side?: string
}

/** What of the guarantee is left on the way from a source to a sink. */
export interface PlanPath {
  readonly source: string
  readonly sink: string
  readonly guarantee: Guarantee
  /** The hop that gives least; null when all give the same. */
  readonly weakest: string | null
}

export const MAX_PARALLELISM = 128

/** @throws TerminalError when the graph is no job: no source, no sink, a stream that goes nowhere */
export function planOf(job: string, guarantee: Guarantee, nodes: readonly JobNode[]): Plan {
  if (!nodes.some((node) => node.kind === 'source')) {
    throw new TerminalError(`job "${job}" has no source: begin with flow.source(…)`, {
      code: 'SLUICE_GRAPH_INCOMPLETE',
    })
  }
  if (!nodes.some((node) => node.kind === 'sink')) {
    throw new TerminalError(`job "${job}" has no sink: end a stream with .sink(…)`, { code: 'SLUICE_GRAPH_INCOMPLETE' })
  }
  refuseLooseEnds(job, nodes)
  return {
    format: 1,
    job,
    guarantee,
    keyGroups: MAX_PARALLELISM,
    operators: nodes.map(planOperator),
    edges: edgesOf(nodes),
    paths: pathsOf(nodes),
  }
}

/** The same text for the same plan, whatever the order of keys. */
export function canonicalText(value: unknown): string {
  return JSON.stringify(value, (_, part: unknown) =>
    typeof part === 'object' && part !== null && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).toSorted(([a], [b]) => (a < b ? -1 : 1)))
      : part,
  )
}

/** 32 hex digits of sha256 over the canonical text: the same on every machine. */
export function planHashOf(plan: Plan): string {
  return createHash('sha256').update(canonicalText(plan)).digest('hex').slice(0, 32)
}

/** Weakest first. */
const ORDER: readonly Guarantee[] = ['at-least-once', 'idempotent', 'exactly-once']

export function weaker(a: Guarantee, b: Guarantee): Guarantee {
  return ORDER.indexOf(a) <= ORDER.indexOf(b) ? a : b
}

/** A side output may be read by nobody; then it is as if it were not there. */
function refuseLooseEnds(job: string, nodes: readonly JobNode[]): void {
  const read = new Set<OperatorId>()
  for (const node of nodes.toReversed()) {
    if (node.kind !== 'side' || read.has(node.id)) for (const input of inputsOf(node)) read.add(input)
  }
  const loose = nodes.find((node) => node.kind !== 'sink' && node.kind !== 'side' && !read.has(node.id))
  if (loose === undefined) return
  throw new TerminalError(`job "${job}": nothing reads what ${describe(loose)} gives; ${cureOf(loose)}`, {
    code: 'SLUICE_GRAPH_INCOMPLETE',
  })
}

function cureOf({ kind }: JobNode): string {
  if (kind === 'keyBy') return 'add .process(…)'
  if (kind === 'broadcast') return 'connect it: other.connect(broadcast).process(…)'
  return 'add an operator or .sink(…), or take it away'
}

function planOperator(node: JobNode): PlanOperator {
  const base = { id: node.id, kind: node.kind }
  switch (node.kind) {
    case 'source':
      return { ...base, connector: node.source.kind, guarantee: node.source.guarantee, ...parallelismOf(node) }
    case 'sink':
      return { ...base, connector: node.sink.kind, guarantee: node.sink.guarantee, ...parallelismOf(node) }
    case 'process':
    case 'connect': {
      const operatorState = kindsOf(node.operatorState)
      const own = Object.keys(operatorState).length === 0 ? {} : { operatorState }
      return { ...base, state: kindsOf(node.state), ...own, ...parallelismOf(node) }
    }
    case 'map':
    case 'filter':
    case 'flatMap':
      return { ...base, ...parallelismOf(node) }
    default:
      return base
  }
}

function parallelismOf({ parallelism }: { readonly parallelism?: number }): Pick<PlanOperator, 'parallelism'> {
  return parallelism === undefined ? {} : { parallelism }
}

function kindsOf(state: Readonly<Record<string, { readonly kind: string }>>): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(state).map(([name, { kind }]) => [name, kind]))
}

/** How records are dealt out is said where they are read. */
function edgesOf(nodes: readonly JobNode[]): readonly PlanEdge[] {
  const kinds = new Map(nodes.map(({ id, kind }) => [id, kind]))
  return nodes.flatMap((node) =>
    inputsOf(node).map((from): PlanEdge => {
      const edge = { from, to: node.id, by: byOf(kinds.get(from)) }
      return node.kind === 'side' ? { ...edge, side: node.output } : edge
    }),
  )
}

function byOf(input: JobNode['kind'] | undefined): PlanEdge['by'] {
  if (input === 'keyBy') return 'key'
  return input === 'rebalance' || input === 'broadcast' ? input : 'forward'
}

function pathsOf(nodes: readonly JobNode[]): readonly PlanPath[] {
  const reaching = new Map<OperatorId, ReadonlySet<SourceNode>>()
  const paths: PlanPath[] = []
  for (const node of nodes) {
    const sources =
      node.kind === 'source' ? [node] : inputsOf(node).flatMap((input) => [...(reaching.get(input) ?? [])])
    reaching.set(node.id, new Set(sources))
    if (node.kind !== 'sink') continue
    const isReaching = reaching.get(node.id)
    for (const source of nodes) {
      if (source.kind === 'source' && isReaching?.has(source) === true) paths.push(pathOf(source, node))
    }
  }
  return paths
}

/** Operators between source and sink keep what they are given: state and positions are one cut (C4). */
function pathOf(source: SourceNode, sink: SinkNode): PlanPath {
  const guarantee = weaker(source.source.guarantee, sink.sink.guarantee)
  const isEven = source.source.guarantee === sink.sink.guarantee
  const weakest = guarantee === source.source.guarantee ? source.id : sink.id
  return { source: source.id, sink: sink.id, guarantee, weakest: isEven ? null : weakest }
}
