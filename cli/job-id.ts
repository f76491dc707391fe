/**
 * Commands about a job take its id or its job file.
 */
import { existsSync } from 'node:fs'
import { parseJobId, type JobId } from '../engine/api/index.ts'
import { loadJob } from './load-job.ts'

/** @throws TerminalError for what is neither */
export async function jobIdOf(job: string): Promise<JobId> {
  return parseJobId(isJobFile(job) ? (await loadJob(job)).definition.id : job)
}

export function isJobFile(job: string): boolean {
  return /\.[cm]?[jt]s$/.test(job) && existsSync(job)
}
