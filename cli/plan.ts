/**
 * `sluice plan`: the graph of a job and the tasks it runs as, never its code; nothing is opened or written.
 */
import { unreachable, type Guarantee } from '../engine/api/index.ts'
import { buildJob } from '../engine/graph/define-job.ts'
import type { Plan, PlanPath } from '../engine/graph/plan.ts'
import { taskGraphOf, type Exchange, type TaskGraph } from '../engine/graph/task-graph.ts'
import { pluralText } from './amounts.ts'
import { parseParallelism, parseSettings } from './arguments.ts'
import { loadJob } from './load-job.ts'
import { planMermaid } from './plan-mermaid.ts'
import { planTree } from './plan-tree.ts'

export interface PlanFlags {
  readonly set?: readonly string[]
  readonly parallelism?: string
  readonly json?: boolean
  readonly mermaid?: boolean
}

type Tasks = TaskGraph & { readonly parallelism: number }

export async function plan(jobFile: string, flags: PlanFlags): Promise<void> {
  const { definition } = await loadJob(jobFile)
  const { graph, plan: made, planHash } = buildJob(definition, parseSettings(flags.set ?? []))
  const parallelism =
    flags.parallelism === undefined ? (definition.parallelism ?? 1) : parseParallelism(flags.parallelism)
  const tasks: Tasks = { parallelism, ...taskGraphOf(graph.nodes, parallelism) }
  if (flags.json === true) process.stdout.write(`${JSON.stringify({ ...made, planHash, tasks })}\n`)
  else if (flags.mermaid === true) process.stdout.write(`${planMermaid(made, tasks).join('\n')}\n`)
  else process.stdout.write(`${planText(made, planHash, tasks).join('\n')}\n`)
}

function planText(made: Plan, planHash: string, tasks: Tasks): readonly string[] {
  return [
    `job ${made.job}, plan ${planHash}, ${made.keyGroups} key groups`,
    '',
    ...planTree(made),
    '',
    `guarantee of each path (the job asks for ${made.guarantee})`,
    ...made.paths.flatMap((path) => pathLines(path, made)),
    '',
    ...taskLines(tasks),
  ]
}

function pathLines(path: PlanPath, made: Plan): readonly string[] {
  const line = `  ${path.source} -> ${path.sink}: ${path.guarantee}`
  const consequence = consequenceOf(path.guarantee)
  if (consequence === undefined) return [line]
  const who = path.weakest === null ? 'source and sink give' : `${describe(path.weakest, made)} gives`
  return [line, `      ${who} no more: ${consequence}`]
}

function describe(id: string, { operators }: Plan): string {
  const operator = operators.find((one) => one.id === id)
  return operator === undefined ? `"${id}"` : `${operator.kind} "${id}" (${operator.connector ?? ''})`
}

/** Undefined: there is none. */
function consequenceOf(guarantee: Guarantee): string | undefined {
  switch (guarantee) {
    case 'exactly-once':
      return undefined
    case 'idempotent':
      return 'after a failure output is written again, over what was there'
    case 'at-least-once':
      return 'after a failure records may come a second time'
    default:
      return unreachable(guarantee)
  }
}

function taskLines(tasks: Tasks): readonly string[] {
  const count = tasks.vertices.reduce((sum, { parallelism }) => sum + parallelism, 0)
  return [
    `${pluralText(count, 'task')} at parallelism ${tasks.parallelism}`,
    ...tasks.vertices.flatMap(({ id, parallelism, operators }) => [
      `  ${String(parallelism).padStart(3)} x ${operators.join(', ')}`,
      ...tasks.exchanges.filter(({ fromVertex }) => fromVertex === id).map((exchange) => `        ${wayOf(exchange)}`),
    ]),
  ]
}

function wayOf({ from, side, to, partition }: Exchange): string {
  const origin = side === undefined ? from : `${from} (side "${side}")`
  const way = partition.kind === 'key' ? `by key (${partition.keyBy})` : partition.kind
  return `${origin} ==> ${to}, ${way}`
}
