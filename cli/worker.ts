/**
 * A worker process of `sluice run --workers`: connects what a worker needs (the job's module, the store, the real world) with the
 * coordinator that started it.
 */
import { Socket } from 'node:net'
import { openStore } from '../checkpoint-store/open-store.ts'
import { getBlob } from '../engine/coordinator/blobs.ts'
import { codeOf, messageOf, TaskFailure } from '../engine/api/index.ts'
import { buildJob } from '../engine/graph/define-job.ts'
import { nodeRuntime } from '../engine/host/node-runtime.ts'
import type { WorkerJob } from '../engine/worker/messages.ts'
import { CONTROL_FD } from '../engine/worker/worker-process.ts'
import { runWorker, type LoadedJob } from '../engine/worker/worker.ts'
import { codeIdentity } from './code-identity.ts'
import { loadJob } from './load-job.ts'
import { refusalText } from './refusal.ts'
import { packageVersion } from './version.ts'

export function work(): void {
  for (const stream of [process.stdout, process.stderr]) stream.on('error', ignoreClosedPipe)
  process.on('uncaughtException', endUncaught)
  runWorker({
    socket: controlSocket(),
    createRuntime: nodeRuntime,
    load,
    exit: (why) => {
      // Nothing runs any more after a kill, exit handlers neither.
      if (why === 'gone') process.kill(process.pid, 'SIGKILL')
      process.exit(0)
    },
  })
}

/** The coordinator sees only that it died: why is said here. */
function endUncaught(error: unknown): void {
  const thrown = `nobody caught an error of the job: ${messageOf(error)}; this worker ends, and is replaced`
  console.error(
    refusalText(new TaskFailure(thrown, { code: codeOf(error) ?? 'SLUICE_ERROR_NOT_CAUGHT', cause: error })),
  )
  process.exit(1)
}

function controlSocket(): Socket {
  try {
    return new Socket({ fd: CONTROL_FD })
  } catch {
    console.error('sluice: a worker is started by `sluice run --workers`, not by hand')
    process.exit(2)
  }
}

async function load(job: WorkerJob): Promise<LoadedJob> {
  const { definition, file } = await loadJob(job.file)
  const identity = await codeIdentity(file)
  const { graph, planHash } = buildJob(definition, job.settings)
  const store = await openStore(job.store, { baseDirectory: job.baseDirectory })
  return {
    graph,
    planHash,
    codeIdentity: identity,
    version: packageVersion(),
    store: {
      put: (key, bytes) => store.put(key, bytes),
      getBlob: (reference) => getBlob(store, reference),
    },
  }
}

function ignoreClosedPipe(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EPIPE') throw error
}
