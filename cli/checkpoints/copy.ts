/**
 * `sluice checkpoints copy`: a committed checkpoint as a savepoint, in a place of its own. `trigger --savepoint` ends with the same.
 */
import { openStore } from '../../checkpoint-store/open-store.ts'
import { TerminalError, type CheckpointStore } from '../../engine/api/index.ts'
import { copyCheckpoint, refuseTaken, type Copied } from '../../engine/coordinator/copy-checkpoint.ts'
import { nodeRuntime } from '../../engine/host/node-runtime.ts'
import { parseCheckpoint } from '../arguments.ts'
import { jobIdOf } from '../job-id.ts'
import { bytesText } from '../amounts.ts'
import { timeText } from '../table.ts'
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
  const copied = await copyTo(flags.to, { store, job: id, ...checkpoint })
  const fields = { job: id, savepoint: savepointFacts(copied) }
  process.stdout.write(flags.json === true ? `${JSON.stringify(fields)}\n` : savepointText(copied))
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
  refuseMemory(uri)
  await using to = await openStore(uri)
  return await copyCheckpoint({ ...request, to, runtime: nodeRuntime() })
}

/** Makes the place where it does not exist. @throws TerminalError when it is taken, or can hold nothing */
export async function refusePlace(uri: string): Promise<void> {
  refuseMemory(uri)
  await using to = await openStore(uri)
  await refuseTaken(to)
}

/** For people: lines. */
export function savepointText({ uri, description }: Copied): string {
  const { job, checkpoint, at, sizeBytes, openSinks } = description
  const open = openSinks.map(
    (sink) =>
      `sink "${sink}" has output open that is not in the copy: a run from it has to give that up with --drop ${sink}\n`,
  )
  const size = bytesText(sizeBytes)
  return `checkpoint ${checkpoint} of ${job}, completed at ${timeText(at)}, is copied to ${uri} (${size})\n${open.join('')}`
}

/** For programs. */
export function savepointFacts({ uri, description }: Copied): object {
  const { checkpoint, at, sizeBytes, openSinks } = description
  return { uri, checkpoint, at: timeText(at), sizeBytes, openSinks }
}

function refuseMemory(uri: string): void {
  if (!/^memory:/i.test(uri)) return
  throw new TerminalError(`a savepoint in ${uri} would be gone with this process; give a directory`, {
    code: 'SLUICE_SAVEPOINT_PLACE',
  })
}
