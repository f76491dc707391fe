/**
 * Writes one epoch after another into hidden parts.
 *
 * Lines gather in one string and go to the part in chunks, off the caller's back; `write` returns a promise only when more than
 * `maxPendingBytes` are under way (C8). A part is sealed in the background when it is full, and at each prepare: the synchronous part of
 * `prepareCommit` hands over all parts of the epoch, so the next record opens a new one.
 */
import { makeDirectory, syncDirectory } from '../../clients/file/directory.ts'
import type { FileOperations } from '../../clients/file/operations.ts'
import type { LineEncoder, SinkBatch, SinkWriter, WriterContext } from '../../engine/api/index.ts'
import { visibleName, type FilePart } from './committable.ts'
import { Part } from './part.ts'

export interface FileWriterOptions<T> {
  /** Absolute. */
  readonly directory: string
  readonly encode: LineEncoder<T>
  readonly maxPartBytes: number
  readonly extension: string
  readonly fs: FileOperations
  readonly context: Pick<WriterContext, 'nextName' | 'memoryBudgetBytes' | 'fail'>
}

const DIRECTORY_MODE = 0o777
/** Text gathered before it goes to the file, in UTF-16 units. */
const CHUNK_LENGTH = 128 * 1024
/** Bytes on their way to the disk before `write` pushes back; less when the engine grants less memory. */
const MAX_PENDING_BYTES = 8 * 1024 * 1024
/** Sealed parts waiting for their epoch to end keep a name each; unsealed ones a descriptor: at most so many. */
const MAX_SEALING = 8

export class FileWriter<T> implements SinkWriter<T, FilePart> {
  readonly overlapsPrepare = true
  readonly #options: FileWriterOptions<T>
  readonly #maxPendingBytes: number
  readonly #chunkLength: number
  #text = ''
  /** The parts of this epoch; only the last one may still be open. */
  #parts: Part[] = []
  #open: Part | undefined
  #pendingBytes = 0
  #sealing = 0
  #lastWritten: Promise<void> = Promise.resolve()
  readonly #preparing = new Set<Promise<readonly FilePart[]>>()
  #failure: { readonly error: unknown } | undefined

  private constructor(options: FileWriterOptions<T>) {
    this.#options = options
    this.#chunkLength = Math.min(CHUNK_LENGTH, options.maxPartBytes)
    this.#maxPendingBytes = Math.min(MAX_PENDING_BYTES, Math.max(CHUNK_LENGTH, options.context.memoryBudgetBytes / 2))
  }

  static async create<T>(options: FileWriterOptions<T>): Promise<FileWriter<T>> {
    await makeDirectory(options.directory, { fs: options.fs, mode: DIRECTORY_MODE })
    return new FileWriter(options)
  }

  write(batch: SinkBatch<T>): void | Promise<void> {
    if (this.#failure !== undefined) throw this.#failure.error
    const { encode } = this.#options
    const chunkLength = this.#chunkLength
    let text = this.#text
    for (const value of batch.values) {
      text += encode.encode(value) + '\n'
      if (text.length < chunkLength) continue
      this.#append(text)
      text = ''
    }
    this.#text = text
    if (this.#pendingBytes > this.#maxPendingBytes || this.#sealing > MAX_SEALING) return this.#drained()
    return undefined
  }

  prepareCommit(): Promise<readonly FilePart[]> {
    // The cut (C4): what has gathered belongs to this epoch's parts; the next write opens a new one.
    if (this.#text.length > 0) this.#append(this.#text)
    this.#text = ''
    const parts = this.#parts
    this.#parts = []
    this.#open = undefined
    const prepared = this.#makeDurable(parts)
    this.#preparing.add(prepared)
    return prepared.finally(() => this.#preparing.delete(prepared))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const parts = this.#parts
    this.#parts = []
    this.#open = undefined
    this.#text = ''
    await Promise.all(parts.map((part) => part.abandon()))
    // A prepare that went on behind our back could meet the sweep of the next attempt.
    await Promise.allSettled(this.#preparing)
  }

  #append(text: string): void {
    const bytes = Buffer.from(text, 'utf8')
    const part = this.#open ?? this.#openPart()
    this.#pendingBytes += bytes.byteLength
    const done = part.append(bytes).finally(() => {
      this.#pendingBytes -= bytes.byteLength
    })
    done.catch((error: unknown) => this.#fail(error))
    this.#lastWritten = done
    if (part.sizeBytes >= this.#options.maxPartBytes) this.#sealInBackground(part)
  }

  #openPart(): Part {
    const { directory, context, fs } = this.#options
    const part = new Part(directory, context.nextName(), fs)
    this.#parts.push(part)
    this.#open = part
    return part
  }

  /** Long before the barrier, so that prepare has little left to wait for. */
  #sealInBackground(part: Part): void {
    this.#open = undefined
    this.#sealing += 1
    const sealed = part.seal().finally(() => {
      this.#sealing -= 1
    })
    sealed.catch((error: unknown) => this.#fail(error))
    if (this.#sealing > MAX_SEALING) this.#lastWritten = sealed
  }

  async #drained(): Promise<void> {
    await this.#lastWritten
    if (this.#failure !== undefined) throw this.#failure.error
  }

  async #makeDurable(parts: readonly Part[]): Promise<readonly FilePart[]> {
    if (this.#failure !== undefined) throw this.#failure.error
    const { directory, extension, fs } = this.#options
    if (parts.length === 0) return []
    // All settled, not the first failure only: no descriptor stays behind.
    const sealed = await Promise.allSettled(parts.map((part) => part.seal()))
    for (const one of sealed) if (one.status === 'rejected') throw one.reason
    await syncDirectory(directory, fs)
    return parts.map(({ name, sizeBytes }) => ({ directory, name, visible: visibleName(name, extension), sizeBytes }))
  }

  /** Bytes that the caller believes written are not: the attempt is over. */
  #fail(error: unknown): void {
    if (this.#failure !== undefined) return
    this.#failure = { error }
    this.#options.context.fail(error)
  }
}
