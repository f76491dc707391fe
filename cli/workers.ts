/**
 * `--workers`: the tasks of a job in processes of their own, which load the same job file and open the same store.
 */
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { TerminalError, type Runtime } from '../engine/api/index.ts'
import type { BuiltJob } from '../engine/graph/define-job.ts'
import type { TaskHost } from '../engine/task/host.ts'
import { MAX_WORKERS, WorkerHost } from '../engine/worker/worker-host.ts'
import { packageVersion } from './version.ts'

export interface WorkersOptions {
  readonly workers: number
  readonly file: string
  readonly codeIdentity: string
  readonly store: string
  readonly baseDirectory: string
  readonly runtime: Runtime
}

/** @throws TerminalError */
export function parseWorkers(given: string): number {
  const workers = Number(given)
  if (/^\d+$/.test(given) && workers >= 1 && workers <= MAX_WORKERS) return workers
  throw new TerminalError(`--workers ${given}: give a whole number from 1 to ${MAX_WORKERS}`, { code: 'SLUICE_USAGE' })
}

/** Starts the processes. @throws TerminalError for a store that other processes cannot reach */
export function createWorkerHost(options: WorkersOptions, { graph, planHash, settings }: BuiltJob): TaskHost {
  const { workers, runtime, file, codeIdentity, store, baseDirectory } = options
  if (/^memory:/i.test(store)) {
    throw new TerminalError(
      `--workers ${workers}: "${store}" is the memory of one process; give a directory with --store`,
      { code: 'SLUICE_WORKERS_NEED_STORE' },
    )
  }
  const job = { file, settings, planHash, codeIdentity, version: packageVersion(), store, baseDirectory }
  const command = { file: process.execPath, argv: [...process.execArgv, workerFile()] }
  return new WorkerHost({ workers, graph, job, command, runtime })
}

/** Beside this directory in a checkout, one further up in an installed package. */
function workerFile(): string {
  const url = ['../bin/worker.mjs', '../../bin/worker.mjs']
    .map((path) => new URL(path, import.meta.url))
    .find((one) => existsSync(one))
  if (url === undefined)
    throw new TerminalError('bin/worker.mjs is missing: install sluice anew', { code: 'SLUICE_INSTALLATION_BROKEN' })
  return fileURLToPath(url)
}
