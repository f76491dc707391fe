/**
 * Commands about a job take its id or its job file.
 */
import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { parseJobId, TerminalError, type JobId } from '../engine/api/index.ts'
import { loadJob } from './load-job.ts'

/** @throws TerminalError for what is neither */
export async function jobIdOf(job: string): Promise<JobId> {
  if (isJobFile(job)) return parseJobId((await loadJob(job)).definition.id)
  // No id holds one.
  if (/[/\\]/.test(job)) {
    throw new TerminalError(`there is no job file ${resolve(job)}; name a job by its id or its job file`, {
      code: 'SLUICE_JOB_FILE_MISSING',
    })
  }
  return parseJobId(job)
}

export function isJobFile(job: string): boolean {
  return /\.[cm]?[jt]s$/.test(job) && existsSync(job)
}
