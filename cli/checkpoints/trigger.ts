/**
 * `sluice checkpoints trigger`: asks the process that runs a job for a checkpoint, and waits until all of it is committed; with `--savepoint`
 * it is copied to a place of its own then, or a newer one where the job has retired it meanwhile.
 */
import { messageOf, RetryableError } from '../../engine/api/index.ts'
import type { Copied } from '../../engine/coordinator/copy-checkpoint.ts'
import { askCommand, type AskFlags, type Taken } from '../control/ask-command.ts'
import { copyTo, refusePlace, savepointFacts, savepointText } from './copy.ts'

export interface TriggerFlags extends AskFlags {
  readonly savepoint?: string
}

export async function trigger(job: string, { savepoint, ...flags }: TriggerFlags): Promise<number> {
  if (savepoint === undefined) return askCommand(job, 'checkpoint', flags)
  // Before anybody is asked for something that would be of no use.
  await refusePlace(savepoint)
  return askCommand(job, 'checkpoint', flags, async (taken) => {
    const copied = await copiedTo(savepoint, taken)
    return { text: savepointText(copied), facts: { savepoint: savepointFacts(copied) } }
  })
}

/** The checkpoint was taken: what goes wrong now is no refusal any more. */
async function copiedTo(uri: string, { store, job, checkpoint }: Taken): Promise<Copied> {
  try {
    return await copyTo(uri, { store, job, from: checkpoint })
  } catch (error) {
    throw new RetryableError(
      `checkpoint ${checkpoint} of job "${job}" is committed, but could not be copied to ${uri}: ${messageOf(error)}`,
      { code: 'SLUICE_SAVEPOINT_NOT_COPIED' },
    )
  }
}
