/**
 * `sluice plan`: the graph of a job, never its code; nothing is opened or written.
 */
import { buildJob } from '../engine/graph/define-job.ts'
import type { Plan, PlanOperator } from '../engine/graph/plan.ts'
import { parseSettings } from './arguments.ts'
import { loadJob } from './load-job.ts'

export interface PlanFlags {
  readonly set?: readonly string[]
  readonly json?: boolean
}

export async function plan(jobFile: string, flags: PlanFlags): Promise<void> {
  const { definition } = await loadJob(jobFile)
  const { plan: made, planHash } = buildJob(definition, parseSettings(flags.set ?? []))
  process.stdout.write(
    flags.json === true ? `${JSON.stringify({ ...made, planHash }, null, 2)}\n` : textOf(made, planHash),
  )
}

function textOf(made: Plan, planHash: string): string {
  const lines = [`job ${made.job}, plan ${planHash}, ${made.keyGroups} key groups, ${made.guarantee} asked`]
  for (const operator of made.operators) {
    const inputs = made.edges.filter((edge) => edge.to === operator.id)
    lines.push(
      `  ${operator.id}: ${operator.kind}${detailOf(operator)}${inputs.map((edge) => ` <- ${edge.from}`).join('')}`,
    )
  }
  for (const path of made.paths) {
    const weakest = path.weakest === null ? '' : ` (weakest: ${path.weakest})`
    lines.push(`  ${path.source} -> ${path.sink}: ${path.guarantee}${weakest}`)
  }
  return `${lines.join('\n')}\n`
}

function detailOf({ connector, guarantee, state }: PlanOperator): string {
  if (connector !== undefined) return ` (${connector}, ${guarantee ?? 'unknown'})`
  if (state === undefined) return ''
  const names = Object.entries(state).map(([name, kind]) => `${name}: ${kind}`)
  return names.length === 0 ? ' (no state)' : ` (${names.join(', ')})`
}
