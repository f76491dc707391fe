/** `sluice cancel`: asks the process that runs a job to end without a last checkpoint, and waits until it has. */
import { askCommand, type AskFlags } from './control/ask-command.ts'

export function cancel(job: string, flags: AskFlags): Promise<number> {
  return askCommand(job, 'cancel', flags)
}
