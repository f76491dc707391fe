/**
 * Imports a job file and checks that it is one.
 */
import { existsSync } from 'node:fs'
import { stat } from 'node:fs/promises'
import { basename, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { messageOf, TerminalError } from '../engine/api/index.ts'
import type { JobDefinition } from '../engine/graph/define-job.ts'

const MODULE = /\.[cm]?[jt]s$/

/** @throws TerminalError with what is wrong with the file */
export async function loadJob(path: string): Promise<{ readonly definition: JobDefinition; readonly file: string }> {
  const file = resolve(path)
  const info = await stat(file).catch(() => undefined)
  if (info === undefined)
    throw new TerminalError(`there is no job file ${file}; name one that is there`, {
      code: 'SLUICE_JOB_FILE_MISSING',
    })
  if (!info.isFile())
    throw new TerminalError(`${file} is not a file; name the job file in it, like ${path}/job.ts`, {
      code: 'SLUICE_JOB_FILE_MISSING',
    })
  if (!MODULE.test(file)) {
    throw new TerminalError(`${file} is no module: the name of a job file ends in .ts, .mts, .js or .mjs`, {
      code: 'SLUICE_JOB_FILE_BROKEN',
    })
  }
  const definition = await importDefault(file)
  if (!isDefinition(definition)) {
    throw new TerminalError(`${file} does not export a job: write \`export default defineJob({ id, build })\``, {
      code: 'SLUICE_JOB_FILE_WITHOUT_JOB',
    })
  }
  if (definition.id === undefined) {
    throw new TerminalError(`the job in ${file} has no id: write defineJob({ id: 'some-name', … })`, {
      code: 'SLUICE_ID_MISSING',
    })
  }
  return { definition, file }
}

async function importDefault(file: string): Promise<unknown> {
  try {
    const module = (await import(pathToFileURL(file).href)) as { readonly default?: unknown }
    return module.default
  } catch (error) {
    throw new TerminalError(`${file} could not be loaded: ${messageOf(error)}${importCureOf(messageOf(error))}`, {
      code: 'SLUICE_JOB_FILE_BROKEN',
      cause: error,
    })
  }
}

/** What to do about an import that Node did not find; nothing where its message is all there is to say. */
function importCureOf(message: string): string {
  const missing = /^Cannot find package '([^']+)'/.exec(message)?.[1]
  if (missing !== undefined) return `; npm install ${missing} brings it`
  const module = /^Cannot find module '([^']+)'/.exec(message)?.[1]
  const extension = ['.ts', '.mts', '.js', '.mjs'].find((one) => module !== undefined && existsSync(`${module}${one}`))
  if (module === undefined || extension === undefined) return ''
  return `; an import names the whole file, here ${basename(module)}${extension}`
}

/** The rest is checked when the job is built. */
function isDefinition(value: unknown): value is JobDefinition & { readonly id: unknown } {
  return typeof value === 'object' && value !== null && ('id' in value || 'build' in value)
}
