/** Runs a job in this process on a disk store of its own, as `sluice run` would. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openStore } from '../../checkpoint-store/open-store.ts'
import { runJob, type RunEvent } from '../../engine/coordinator/run-job.ts'
import { createHolder } from '../../engine/host/holder.ts'
import { nodeRuntime } from '../../engine/host/node-runtime.ts'
import type { CheckpointStore, JobDefinition } from '../../engine/index.ts'

export interface RunHereOptions {
  /** What to put between the job and its store. */
  wrap?(store: CheckpointStore): CheckpointStore
  onEvent?(event: RunEvent): void
}

/** @throws Error unless the job finishes */
export async function runHere(definition: JobDefinition, options: RunHereOptions = {}): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'sluice-bench-store-'))
  try {
    await using store = await openStore(directory)
    await using holder = await createHolder()
    const end = await runJob({
      definition,
      settings: {},
      store: options.wrap?.(store) ?? store,
      runtime: nodeRuntime(),
      baseDirectory: process.cwd(),
      codeIdentity: '',
      holder: holder.identity,
      isHolderAlive: () => Promise.resolve(false),
      stopSignal: new AbortController().signal,
      onEvent: (event) => options.onEvent?.(event),
    })
    if (end.state !== 'FINISHED') throw new Error(`the job ended ${JSON.stringify(end)}`)
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}
