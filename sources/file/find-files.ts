/**
 * Which files a path means: a file, those of a directory, or what a glob matches.
 */
import type { Stats } from 'node:fs'
import { glob, lstat, readdir, stat } from 'node:fs/promises'
import { isAbsolute, join, relative, resolve, sep } from 'node:path'
import { codeOf } from '../../clients/file/operations.ts'
import { messageOf, RetryableError } from '../../engine/api/index.ts'

export interface FoundFile {
  /** Relative to the base directory, where it lies in it. */
  readonly name: string
  /** Of the file, whatever its name: device, inode, and time of birth, as inodes are used again. */
  readonly identity: string
}

/** Regular files only, hidden ones left out of directories, in path order. @throws RetryableError */
export async function findFiles(path: string, baseDirectory: string): Promise<readonly FoundFile[]> {
  const found: FoundFile[] = []
  for (const candidate of await listed(path, baseDirectory)) {
    const info = await statOf(candidate)
    if (info?.isFile() !== true) continue
    const identity = `${info.dev}:${info.ino}:${info.birthtimeMs}`
    found.push({ name: nameOf(candidate, baseDirectory), identity })
  }
  return found.toSorted((one, other) => byPath(one.name, other.name))
}

/** May it match what is not there yet? */
export async function canMatchLater(path: string, baseDirectory: string): Promise<boolean> {
  if (/[*?[\]{}!()]/.test(path)) return true
  const info = await stat(resolve(baseDirectory, path)).catch(() => undefined)
  return info?.isDirectory() === true
}

export function byPath(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

async function listed(path: string, baseDirectory: string): Promise<readonly string[]> {
  try {
    return await candidatesFor(path, baseDirectory)
  } catch (error) {
    throw cannotRead(path, error)
  }
}

/** A path that exists is meant as it stands, with whatever characters; else it is a glob. */
async function candidatesFor(path: string, baseDirectory: string): Promise<readonly string[]> {
  const absolute = resolve(baseDirectory, path)
  const info = await stat(absolute).catch(() => undefined)
  if (info?.isDirectory() === true) {
    const names = await readdir(absolute)
    return names.filter((name) => !name.startsWith('.')).map((name) => join(absolute, name))
  }
  if (info !== undefined) return [absolute]
  const found: string[] = []
  for await (const match of glob(path, { cwd: baseDirectory })) {
    found.push(isAbsolute(match) ? match : resolve(baseDirectory, match))
  }
  return found
}

/** Undefined: it went while names were listed. A link that leads nowhere stays. */
async function statOf(candidate: string): Promise<Stats | undefined> {
  try {
    return await stat(candidate)
  } catch (error) {
    const isGone = codeOf(error) === 'ENOENT' && (await lstat(candidate).catch(() => undefined)) === undefined
    if (isGone) return undefined
    throw cannotRead(candidate, error)
  }
}

function cannotRead(path: string, cause: unknown): RetryableError {
  return new RetryableError(`cannot read ${path}: ${messageOf(cause)}. Remove it, or make it readable`, {
    code: 'SLUICE_INPUT_NOT_READABLE',
    cause,
  })
}

function nameOf(absolute: string, baseDirectory: string): string {
  const name = relative(baseDirectory, absolute)
  return name === '..' || name.startsWith(`..${sep}`) ? absolute : name
}
