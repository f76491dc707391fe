/**
 * One hidden part while it is being written: opened exclusively, filled in order, sealed once. Owns its descriptor.
 *
 * After a failure nothing more is written to it and it is never sealed: an fsync that failed once may say "done" the next time although
 * the bytes are gone.
 */
import { join } from 'node:path'
import type { FileOperations } from '../../clients/file/operations.ts'
import { messageOf } from '../../engine/api/index.ts'
import { hiddenPart, keptLink } from './committable.ts'

const FILE_MODE = 0o666

export class Part {
  readonly name: string
  readonly #directory: string
  readonly #fs: FileOperations
  readonly #opened: Promise<number>
  /** Resolves when all that was appended so far is with the file system; rejects for good with the first failure. */
  #written: Promise<void>
  #sealed: Promise<void> | undefined
  #sizeBytes = 0

  constructor(directory: string, name: string, fs: FileOperations) {
    this.name = name
    this.#directory = directory
    this.#fs = fs
    this.#opened = fs.createFile(join(directory, hiddenPart(name)), FILE_MODE)
    this.#written = this.#opened.then(() => undefined)
    this.#written.catch(() => undefined)
  }

  get sizeBytes(): number {
    return this.#sizeBytes
  }

  /** Resolves when the bytes are with the file system. */
  append(bytes: Uint8Array): Promise<void> {
    this.#sizeBytes += bytes.byteLength
    this.#written = Promise.all([this.#opened, this.#written]).then(([fd]) => this.#write(fd, bytes))
    return this.#written
  }

  /** Its content is durable and both hidden names exist when this resolves; the names are durable with the directory's next fsync. */
  seal(): Promise<void> {
    this.#sealed ??= this.#seal()
    return this.#sealed
  }

  /** Leaves what was written alone (S2). */
  async abandon(): Promise<void> {
    if (this.#sealed !== undefined) return this.#sealed.catch(() => undefined)
    await this.#written.catch(() => undefined)
    await this.#opened.then((fd) => this.#fs.close(fd)).catch(() => undefined)
  }

  async #seal(): Promise<void> {
    const fd = await this.#opened
    try {
      await this.#written
      await this.#fs.fsync(fd).catch((error: unknown) => this.#cannot('fsync', error))
    } finally {
      await this.#fs.close(fd)
    }
    await this.#fs.link(join(this.#directory, hiddenPart(this.name)), join(this.#directory, keptLink(this.name)))
  }

  async #write(fd: number, bytes: Uint8Array): Promise<void> {
    try {
      for (let at = 0; at < bytes.byteLength;) at += await this.#fs.write(fd, bytes, at)
    } catch (error) {
      this.#cannot('write', error)
    }
  }

  /** An error on a descriptor does not say which file: a full disk is found by its path. */
  #cannot(what: string, error: unknown): never {
    const path = join(this.#directory, hiddenPart(this.name))
    throw new Error(`cannot ${what} ${path}: ${messageOf(error)}`, { cause: error })
  }
}
