/** `sluice plan`: the graph of a job, never its code. */
import { buildJob } from '../engine/graph/define-job.ts'
import { loadJob } from './load-job.ts'
import { parseSettings } from './run.ts'

export async function plan(
  jobFile: string,
  flags: { readonly set: readonly string[]; readonly json?: boolean },
): Promise<void> {
  const { definition } = await loadJob(jobFile)
  const { plan: made, planHash } = buildJob(definition, parseSettings(flags.set))
  if (flags.json === true) {
    process.stdout.write(`${JSON.stringify({ ...made, planHash }, null, 2)}\n`)
    return
  }
  const lines = [`job ${made.job}, plan ${planHash}, ${made.maxParallelism} key groups`]
  for (const operator of made.operators) {
    const connector = operator.connector === undefined ? '' : ` (${operator.connector}, ${operator.guarantee ?? ''})`
    lines.push(
      `  ${operator.id}: ${operator.kind}${connector}${operator.input === undefined ? '' : ` <- ${operator.input}`}`,
    )
  }
  for (const path of made.paths) lines.push(`  ${path.source} -> ${path.sink}: ${path.guarantee}`)
  process.stdout.write(`${lines.join('\n')}\n`)
}
