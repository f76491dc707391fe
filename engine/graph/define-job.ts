/**
 * A job definition, and how it becomes a graph and a plan. `build` must be pure: it is run twice and the outcomes are compared, since
 * every process and every restart builds the graph anew.
 */
import { messageOf, TerminalError, type Guarantee } from '../api/index.ts'
import type { RestartStrategy } from '../checkpoint/restart.ts'
import type { CheckpointPolicy } from '../checkpoint/trigger.ts'
import { checkDefinition } from './check-definition.ts'
import { FlowBuilder } from './flow-builder.ts'
import type { JobGraph, JobNode } from './job-graph.ts'
import { canonicalText, planHashOf, planOf, weaker, type Plan } from './plan.ts'
import { GivenSettings, type Settings } from './settings.ts'
import type { Flow } from './stream.ts'

export { MAX_PARALLELISM } from './plan.ts'

/** A job: its id, its settings for checkpoints and restarts, and the function that builds its graph. */
export interface JobDefinition {
  /** Names the job in the store; letters, digits, `_`, `-`, `.`. */
  readonly id: string
  readonly checkpoint?: Partial<CheckpointPolicy> & {
    /** Completed checkpoints kept, default 3. */
    readonly retained?: number
  }
  /** Default: exponential delay, given up after 10 failures in a row. */
  readonly restart?: RestartStrategy
  /** What every path must give, default `exactly-once`; a job whose weakest hop gives less is refused. */
  readonly guarantee?: Guarantee
  /** Subtasks of operators that name no parallelism, 1 to 128, default 1. State follows when it changes. */
  readonly parallelism?: number
  /** Pure: the same graph each time, from the settings alone. */
  build(flow: Flow, settings: Settings): void
}

/** What `build` made, checked. */
export interface BuiltJob {
  readonly graph: JobGraph
  readonly plan: Plan
  /** Of the canonical plan: the same on every machine. */
  readonly planHash: string
  /** Those given or reused that `build` read; to be kept for the next run. */
  readonly settings: Readonly<Record<string, string>>
}

/** Checks nothing yet; it is here for the types. */
export function defineJob(definition: JobDefinition): JobDefinition {
  return definition
}

/**
 * `given` must all be known to the job; `reused` (of the last run) fill in what is not given, and may hold more.
 * @throws TerminalError when the job cannot keep what it claims, or is not a job
 */
export function buildJob(
  definition: JobDefinition,
  given: Readonly<Record<string, string>>,
  reused: Readonly<Record<string, string>> = {},
): BuiltJob {
  checkDefinition(definition)
  const first = buildOnce(definition, new GivenSettings(given, reused))
  const second = buildOnce(definition, new GivenSettings(given, reused))
  refuseImpure(definition.id, first, second)
  for (const path of first.plan.paths) {
    if (weaker(first.plan.guarantee, path.guarantee) === first.plan.guarantee) continue
    const weakest = path.weakest === null ? 'every hop does' : `the weakest hop is "${path.weakest}"`
    throw new TerminalError(
      `job "${definition.id}" asks for ${first.plan.guarantee}, but ${path.source} -> ${path.sink} gives only ` +
        `${path.guarantee}: ${weakest}. Use another connector, or declare guarantee: '${path.guarantee}'`,
      { code: 'SLUICE_GUARANTEE_TOO_WEAK' },
    )
  }
  return { ...first, planHash: planHashOf(first.plan) }
}

type Built = Omit<BuiltJob, 'planHash'>

function buildOnce(definition: JobDefinition, settings: GivenSettings): Built {
  const flow = new FlowBuilder()
  const returned: unknown = callBuild(definition, flow, settings)
  flow.seal()
  if (returned instanceof Promise) {
    returned.catch(() => undefined)
    throw new TerminalError(`build of job "${definition.id}" is async; it must declare the graph before it returns`, {
      code: 'SLUICE_BUILD_ASYNC',
    })
  }
  settings.refuseUnread()
  const plan = planOf(definition.id, definition.guarantee ?? 'exactly-once', flow.nodes)
  const guarantee = plan.paths.reduce<Guarantee>((weakest, path) => weaker(weakest, path.guarantee), 'exactly-once')
  return { graph: { nodes: flow.nodes, guarantee }, plan, settings: settings.used }
}

/** Whatever the user's code throws refuses the job: nothing has been written yet. */
function callBuild(definition: JobDefinition, flow: Flow, settings: Settings): unknown {
  try {
    return definition.build(flow, settings)
  } catch (error) {
    if (error instanceof TerminalError) throw error
    throw new TerminalError(`build of job "${definition.id}" failed: ${messageOf(error)}`, {
      code: 'SLUICE_BUILD_FAILED',
      cause: error,
    })
  }
}

function refuseImpure(job: string, first: Built, second: Built): void {
  const cure = 'it must depend on its settings alone, not on time, chance or what another build left behind'
  if (canonicalText(first.plan) !== canonicalText(second.plan)) {
    throw new TerminalError(`build of job "${job}" is not pure: two runs gave different plans; ${cure}`, {
      code: 'SLUICE_BUILD_NOT_PURE',
    })
  }
  const moved = first.graph.nodes.find((node, index) => scopeOf(node) !== scopeOf(second.graph.nodes[index]))
  if (moved === undefined) return
  throw new TerminalError(
    `build of job "${job}" is not pure: sink "${moved.id}" writes to another place each time; ${cure}`,
    { code: 'SLUICE_BUILD_NOT_PURE' },
  )
}

/** Where a sink may leave things: a name with a time in it would leave them where nobody looks again. */
function scopeOf(node: JobNode | undefined): string {
  return node?.kind === 'sink' ? Buffer.from(node.sink.scope(1)).toString('base64') : ''
}
