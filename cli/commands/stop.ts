/** Declares `sluice stop`. */
import type { StopFlags } from '../stop.ts'
import { ASK_EXIT_CODES, STORE_OPTION, TIMEOUT_OPTION, type Declare } from './declaration.ts'

const STOP_HELP = `
Waits until the job has stopped. Ask as the user that runs it. On its machine
the process is asked over a unix socket that only this user can open, elsewhere
through the checkpoint store. Whoever waits may go away: what was asked for is
done all the same.

--drain ends all inputs where they are: closing output is put out and the job
has FINISHED, for good. If its process dies meanwhile, the next run goes on as
if nothing had been asked for.

Examples:
  sluice stop order-totals          one last checkpoint; "sluice run" goes on
                                    from it
  sluice stop job.ts --store checkpoints --timeout 60
  sluice stop order-totals --drain  the job will not run again`

export const declareStop: Declare = (program, end) => {
  program
    .command('stop')
    .description('stop a running job with a last checkpoint, all of it committed')
    .addHelpText('after', `${STOP_HELP}\n${ASK_EXIT_CODES}`)
    .argument('<job>', 'the id of the job, or its job file')
    .option('--drain', 'end its inputs where they are, and the job with them')
    .option(...STORE_OPTION)
    .option(...TIMEOUT_OPTION)
    .option('--json', 'the outcome as JSON')
    .action(async (job: string, flags: StopFlags) => end(await (await import('../stop.ts')).stop(job, flags)))
}
