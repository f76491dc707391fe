/** Declares `sluice status`. */
import type { StatusFlags } from '../status.ts'
import { STORE_OPTION, type Declare } from './declaration.ts'

export const declareStatus: Declare = (program) => {
  program
    .command('status')
    .description('what the store says of a job, whether a process runs it or not')
    .argument('<job>', 'the id of the job, or its job file: then it is said whether the code is still that of the run')
    .option(...STORE_OPTION)
    .option('--watch', 'look again every second, until it is interrupted')
    .option('--json', 'as JSON; with --watch one line each time')
    .action(async (job: string, flags: StatusFlags) => (await import('../status.ts')).status(job, flags))
}
