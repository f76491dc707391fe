/**
 * `sluice checkpoints copy`: a committed checkpoint as a savepoint, in a place of its own. `trigger --savepoint` ends with the same.
 */
import { openStore } from '../../checkpoint-store/open-store.ts'
import { TerminalError, type CheckpointStore } from '../../engine/api/index.ts'
import { copyCheckpoint, type Copied } from '../../engine/coordinator/copy-checkpoint.ts'
import { nodeRuntime } from '../../engine/host/node-runtime.ts'
import { parseCheckpoint } from '../arguments.ts'
import { jobIdOf } from '../job-id.ts'
import { sizeText, timeText } from '../table.ts'
import type { CheckpointFlags } from './subject.ts'

export interface CopyFlags extends CheckpointFlags {
  readonly checkpoint?: string
  readonly to: string
}

export async function copy(job: string, flags: CopyFlags): Promise<void> {
  const checkpoint =
    flags.checkpoint === undefined ? {} : { checkpoint: parseCheckpoint(flags.checkpoint, '--checkpoint') }
  const id = await jobIdOf(job)
  await using store = await openStore(flags.store, { access: 'read' })
  tellSavepoint(await copyTo(flags.to, { store, job: id, ...checkpoint }), flags.json === true)
}

export interface CopyRequest {
  readonly store: CheckpointStore
  readonly job: string
  readonly checkpoint?: number
  /** The newest committed one, not before this. */
  readonly from?: number
}

/** `uri` is the place; it is made where it does not exist. @throws TerminalError when it is taken, or can hold nothing */
export async function copyTo(uri: string, request: CopyRequest): Promise<Copied> {
  if (/^memory:/i.test(uri)) {
    throw new TerminalError(`a savepoint in ${uri} would be gone with this process; give a directory`, {
      code: 'SLUICE_SAVEPOINT_PLACE',
    })
  }
  await using to = await openStore(uri)
  return await copyCheckpoint({ ...request, to, runtime: nodeRuntime() })
}

/** On stdout. */
export function tellSavepoint({ uri, description }: Copied, asJson: boolean): void {
  const { job, checkpoint, at, sizeBytes, openSinks } = description
  if (asJson) {
    process.stdout.write(
      `${JSON.stringify({ job, savepoint: uri, checkpoint, at: timeText(at), sizeBytes, openSinks })}\n`,
    )
    return
  }
  const open = openSinks.map(
    (sink) =>
      `sink "${sink}" has output open that is not in the copy: a run from it has to give that up with --drop ${sink}\n`,
  )
  process.stdout.write(
    `checkpoint ${checkpoint} of ${job}, completed at ${timeText(at)}, is copied to ${uri} (${sizeText(sizeBytes)})\n${open.join('')}`,
  )
}
