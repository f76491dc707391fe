/**
 * `sluice init`: writes a small project that works, from templates/init. What is in the way is found before the first file is written, and
 * overwritten only with `--force`.
 */
import { lstat, mkdir, writeFile } from 'node:fs/promises'
import { basename, dirname, join, relative, resolve, sep } from 'node:path'
import { messageOf, RetryableError, TerminalError } from '../engine/api/index.ts'
import { projectFiles } from './init-project.ts'
import { isCheckout, packageDirectory } from './package-directory.ts'

export interface InitFlags {
  readonly name?: string
  readonly force?: boolean
  readonly json?: boolean
}

/** @throws TerminalError for a name that cannot be one, or for files that are in the way: nothing is written then */
export async function init(directory: string, flags: InitFlags): Promise<void> {
  const target = resolve(directory)
  const isForced = flags.force === true
  const name = flags.name === undefined ? nameFor(target) : parseName(flags.name)
  const files = await projectFiles({ name, sluice: dependencyFor(target) })
  const obstacles = await obstaclesFor([...files.keys()], target, isForced)
  if (obstacles.length > 0) {
    throw new TerminalError(
      isForced
        ? `in ${target} there is already ${obstacles.join(', ')}; nothing was written. Give another directory, or move them away`
        : `in ${target} there is already ${obstacles.join(', ')}; nothing was written. Give another directory, or --force to overwrite`,
      { code: 'SLUICE_INIT_IN_THE_WAY' },
    )
  }
  for (const [file, text] of files) await write(join(target, file), text, isForced)
  report(
    { directory: target, name, files: [...files.keys()], next: nextCommands(target, directory) },
    flags.json === true,
  )
}

/** Letters, digits and inner `.`, `_`, `-`: what both a package of npm and a job may be called. */
const NAME = /^(?!.*--)[a-z0-9](?:[a-z0-9._-]{0,98}[a-z0-9_])?$/
const FALLBACK_NAME = 'sluice-project'
/** npm installs no package into one of the same name. */
const TAKEN = ['sluice', 'vitest', 'typescript', 'node_modules']

function parseName(text: string): string {
  if (NAME.test(text) && !TAKEN.includes(text)) return text
  throw new TerminalError(
    `--name ${JSON.stringify(text)} cannot be the name of a package and of a job: use lower-case letters, digits and inner ".", "_" and ` +
      `"-" (but no "--"), at most 100 characters, and none of ${TAKEN.join(', ')}`,
    { code: 'SLUICE_INIT_NAME' },
  )
}

/** The directory's name, as near as a package can have it. */
function nameFor(target: string): string {
  const fitting = basename(target)
    .toLowerCase()
    .replace(/[^a-z0-9._-]+/g, '-')
    .replace(/-{2,}/g, '-')
    .slice(0, 100)
    .replace(/^[^a-z0-9]+|[^a-z0-9_]+$/g, '')
  return NAME.test(fitting) && !TAKEN.includes(fitting) ? fitting : FALLBACK_NAME
}

/** Undefined: this version, from the registry. A checkout is nowhere else. */
function dependencyFor(target: string): string | undefined {
  if (!isCheckout()) return undefined
  return `file:${relative(target, packageDirectory()).split(sep).join('/')}`
}

/** What is there and would be overwritten, or no file can take the place of; relative to `target`. */
async function obstaclesFor(files: readonly string[], target: string, isForced: boolean): Promise<readonly string[]> {
  const found = new Set<string>()
  for (const file of files) {
    const info = await lstat(join(target, file)).catch(() => undefined)
    if (info !== undefined && (!isForced || info.isDirectory())) found.add(file)
  }
  const folders = new Set(files.map((file) => dirname(file)))
  for (const folder of folders) {
    const info = await lstat(join(target, folder)).catch(() => undefined)
    if (info?.isFile() === true) found.add(folder === '.' ? `a file ${target}` : folder)
  }
  return [...found]
}

async function write(path: string, text: string, isForced: boolean): Promise<void> {
  try {
    await mkdir(dirname(path), { recursive: true })
    await writeFile(path, text, { flag: isForced ? 'w' : 'wx' })
  } catch (cause) {
    throw new RetryableError(
      `${path} could not be written: ${messageOf(cause)}. Files before it may have been: remove the cause, then run it again with --force`,
      { cause, code: 'SLUICE_INIT_WRITE' },
    )
  }
}

/** What of a checkout is packed into the project is its dist/. */
function nextCommands(target: string, directory: string): readonly string[] {
  const build = isCheckout() ? [`npm --prefix ${quoted(packageDirectory().slice(0, -1))} run build`] : []
  const enter = target === process.cwd() ? [] : [`cd ${quoted(directory)}`]
  return [...build, ...enter, 'npm install', 'npm test', 'npm start']
}

function quoted(path: string): string {
  return /^[\w./-]+$/.test(path) ? path : `'${path.replaceAll("'", String.raw`'\''`)}'`
}

interface Created {
  readonly directory: string
  readonly name: string
  readonly files: readonly string[]
  readonly next: readonly string[]
}

function report(created: Created, asJson: boolean): void {
  const lines = [
    `${created.name} is in ${created.directory}:`,
    ...created.files.map((file) => `  ${file}`),
    '',
    'Next:',
    ...created.next.map((command) => `  ${command}`),
  ]
  process.stdout.write(asJson ? `${JSON.stringify({ event: 'created', ...created })}\n` : `${lines.join('\n')}\n`)
}
