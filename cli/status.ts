/**
 * `sluice status`: answered from the store alone, while the job runs or after it.
 */
import { openStore } from '../checkpoint-store/open-store.ts'
import { TerminalError } from '../engine/api/index.ts'
import { readStatus, type JobStatus } from '../engine/coordinator/status.ts'
import { createHolder, isHolderAlive } from '../engine/host/holder.ts'
import { nodeRuntime } from '../engine/host/node-runtime.ts'
import { jobIdOf } from './job-id.ts'

export interface StatusFlags {
  readonly store: string
  readonly json?: boolean
}

/** @throws TerminalError when the store knows no such job */
export async function status(job: string, flags: StatusFlags): Promise<void> {
  const id = await jobIdOf(job)
  // A look must not make a store where there is none.
  await using store = await openStore(flags.store, { access: 'read' })
  await using holder = await createHolder()
  const found = await readStatus(store, id, nodeRuntime(), (other) => isHolderAlive(other, holder.identity))
  if (found === undefined)
    throw new TerminalError(`${store.uri} knows no job "${id}"; name the store of its run with --store`, {
      code: 'SLUICE_JOB_UNKNOWN',
    })
  process.stdout.write(flags.json === true ? `${JSON.stringify(fieldsOf(found))}\n` : textOf(found))
}

/** Settings and code identity are for people: what programs are told is a fixed shape. */
function fieldsOf({ settings: _settings, codeIdentity: _code, ...fields }: JobStatus): object {
  return fields
}

const LIVES = new Map<boolean | null, string>([
  [true, 'a process runs it'],
  [false, 'no process runs it'],
  [null, 'whether a process runs it cannot be seen from here'],
])

function textOf(found: JobStatus): string {
  const last = found.lastCompleted
  const lines = [
    `${found.job}: ${found.state}, ${LIVES.get(found.alive) ?? ''}`,
    `  generation ${found.generation}, lineage ${found.lineage}, restarts ${found.restarts}`,
    `  last completed checkpoint: ${last === null ? 'none' : `${last.checkpoint} at ${last.at}`}`,
    `  committed through: ${found.committedThrough}`,
    ...(last?.sourcePositions ?? []).map(
      (one) => `  ${one.operator} ${one.split}: ${one.ended ? 'ended' : JSON.stringify(one.position)}`,
    ),
    ...Object.entries(found.settings).map(([name, value]) => `  setting ${name}: ${value}`),
    `  code: ${found.codeIdentity}`,
    ...(found.failure === undefined ? [] : [`  failure: ${found.failure}`]),
    ...found.failures.map((one) => `  generation ${one.generation} failed at ${one.at}: ${firstLineOf(one.message)}`),
  ]
  return `${lines.join('\n')}\n`
}

function firstLineOf(message: string): string {
  return message.split('\n', 1)[0] ?? ''
}
