/** Declares `sluice plan`. */
import { Option } from 'commander'
import type { PlanFlags } from '../plan.ts'
import { collect, type Declare } from './declaration.ts'

export const declarePlan: Declare = (program) => {
  program
    .command('plan')
    .description('print the graph of a job: a tree of its operators, the guarantee of each path, the tasks it runs as')
    .argument('<job>', 'the job file (job.ts)')
    .option('--set <key=value>', 'a setting of the job; repeatable', collect)
    .option(
      '--parallelism <n>',
      'subtasks of each operator that names no number of its own (default: what the job says, or 1)',
    )
    .option('--json', 'everything as one JSON object')
    .addOption(new Option('--mermaid', 'as a Mermaid flowchart of the tasks').conflicts('json'))
    .action(async (job: string, flags: PlanFlags) => (await import('../plan.ts')).plan(job, flags))
}
