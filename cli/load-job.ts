/**
 * Imports a job file and checks that it is one.
 */
import { stat } from 'node:fs/promises'
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { messageOf, TerminalError } from '../engine/api/index.ts'
import type { JobDefinition } from '../engine/graph/define-job.ts'

/** @throws TerminalError with what is wrong with the file */
export async function loadJob(path: string): Promise<{ readonly definition: JobDefinition; readonly file: string }> {
  const file = resolve(path)
  const info = await stat(file).catch(() => undefined)
  if (info === undefined) throw new TerminalError(`there is no job file ${file}`, { code: 'SLUICE_JOB_FILE_MISSING' })
  if (!info.isFile())
    throw new TerminalError(`${file} is not a file; name the job file in it, like ${path}/job.ts`, {
      code: 'SLUICE_JOB_FILE_MISSING',
    })
  let module: { readonly default?: unknown }
  try {
    module = (await import(pathToFileURL(file).href)) as { readonly default?: unknown }
  } catch (error) {
    throw new TerminalError(`${file} could not be loaded: ${messageOf(error)}`, {
      code: 'SLUICE_JOB_FILE_BROKEN',
      cause: error,
    })
  }
  if (isDefinition(module.default)) return { definition: module.default, file }
  throw new TerminalError(`${file} does not export a job: write \`export default defineJob({ id, build })\``, {
    code: 'SLUICE_JOB_FILE_WITHOUT_JOB',
  })
}

function isDefinition(value: unknown): value is JobDefinition {
  if (typeof value !== 'object' || value === null) return false
  return 'id' in value && typeof value.id === 'string' && 'build' in value && typeof value.build === 'function'
}
