/**
 * The plan: a job's graph as JSON, without code. What people read, what two builds are compared by, and what the log keeps a hash of.
 */
import { createHash } from 'node:crypto'
import { TerminalError, type Guarantee } from '../api/index.ts'
import type { JobNode, SinkNode, SourceNode } from './job-graph.ts'

export interface Plan {
  readonly format: 1
  readonly job: string
  /** What every path has to give. */
  readonly guarantee: Guarantee
  readonly keyGroups: number
  /** In the order of declaration. */
  readonly operators: readonly PlanOperator[]
  readonly edges: readonly PlanEdge[]
  readonly paths: readonly PlanPath[]
}

export interface PlanOperator {
  readonly id: string
  readonly kind: JobNode['kind']
  /** Sources and sinks: which. */
  readonly connector?: string
  readonly guarantee?: Guarantee
  /** Process: its state, name to kind. */
  readonly state?: Readonly<Record<string, string>>
}

export interface PlanEdge {
  readonly from: string
  readonly to: string
  /** `key`: records are routed by their key. */
  readonly by: 'forward' | 'key'
}

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
  const source = nodes.find((node) => node.kind === 'source')
  if (source === undefined) throw new TerminalError(`job "${job}" has no source: begin with flow.source(…)`)
  const sinks = nodes.filter((node) => node.kind === 'sink')
  if (sinks.length === 0) throw new TerminalError(`job "${job}" has no sink: end a stream with .sink(…)`)
  refuseLooseEnds(job, nodes)
  return {
    format: 1,
    job,
    guarantee,
    keyGroups: MAX_PARALLELISM,
    operators: nodes.map(planOperator),
    edges: nodes.flatMap((node) => (node.kind === 'source' ? [] : [edgeTo(node, node.input)])),
    paths: sinks.map((sink) => pathOf(source, sink)),
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

function refuseLooseEnds(job: string, nodes: readonly JobNode[]): void {
  const read = new Set(nodes.flatMap((node) => (node.kind === 'source' ? [] : [node.input])))
  const loose = nodes.find((node) => node.kind !== 'sink' && !read.has(node.id))
  if (loose === undefined) return
  const what = loose.kind === 'keyBy' ? `the keyBy behind "${loose.input}"` : `${loose.kind} "${loose.id}"`
  const cure = loose.kind === 'keyBy' ? 'add .process(…)' : 'add an operator or .sink(…), or take it away'
  throw new TerminalError(`job "${job}": nothing reads what ${what} gives; ${cure}`)
}

function planOperator(node: JobNode): PlanOperator {
  const base = { id: node.id, kind: node.kind }
  if (node.kind === 'source') return { ...base, connector: node.source.kind, guarantee: node.source.guarantee }
  if (node.kind === 'sink') return { ...base, connector: node.sink.kind, guarantee: node.sink.guarantee }
  if (node.kind !== 'process') return base
  return { ...base, state: Object.fromEntries(Object.entries(node.state).map(([name, { kind }]) => [name, kind])) }
}

function edgeTo(node: JobNode, from: string): PlanEdge {
  return { from, to: node.id, by: node.kind === 'process' ? 'key' : 'forward' }
}

/** Operators between source and sink keep what they are given: state and positions are one cut (C4). */
function pathOf(source: SourceNode, sink: SinkNode): PlanPath {
  const guarantee = weaker(source.source.guarantee, sink.sink.guarantee)
  const isEven = source.source.guarantee === sink.sink.guarantee
  const weakest = guarantee === source.source.guarantee ? source.id : sink.id
  return { source: source.id, sink: sink.id, guarantee, weakest: isEven ? null : weakest }
}
