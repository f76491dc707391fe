/** Declares the group `sluice checkpoints`. */
import type { AskFlags } from '../control/ask-command.ts'
import { ASK_EXIT_CODES, STORE_OPTION, TIMEOUT_OPTION, type Declare } from './declaration.ts'

const TRIGGER_HELP = `
Waits until the checkpoint is complete and all of it is committed: what the job has read until now is visible then.

Example:
  sluice checkpoints trigger order-totals`

export const declareCheckpoints: Declare = (program, end) => {
  const checkpoints = program.command('checkpoints').description('the checkpoints of a job').helpCommand(false)
  checkpoints
    .command('trigger')
    .description('ask a running job for a checkpoint, and wait until all of it is committed')
    .addHelpText('after', `${TRIGGER_HELP}\n${ASK_EXIT_CODES}`)
    .argument('<job>', 'the id of the job, or its job file')
    .option(...STORE_OPTION)
    .option(...TIMEOUT_OPTION)
    .option('--json', 'the outcome as JSON')
    .action(async (job: string, flags: AskFlags) =>
      end(await (await import('../checkpoints/trigger.ts')).trigger(job, flags)),
    )
}
