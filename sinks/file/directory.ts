/** A directory whose entries must survive a power loss. */
import { dirname } from 'node:path'
import { codeOf, type FileOperations } from './operations.ts'

const DIRECTORY_MODE = 0o777

/** Makes the entries of a directory durable. */
export async function syncDirectory(path: string, fs: FileOperations): Promise<void> {
  const fd = await fs.openDirectory(path)
  try {
    await fs.fsync(fd)
  } finally {
    await fs.close(fd)
  }
}

/** Makes the directory and what is missing above it, each name durable in its parent when this resolves. */
export async function makeDirectory(path: string, fs: FileOperations): Promise<void> {
  const missing: string[] = []
  for (let at = path; !(await isThere(at, fs)) && at !== dirname(at); at = dirname(at)) missing.push(at)
  if (missing.length === 0) return syncParentOfKnown(path, fs)
  for (const each of missing.toReversed()) {
    try {
      await fs.mkdir(each, DIRECTORY_MODE)
    } catch (error) {
      // Another subtask was faster.
      if (codeOf(error) !== 'EEXIST') throw error
    }
    await syncDirectory(dirname(each), fs)
  }
}

export async function isThere(path: string, fs: FileOperations): Promise<boolean> {
  try {
    await fs.sizeBytes(path)
    return true
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return false
    throw error
  }
}

/** Whoever made it may have died before its name was durable. A parent that we may not read is not one that a sink has made. */
async function syncParentOfKnown(path: string, fs: FileOperations): Promise<void> {
  try {
    await syncDirectory(dirname(path), fs)
  } catch (error) {
    if (!['EACCES', 'EPERM', 'EROFS', 'EINVAL'].includes(codeOf(error))) throw error
  }
}
