/** A directory whose entries must survive a power loss: made, looked for, and made durable. */
import { dirname } from 'node:path'
import { codeOf, type FileOperations } from './operations.ts'

/** Makes the entries of a directory durable. */
export async function syncDirectory(path: string, fs: FileOperations): Promise<void> {
  const fd = await fs.openDirectory(path)
  try {
    await fs.fsync(fd)
  } finally {
    await fs.close(fd)
  }
}

export interface MakeOptions {
  readonly fs: FileOperations
  readonly mode: number
  /** Default: {@link syncDirectory}. */
  readonly sync?: (path: string) => Promise<void>
}

/** Makes the directory and what is missing above it, each name durable in its parent when this resolves. */
export async function makeDirectory(path: string, options: MakeOptions): Promise<void> {
  const { fs, mode, sync = (each) => syncDirectory(each, fs) } = options
  const missing: string[] = []
  for (let at = path; !(await isThere(at, fs)) && at !== dirname(at); at = dirname(at)) missing.push(at)
  if (missing.length === 0) return syncParentOfKnown(path, sync)
  for (const each of missing.toReversed()) {
    try {
      await fs.mkdir(each, mode)
    } catch (error) {
      // Another process or subtask was faster.
      if (codeOf(error) !== 'EEXIST') throw error
    }
    await sync(dirname(each))
  }
}

export async function isThere(path: string, fs: FileOperations): Promise<boolean> {
  try {
    await fs.stat(path)
    return true
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return false
    throw error
  }
}

/** Whoever made it may have died before its name was durable. A parent that we may not read is not one that we have made. */
async function syncParentOfKnown(path: string, sync: (path: string) => Promise<void>): Promise<void> {
  try {
    await sync(dirname(path))
  } catch (error) {
    if (!['EACCES', 'EPERM', 'EROFS', 'EINVAL'].includes(codeOf(error))) throw error
  }
}
