/** Declares `sluice cancel`. */
import type { AskFlags } from '../control/ask-command.ts'
import { ASK_EXIT_CODES, STORE_OPTION, TIMEOUT_OPTION, type Declare } from './declaration.ts'

const CANCEL_HELP = `
Takes no last checkpoint: what was read since the last one is read again by the
next run, and nothing of it has become visible. Commits that are due are tried
for a few seconds, and else left to the next run. For a job that cannot be
stopped, since a sink is down, say.

Example:
  sluice cancel order-totals`

export const declareCancel: Declare = (program, end) => {
  program
    .command('cancel')
    .description('end a running job without a last checkpoint')
    .addHelpText('after', `${CANCEL_HELP}\n${ASK_EXIT_CODES}`)
    .argument('<job>', 'the id of the job, or its job file')
    .option(...STORE_OPTION)
    .option(...TIMEOUT_OPTION)
    .option('--json', 'the outcome as JSON')
    .action(async (job: string, flags: AskFlags) => end(await (await import('../cancel.ts')).cancel(job, flags)))
}
