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
  /** Subtasks of operators that name no number; default what the job says. */
  readonly parallelism?: number
  /** How a job without an end ends. */
  readonly stopSignal?: AbortSignal
}

/** @throws Error unless the job finishes, or is stopped as it was told */
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
      ...(options.parallelism === undefined ? {} : { parallelism: options.parallelism }),
      stopSignal: options.stopSignal ?? new AbortController().signal,
      onEvent: (event) => options.onEvent?.(event),
    })
    const isStopped = end.state === 'STOPPED' && options.stopSignal?.aborted === true
    if (end.state !== 'FINISHED' && !isStopped) throw new Error(`the job ended ${JSON.stringify(end)}`)
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}
