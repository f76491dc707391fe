/**
 * The checkpoint store in a directory of a local (or properly mounted) POSIX file system: one file per key.
 *
 * - What `create` and `put` have acknowledged survives a power loss: content by fsync of a temporary file, the name by link or rename
 *   and fsync of the directory, new directories by fsync of their parents.
 * - A name exists only with its whole content: it is linked or renamed after the content is durable (F17).
 * - `create` decides by link(2), which never replaces. `exists` too is answered only once that name is durable.
 * - Before the name appears a failure is a RetryableError and leaves nothing behind (F16); after it, an InDoubtError.
 * - Temporary names hold `~`, which no key can, and are taken exclusively.
 *
 * A `create` is open, write, fsync, close, link, unlink, fsync of the directory; nothing else once a directory is known.
 */
import { randomBytes } from 'node:crypto'
import { dirname, join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import {
  InDoubtError,
  messageOf,
  RetryableError,
  TerminalError,
  type CheckpointStore,
  type Key,
} from '../engine/api/index.ts'
import { codeOf, nodeFileOperations, type FileOperations } from '../clients/file/operations.ts'
import { DiskDirectories } from './disk-directories.ts'
import type { DurableDirectory } from './durable-directory.ts'
import { checkKey, checkPrefix } from './key.ts'
import { isTemporary, temporaryOwner } from './temporary-name.ts'

/** What a store is opened for. */
export type StoreAccess = 'read' | 'write'

/** Where it is, and what for. */
export interface DiskStoreOptions {
  /** Made if it does not exist, readable by its owner only. Relative to the working directory. */
  readonly directory: string
  /** `write` (default): made when missing, refused when it cannot be written. `read`: nothing is made; refused when missing. */
  readonly access?: StoreAccess
  readonly fs?: FileOperations
}

const FILE_MODE = 0o600

/**
 * @throws TerminalError if the directory can be no store, or not with this access; RetryableError if it cannot be made or read now;
 *   InDoubtError if it may not survive a power loss
 */
export async function diskStore(options: DiskStoreOptions): Promise<CheckpointStore> {
  const root = resolve(options.directory)
  const fs = options.fs ?? nodeFileOperations
  const directories = new DiskDirectories(root, fs)
  try {
    if (options.access === 'read') await directories.get(root)
    else await directories.makeRoot()
    if (options.access !== 'read') await fs.checkWritable(root)
  } catch (error) {
    await directories.close()
    throw openFailure(error, root, options.access)
  }
  return new DiskStore(root, fs, directories)
}

class DiskStore implements CheckpointStore {
  readonly uri: string
  readonly #root: string
  readonly #fs: FileOperations
  readonly #directories: DiskDirectories
  readonly #owner = `${temporaryOwner()}-${randomBytes(6).toString('hex')}`
  #counter = 0

  constructor(root: string, fs: FileOperations, directories: DiskDirectories) {
    this.uri = pathToFileURL(root).href
    this.#root = root
    this.#fs = fs
    this.#directories = directories
  }

  async create(key: Key, bytes: Uint8Array): Promise<'created' | 'exists'> {
    checkKey(key)
    return translated(`create ${key} in ${this.uri}`, async () => {
      const path = join(this.#root, key)
      const { directory, temporary } = await this.#writeTemporary(path, bytes)
      const mark = directory.mark()
      const created = await this.#linkOnce(temporary, path)
      // Debris at worst: the answer does not wait for what becomes of it.
      const unlinked = this.#fs.unlink(temporary).catch(() => undefined)
      await Promise.all([directory.sync(mark), unlinked])
      return created ? 'created' : 'exists'
    })
  }

  async put(key: Key, bytes: Uint8Array): Promise<void> {
    checkKey(key)
    await translated(`put ${key} into ${this.uri}`, async () => {
      const path = join(this.#root, key)
      const { directory, temporary } = await this.#writeTemporary(path, bytes)
      const mark = directory.mark()
      await this.#orRemove(temporary, () => this.#fs.rename(temporary, path))
      await directory.sync(mark)
    })
  }

  async get(key: Key): Promise<Uint8Array | undefined> {
    checkKey(key)
    return translated(`get ${key} from ${this.uri}`, () => absent(this.#fs.readFile(join(this.#root, key))))
  }

  async delete(key: Key): Promise<void> {
    checkKey(key)
    await translated(`delete ${key} from ${this.uri}`, () => absent(this.#fs.unlink(join(this.#root, key))))
  }

  async *list(prefix: Key): AsyncIterable<Key> {
    checkPrefix(prefix)
    const open = [prefix]
    for (let at = open.pop(); at !== undefined; at = open.pop()) {
      const path = join(this.#root, at)
      const entries = await translated(`list ${at} of ${this.uri}`, () => absent(this.#fs.readDirectory(path)))
      // Nobody writes to the directory of a dead generation again: its half-written files would stay for ever.
      if (entries?.some(({ name }) => isTemporary(name)) === true) await this.#directories.removeDebris(path)
      for (const entry of entries ?? []) {
        if (isTemporary(entry.name)) continue
        if (entry.isDirectory) open.push(`${at}${entry.name}/`)
        else yield `${at}${entry.name}`
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#directories.close()
  }

  /** A durable file under a name of its own, in the directory of `path`. */
  async #writeTemporary(path: string, bytes: Uint8Array): Promise<Temporary> {
    this.#counter += 1
    const directoryPath = dirname(path)
    const temporary = join(directoryPath, `~${this.#owner}-${this.#counter}`)
    let directory = await this.#directories.get(directoryPath)
    let fd: number
    try {
      fd = await this.#fs.createFile(temporary, FILE_MODE)
    } catch (error) {
      if (codeOf(error) !== 'ENOENT') throw error
      // Somebody removed the directory since we last looked.
      await this.#directories.forget(directoryPath)
      directory = await this.#directories.get(directoryPath)
      fd = await this.#fs.createFile(temporary, FILE_MODE)
    }
    await this.#orRemove(temporary, () => this.#fill(fd, bytes))
    return { directory, temporary }
  }

  async #fill(fd: number, bytes: Uint8Array): Promise<void> {
    try {
      for (let offset = 0; offset < bytes.byteLength;) offset += await this.#fs.write(fd, bytes, offset)
      await this.#fs.fsync(fd)
    } catch (error) {
      await this.#fs.close(fd).catch(() => undefined)
      throw error
    }
    await this.#fs.close(fd)
  }

  /** False: the name is taken. */
  #linkOnce(temporary: string, path: string): Promise<boolean> {
    return this.#orRemove(temporary, async () => {
      try {
        await this.#fs.link(temporary, path)
        return true
      } catch (error) {
        if (codeOf(error) === 'EEXIST') return false
        throw error
      }
    })
  }

  async #orRemove<T>(temporary: string, act: () => Promise<T>): Promise<T> {
    try {
      return await act()
    } catch (error) {
      await this.#fs.unlink(temporary).catch(() => undefined)
      throw error
    }
  }
}

interface Temporary {
  readonly directory: DurableDirectory
  readonly temporary: string
}

async function absent<T>(result: Promise<T>): Promise<T | undefined> {
  try {
    return await result
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined
    throw error
  }
}

/** What somebody has to change is told apart from what may pass by itself. */
function openFailure(error: unknown, root: string, access: StoreAccess = 'write'): unknown {
  const code = codeOf(error)
  if (error instanceof InDoubtError || code === '') return error
  if (code === 'ENOENT' && access === 'read')
    return new TerminalError(`there is no checkpoint store ${root}; name that of the run with --store`, {
      code: 'SLUICE_STORE_MISSING',
    })
  const message = `cannot open the checkpoint store ${root}: ${messageOf(error)}; ${openCureOf(code)}`
  const isForGood = ['ENOENT', 'ENOTDIR', 'EACCES', 'EPERM', 'EROFS', 'ELOOP', 'ENAMETOOLONG'].includes(code)
  return isForGood
    ? new TerminalError(message, { code: 'SLUICE_STORE_NOT_OPENED', cause: error })
    : new RetryableError(message, { code: 'SLUICE_STORE_NOT_OPENED', cause: error })
}

function openCureOf(code: string): string {
  if (code === 'ENOTDIR') return 'a file is in the way: give a directory'
  return code === 'ENOENT' ? 'give a directory that can be made' : cureOf(code)
}

async function translated<T>(what: string, act: () => Promise<T>): Promise<T> {
  try {
    return await act()
  } catch (error) {
    if (error instanceof InDoubtError || codeOf(error) === '') throw error
    throw new RetryableError(`cannot ${what}: ${messageOf(error)}; ${cureOf(codeOf(error))}`, {
      code: 'SLUICE_STORE_FAILED',
      cause: error,
    })
  }
}

function cureOf(code: string): string {
  switch (code) {
    case 'ENOSPC':
    case 'EDQUOT':
      return 'make room there'
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
      return 'let the user of this process write there'
    case 'ENOTDIR':
    case 'EISDIR':
      return 'a key cannot be a directory of another; use another directory for the store'
    case 'EMFILE':
    case 'ENFILE':
      return 'raise the limit of open files'
    default:
      return 'check the disk'
  }
}
