/**
 * The directories of a disk store that this process has made sure of: they exist and their own names are durable. Bounded: the
 * longest known idle ones are forgotten first, and looked at again when needed.
 *
 * The first use of a directory fsyncs its parent even if it exists: whoever made it may have died before doing so.
 */
import { dirname, join } from 'node:path'
import { isThere, makeDirectory } from '../clients/file/directory.ts'
import { codeOf, type FileOperations } from '../clients/file/operations.ts'
import { DurableDirectory } from './durable-directory.ts'
import { isTemporary, isWriterDead, UNKNOWN_WRITER_AGE_MS } from './temporary-name.ts'

const DIRECTORY_MODE = 0o700
const MAX_KNOWN = 64

export class DiskDirectories {
  readonly #root: string
  readonly #fs: FileOperations
  readonly #known = new Map<string, Promise<DurableDirectory>>()
  readonly #idle = new Map<string, DurableDirectory>()

  constructor(root: string, fs: FileOperations) {
    this.#root = root
    this.#fs = fs
  }

  /** Makes the root and what is missing above it. */
  async makeRoot(): Promise<void> {
    await makeDirectory(this.#root, { fs: this.#fs, mode: DIRECTORY_MODE, sync: (path) => this.#syncOnce(path) })
    await this.get(this.#root)
  }

  /** Exists and is durable when it resolves. `path` is the root or below it. */
  get(path: string): Promise<DurableDirectory> {
    const known = this.#known.get(path)
    if (known !== undefined) return known
    const made = this.#ensure(path)
    this.#known.set(path, made)
    made.then(
      (directory) => this.#remember(path, directory),
      () => this.#known.delete(path),
    )
    return made
  }

  /** It was removed: look again, and at all above it. */
  async forget(path: string): Promise<void> {
    for (let at = path; at.length >= this.#root.length; at = dirname(at)) {
      this.#drop(at)
      if (at === this.#root) break
    }
    if (!(await isThere(this.#root, this.#fs))) await this.makeRoot()
  }

  /** Temporary files of writers that are gone. Safe at any time: a writer that loses one fails to link it and tries again. */
  async removeDebris(path: string): Promise<void> {
    const entries = await this.#fs.readDirectory(path).catch(() => [])
    for (const { name } of entries) {
      if (!isTemporary(name)) continue
      const file = join(path, name)
      const isOld = async (): Promise<boolean> =>
        (await this.#fs.stat(file)).modifiedMs < Date.now() - UNKNOWN_WRITER_AGE_MS
      if (isWriterDead(name) || (await isOld().catch(() => false))) await this.#fs.unlink(file).catch(() => undefined)
    }
  }

  async close(): Promise<void> {
    const all = [...this.#known.values()]
    this.#known.clear()
    this.#idle.clear()
    await Promise.all(all.map((one) => one.then((directory) => directory.close()).catch(() => undefined)))
  }

  async #ensure(path: string): Promise<DurableDirectory> {
    const directory = new DurableDirectory(path, this.#fs)
    if (path === this.#root) {
      await directory.open()
      return directory
    }
    const parent = await this.get(dirname(path))
    const mark = parent.mark()
    const isNew = await this.#make(path)
    try {
      await parent.sync(mark)
    } catch (error) {
      // Its name is in doubt: a fresh one can be made durable, this one never.
      if (isNew) await this.#fs.rmdir(path).catch(() => undefined)
      throw error
    }
    await directory.open()
    if (!isNew) await this.removeDebris(path)
    return directory
  }

  /** True: made by us just now. */
  async #make(path: string): Promise<boolean> {
    try {
      await this.#fs.mkdir(path, DIRECTORY_MODE)
      return true
    } catch (error) {
      if (codeOf(error) === 'EEXIST') return false
      throw error
    }
  }

  async #syncOnce(path: string): Promise<void> {
    const directory = new DurableDirectory(path, this.#fs)
    try {
      await directory.open()
      await directory.sync(directory.mark())
    } finally {
      await directory.close()
    }
  }

  #remember(path: string, directory: DurableDirectory): void {
    this.#idle.set(path, directory)
    if (this.#idle.size <= MAX_KNOWN) return
    for (const [oldest, candidate] of this.#idle) {
      if (oldest === this.#root || oldest === path || !candidate.isIdle) continue
      this.#drop(oldest)
      return
    }
  }

  #drop(path: string): void {
    const directory = this.#idle.get(path)
    this.#known.delete(path)
    this.#idle.delete(path)
    if (directory !== undefined) void directory.close()
  }
}
