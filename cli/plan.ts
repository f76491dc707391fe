/**
 * `sluice plan`: the graph of a job and the tasks it runs as, never its code; nothing is opened or written.
 */
import { buildJob } from '../engine/graph/define-job.ts'
import type { Plan, PlanOperator } from '../engine/graph/plan.ts'
import { taskGraphOf, type Exchange, type TaskGraph } from '../engine/graph/task-graph.ts'
import { parseParallelism, parseSettings } from './arguments.ts'
import { loadJob } from './load-job.ts'

export interface PlanFlags {
  readonly set?: readonly string[]
  readonly parallelism?: string
  readonly json?: boolean
}

export async function plan(jobFile: string, flags: PlanFlags): Promise<void> {
  const { definition } = await loadJob(jobFile)
  const { graph, plan: made, planHash } = buildJob(definition, parseSettings(flags.set ?? []))
  const parallelism =
    flags.parallelism === undefined ? (definition.parallelism ?? 1) : parseParallelism(flags.parallelism)
  const tasks = { parallelism, ...taskGraphOf(graph.nodes, parallelism) }
  process.stdout.write(
    flags.json === true
      ? `${JSON.stringify({ ...made, planHash, tasks }, null, 2)}\n`
      : `${[...planLines(made, planHash), ...taskLines(tasks)].join('\n')}\n`,
  )
}

function planLines(made: Plan, planHash: string): readonly string[] {
  const lines = [`job ${made.job}, plan ${planHash}, ${made.keyGroups} key groups, ${made.guarantee} asked`]
  for (const operator of made.operators) {
    const inputs = made.edges.filter((edge) => edge.to === operator.id).map(({ from }) => from)
    const arrow = inputs.length === 0 ? '' : ` <- ${inputs.join(', ')}`
    lines.push(`  ${operator.id}: ${operator.kind}${detailOf(operator)}${arrow}`)
  }
  for (const path of made.paths) {
    const weakest = path.weakest === null ? '' : ` (weakest: ${path.weakest})`
    lines.push(`  ${path.source} -> ${path.sink}: ${path.guarantee}${weakest}`)
  }
  return lines
}

function detailOf({ kind, connector, guarantee, state, operatorState, parallelism }: PlanOperator): string {
  const details: string[] = []
  if (connector !== undefined) details.push(connector, guarantee ?? 'unknown')
  const states = Object.entries({ ...state, ...operatorState }).map(([name, what]) => `${name}: ${what}`)
  if (states.length > 0) details.push(...states)
  else if (kind === 'process' || kind === 'connect') details.push('no state')
  if (parallelism !== undefined) details.push(`parallelism ${parallelism}`)
  return details.length === 0 ? '' : ` (${details.join(', ')})`
}

function taskLines(tasks: TaskGraph & { readonly parallelism: number }): readonly string[] {
  return [
    `tasks at parallelism ${tasks.parallelism}`,
    ...tasks.vertices.map(({ parallelism, operators }) => `  ${parallelism} x [${operators.join(', ')}]`),
    ...tasks.exchanges.map((exchange) => `  ${sourceOf(exchange)} => ${exchange.to}: ${wayOf(exchange)}`),
  ]
}

function sourceOf({ from, side }: Exchange): string {
  return side === undefined ? from : `${from} (side ${side})`
}

function wayOf({ partition }: Exchange): string {
  return partition.kind === 'key' ? `key (${partition.keyBy})` : partition.kind
}
