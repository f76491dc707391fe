/** `sluice status`: answered from the store alone. */
import { openStore } from '../checkpoint-store/open-store.ts'
import { TerminalError } from '../engine/api/index.ts'
import { readStatus } from '../engine/coordinator/status.ts'
import { createHolder, isHolderAlive } from '../engine/host/holder.ts'
import { nodeRuntime } from '../engine/host/node-runtime.ts'

export async function status(job: string, flags: { readonly store: string; readonly json?: boolean }): Promise<number> {
  await using store = await openStore(flags.store)
  await using holder = await createHolder()
  const found = await readStatus(store, job, nodeRuntime(), (other) => isHolderAlive(other, holder.identity))
  if (found === undefined) throw new TerminalError(`${store.uri} knows no job "${job}"`)
  if (flags.json === true) {
    process.stdout.write(`${JSON.stringify(found)}\n`)
    return 0
  }
  const last = found.lastCompleted
  const lines = [
    `${found.job}: ${found.state}${found.alive === true ? ', a process runs it' : found.alive === false ? ', no process' : ''}`,
    `  generation ${found.generation}, lineage ${found.lineage}, restarts ${found.restarts}`,
    `  last completed checkpoint: ${last === null ? 'none' : `${last.checkpoint} at ${last.at}`}; committed through ${found.committedThrough}`,
    ...(last?.sourcePositions ?? []).map(
      (one) => `  ${one.operator} ${one.split}: ${one.ended ? 'ended' : JSON.stringify(one.position)}`,
    ),
    ...(found.failure === undefined ? [] : [`  failure: ${found.failure}`]),
  ]
  process.stdout.write(`${lines.join('\n')}\n`)
  return 0
}
