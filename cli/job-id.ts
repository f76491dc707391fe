/**
 * Commands about a job take its id or its job file.
 */
import { existsSync } from 'node:fs'
import { parseJobId, type JobId } from '../engine/api/index.ts'
import { loadJob } from './load-job.ts'

/** @throws TerminalError for what is neither */
export async function jobIdOf(job: string): Promise<JobId> {
  const isFile = /\.[cm]?[jt]s$/.test(job) && existsSync(job)
  return parseJobId(isFile ? (await loadJob(job)).definition.id : job)
}
