/**
 * One hidden part while it is being written: opened exclusively, filled in order, sealed once. Owns its descriptor.
 *
 * Compressed, each append is a chunk that is complete in itself: what `sync` or `seal` made durable is a valid file.
 *
 * After a failure nothing more is written to it and it is never sealed: an fsync that failed once may say "done" the next time although
 * the bytes are gone.
 */
import { join } from 'node:path'
import { compress, type Compression } from '../../clients/file/compression.ts'
import type { FileOperations } from '../../clients/file/operations.ts'
import { messageOf, TaskFailure } from '../../engine/api/index.ts'
import { hiddenPart, keptLink, type FilePart } from './committable.ts'

export interface PartOptions {
  readonly directory: string
  readonly name: string
  readonly visible: string
  /** Undefined: none. */
  readonly compression: Compression | undefined
  /** The part of another generation that it is the copy of. */
  readonly replaces?: FilePart['replaces']
  readonly fs: FileOperations
}

const FILE_MODE = 0o666
/** Of one part; the thread pool also has files to write and to fsync. */
const CHUNKS_AT_ONCE = 2

export class Part {
  readonly #options: PartOptions
  readonly #opened: Promise<number>
  /** Resolves when all that was appended so far is with the file system; rejects for good with the first failure. */
  #written: Promise<void>
  /** The last chunks that are being compressed, oldest first. */
  #compressing: readonly Promise<unknown>[] = []
  #sealed: Promise<void> | undefined
  #contentBytes = 0
  #underWayBytes = 0
  #fileBytes = 0
  #isSynced = false

  constructor(options: PartOptions) {
    this.#options = options
    this.#opened = options.fs.createFile(this.#path, FILE_MODE)
    this.#written = this.#opened.then(() => undefined)
    this.#written.catch(() => undefined)
  }

  /** Of the file; what is still on its way counts as it is. */
  get sizeBytes(): number {
    return this.#fileBytes + this.#underWayBytes
  }

  /** What was appended. */
  get contentBytes(): number {
    return this.#contentBytes
  }

  get name(): string {
    return this.#options.name
  }

  /** Once it is sealed. */
  get committable(): FilePart {
    const { directory, name, visible, replaces } = this.#options
    return { directory, name, visible, sizeBytes: this.#fileBytes, ...(replaces === undefined ? {} : { replaces }) }
  }

  /** Resolves when the bytes are with the file system. */
  append(bytes: Uint8Array): Promise<void> {
    this.#contentBytes += bytes.byteLength
    this.#underWayBytes += bytes.byteLength
    this.#isSynced = false
    this.#written = this.#write(bytes.byteLength, this.#packed(bytes), this.#written)
    return this.#written
  }

  /** What was appended so far is durable when this resolves, what comes later is written behind that; the part stays open. */
  sync(): Promise<void> {
    if (this.#isSynced) return this.#written
    this.#isSynced = true
    this.#written = this.#fsync(this.#written)
    this.#written.catch(() => undefined)
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
    await this.#opened.then((fd) => this.#options.fs.close(fd)).catch(() => undefined)
  }

  get #path(): string {
    return join(this.#options.directory, hiddenPart(this.#options.name))
  }

  /** Chunks are compressed beside each other, and written one after another. */
  #packed(bytes: Uint8Array): Promise<Uint8Array> {
    const { compression } = this.#options
    if (compression === undefined) return Promise.resolve(bytes)
    const before = this.#compressing.at(-CHUNKS_AT_ONCE)
    const packed = before === undefined ? compress(bytes, compression) : before.then(() => compress(bytes, compression))
    packed.catch(() => undefined)
    this.#compressing = [...this.#compressing, packed].slice(-CHUNKS_AT_ONCE)
    return packed
  }

  async #seal(): Promise<void> {
    const { directory, name, fs } = this.#options
    const fd = await this.#opened
    try {
      await this.#fsync(this.#written)
    } finally {
      await fs.close(fd)
    }
    await fs.link(this.#path, join(directory, keptLink(name)))
  }

  async #fsync(written: Promise<void>): Promise<void> {
    const fd = await this.#opened
    await written
    await this.#options.fs.fsync(fd).catch((error: unknown) => this.#cannot('fsync', error))
  }

  async #write(contentBytes: number, packed: Promise<Uint8Array>, before: Promise<void>): Promise<void> {
    const [fd, bytes] = await Promise.all([this.#opened, packed, before])
    try {
      for (let at = 0; at < bytes.byteLength;) at += await this.#options.fs.write(fd, bytes, at)
    } catch (error) {
      this.#cannot('write', error)
    }
    this.#fileBytes += bytes.byteLength
    this.#underWayBytes -= contentBytes
  }

  /** An error on a descriptor does not say which file: a full disk is found by its path. */
  #cannot(what: string, error: unknown): never {
    throw new TaskFailure(
      `cannot ${what} ${this.#path}: ${messageOf(error)}${isFull(error) ? '; make room there' : ''}`,
      {
        code: 'SLUICE_OUTPUT_FAILED',
        cause: error,
      },
    )
  }
}

function isFull(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'ENOSPC' || error.code === 'EDQUOT')
}
