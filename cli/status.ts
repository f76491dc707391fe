/**
 * `sluice status`: answered from the store alone, while the job runs or after it.
 */
import { setTimeout } from 'node:timers/promises'
import { openStore } from '../checkpoint-store/open-store.ts'
import { TerminalError, type CheckpointStore } from '../engine/api/index.ts'
import { readStatus, type JobStatus } from '../engine/coordinator/status.ts'
import { createHolder, isHolderAlive, type Holder } from '../engine/host/holder.ts'
import { nodeRuntime } from '../engine/host/node-runtime.ts'
import { codeIdentity } from './code-identity.ts'
import { isJobFile, jobIdOf } from './job-id.ts'
import { statusText } from './status-text.ts'

export interface StatusFlags {
  readonly store: string
  readonly watch?: boolean
  readonly json?: boolean
}

/** What the command knows beside the store: the code of the job file, where it was given one. */
export type ShownStatus = JobStatus & { readonly jobFile?: { readonly codeIdentity: string; readonly isSame: boolean } }

const WATCH_MS = 1_000
const FROM_THE_TOP = '\u001b[H'
const ERASE_REST = '\u001b[K'
const ERASE_BELOW = '\u001b[J'

/** @throws TerminalError when the store knows no such job */
export async function status(job: string, flags: StatusFlags): Promise<void> {
  const id = await jobIdOf(job)
  // A look must not make a store where there is none.
  await using store = await openStore(flags.store, { access: 'read' })
  await using holder = await createHolder()
  const look = async (): Promise<ShownStatus> => {
    const found = await lookAt(store, id, holder)
    return isJobFile(job) ? { ...found, jobFile: await jobFileOf(job, found) } : found
  }
  if (flags.watch !== true) {
    const found = await look()
    process.stdout.write(flags.json === true ? `${JSON.stringify(found)}\n` : `${statusText(found, Date.now())}\n`)
    return
  }
  // Until somebody ends it, or nobody reads it any more.
  while (await isRead(shown(await look(), flags.json === true))) await setTimeout(WATCH_MS)
}

/** @throws TerminalError */
async function lookAt(
  store: CheckpointStore & { readonly uri: string },
  id: string,
  holder: Holder,
): Promise<JobStatus> {
  const found = await readStatus(store, id, nodeRuntime(), (other) => isHolderAlive(other, holder.identity))
  if (found !== undefined) return found
  throw new TerminalError(`${store.uri} knows no job "${id}"; name the store of its run with --store`, {
    code: 'SLUICE_JOB_UNKNOWN',
  })
}

async function jobFileOf(
  job: string,
  { codeIdentity: running }: JobStatus,
): Promise<NonNullable<ShownStatus['jobFile']>> {
  const identity = await codeIdentity(job)
  return { codeIdentity: identity, isSame: identity === running }
}

/** Written, and somebody reads it. */
function isRead(text: string): Promise<boolean> {
  return new Promise((resolve) => {
    process.stdout.write(text, (error) => resolve(error === undefined || error === null))
  })
}

/** On a terminal over what stood there, in one write; else one after another. */
function shown(found: ShownStatus, isJson: boolean): string {
  if (isJson) return `${JSON.stringify(found)}\n`
  const text = statusText(found, Date.now())
  if (!process.stdout.isTTY || process.env['TERM'] === 'dumb') return `${text}\n\n`
  const { rows, columns } = process.stdout
  // Some terminals do not know their size and say 0.
  const lines = text.split('\n').slice(0, rows > 1 ? rows - 1 : undefined)
  const fitting = lines.map((line) => (columns > 1 ? line.slice(0, columns - 1) : line))
  return `${FROM_THE_TOP}${fitting.map((line) => `${line}${ERASE_REST}\n`).join('')}${ERASE_BELOW}`
}
