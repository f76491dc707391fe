/** `sluice checkpoints trigger`: asks the process that runs a job for a checkpoint, and waits until all of it is committed. */
import { askCommand, type AskFlags } from '../control/ask-command.ts'

export function trigger(job: string, flags: AskFlags): Promise<number> {
  return askCommand(job, 'checkpoint', flags)
}
