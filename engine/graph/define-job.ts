/**
 * A job definition, and how it becomes a graph and a plan. `build` must be pure: it is run twice and the plans are compared.
 */
import { createHash } from 'node:crypto'
import { parseJobId, TerminalError, type Guarantee } from '../api/index.ts'
import type { CheckpointPolicy } from '../checkpoint/trigger.ts'
import type { RestartStrategy } from '../checkpoint/restart.ts'
import type { JobGraph, JobNode } from './job-graph.ts'
import { GivenSettings, type Settings } from './settings.ts'
import { FlowBuilder, weaker, type Flow } from './stream.ts'

export interface JobDefinition {
  /** Names the job in the store; letters, digits, `_`, `-`, `.`. */
  readonly id: string
  readonly checkpoint?: Partial<CheckpointPolicy> & {
    /** Completed checkpoints kept, default 3. */
    readonly retained?: number
  }
  readonly restart?: RestartStrategy
  /** What every path must give, default `exactly-once`; a job whose weakest hop gives less is refused. */
  readonly guarantee?: Guarantee
  build(flow: Flow, settings: Settings): void
}

/** Checks nothing yet; it is here for the types. */
export function defineJob(definition: JobDefinition): JobDefinition {
  return definition
}

export interface Plan {
  readonly format: 1
  readonly job: string
  readonly maxParallelism: number
  readonly operators: readonly PlanOperator[]
  readonly paths: readonly PlanPath[]
}

interface PlanOperator {
  readonly id: string
  readonly kind: string
  readonly input?: string
  /** Sources and sinks: which. */
  readonly connector?: string
  readonly guarantee?: Guarantee
  readonly state?: Readonly<Record<string, string>>
}

interface PlanPath {
  readonly source: string
  readonly sink: string
  readonly guarantee: Guarantee
  /** The hop that gives least. */
  readonly weakest: string
}

export interface BuiltJob {
  readonly graph: JobGraph
  readonly plan: Plan
  /** Of the canonical plan: the same on every machine. */
  readonly planHash: string
}

export const MAX_PARALLELISM = 128

/** @throws TerminalError when the job cannot keep what it claims, or is not a job */
export function buildJob(definition: JobDefinition, given: Readonly<Record<string, string>>): BuiltJob {
  parseJobId(definition.id)
  const first = buildOnce(definition, given)
  const second = buildOnce(definition, given)
  const text = JSON.stringify(first.plan)
  if (text !== JSON.stringify(second.plan)) {
    throw new TerminalError(
      `build of job "${definition.id}" is not pure: two runs gave different plans; it must not depend on time, chance or outside state`,
    )
  }
  const asked = definition.guarantee ?? 'exactly-once'
  for (const path of first.plan.paths) {
    if (weaker(asked, path.guarantee) === asked) continue
    throw new TerminalError(
      `job "${definition.id}" asks for ${asked}, but ${path.source} → ${path.sink} gives only ${path.guarantee}: the weakest hop is ` +
        `"${path.weakest}". Use another one, or declare guarantee: '${path.guarantee}'`,
    )
  }
  return { ...first, planHash: createHash('sha256').update(text).digest('hex').slice(0, 32) }
}

function buildOnce(
  definition: JobDefinition,
  given: Readonly<Record<string, string>>,
): Pick<BuiltJob, 'graph' | 'plan'> {
  const flow = new FlowBuilder()
  const settings = new GivenSettings(given)
  definition.build(flow, settings)
  settings.refuseUnread()
  const paths = pathsOf(definition.id, flow.nodes)
  const guarantee = paths.reduce<Guarantee>((weakest, path) => weaker(weakest, path.guarantee), 'exactly-once')
  const operators = flow.nodes.map(planOperator)
  return {
    graph: { nodes: flow.nodes, guarantee },
    plan: { format: 1, job: definition.id, maxParallelism: MAX_PARALLELISM, operators, paths },
  }
}

function planOperator(node: JobNode): PlanOperator {
  const base = { id: node.id, kind: node.kind, ...(node.kind === 'source' ? {} : { input: node.input }) }
  if (node.kind === 'source') return { ...base, connector: node.source.kind, guarantee: node.source.guarantee }
  if (node.kind === 'sink') return { ...base, connector: node.sink.kind, guarantee: node.sink.guarantee }
  if (node.kind !== 'process') return base
  return { ...base, state: Object.fromEntries(Object.entries(node.state).map(([name, { kind }]) => [name, kind])) }
}

function pathsOf(job: string, nodes: readonly JobNode[]): readonly PlanPath[] {
  const source = nodes.find((node) => node.kind === 'source')
  if (source === undefined) throw new TerminalError(`job "${job}" has no source: begin with flow.source(…)`)
  const sinks = nodes.filter((node) => node.kind === 'sink')
  if (sinks.length === 0) throw new TerminalError(`job "${job}" has no sink: end a stream with .sink(…)`)
  return sinks.map((sink) => {
    const guarantee = weaker(source.source.guarantee, sink.sink.guarantee)
    const weakest = guarantee === sink.sink.guarantee && guarantee !== source.source.guarantee ? sink.id : source.id
    return { source: source.id, sink: sink.id, guarantee, weakest }
  })
}
