/** `sluice stop`: asks the process that runs a job to stop with a last checkpoint, or to drain, and waits until it has. */
import { askCommand, type AskFlags } from './control/ask-command.ts'

export interface StopFlags extends AskFlags {
  readonly drain?: boolean
}

export function stop(job: string, flags: StopFlags): Promise<number> {
  return askCommand(job, flags.drain === true ? 'drain' : 'stop', flags)
}
