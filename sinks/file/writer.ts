/**
 * Writes one epoch after another into hidden parts.
 *
 * Lines gather in one string and go to the part in chunks, off the caller's back; `write` returns a promise only when more than
 * `maxPendingBytes` are under way (C8). A part is sealed in the background when it is full. At each prepare, what is full is handed over;
 * so is the part that is being filled, or it stays open:
 *
 *      epoch 1      │     epoch 2     │       epoch 3
 *   ░░░░ part 1 ░░░░│░░░░░░░░░░░ full │░░░ part 2 ░░░░░░░░░
 *        cut: open, 4 units           │ part 1 → committable; cut: open, nothing yet
 *
 * A part that stays open is fsynced up to the cut, its name too, before `prepareCommit` resolves, and the cut's writer state says how
 * much of it is valid (C4): its records are durable, and invisible until it is full, too old, or the input ends. No other generation
 * continues it: see `restored-part.ts`.
 */
import { COMPRESSED_CHUNK_BYTES, type Compression } from '../../clients/file/compression.ts'
import { makeDirectory, syncDirectory } from '../../clients/file/directory.ts'
import type { FileOperations } from '../../clients/file/operations.ts'
import type { LineEncoder, SinkBatch, SinkWriter, WriterContext } from '../../engine/api/index.ts'
import { visibleName, type FilePart } from './committable.ts'
import type { FileEncoder, FileFormat } from './file-format.ts'
import type { OpenPart } from './open-part.ts'
import { Part } from './part.ts'
import { copyOfOpenPart } from './restored-part.ts'

export interface FileWriterOptions<T> {
  /** Absolute. */
  readonly directory: string
  readonly encode: LineEncoder<T> | FileFormat<T>
  readonly maxPartBytes: number
  /** Undefined: a part ends with its epoch. */
  readonly staysOpen: StaysOpen | undefined
  readonly compression: Compression | undefined
  readonly extension: string
  readonly fs: FileOperations
  readonly context: Pick<
    WriterContext,
    'nextName' | 'memoryBudgetBytes' | 'fail' | 'lineage' | 'operator' | 'signal' | 'logger' | 'clock'
  >
}

export interface StaysOpen {
  /** It ends with the first epoch behind this age; Infinity: only when it is full. */
  readonly maxAgeMs: number
}

const DIRECTORY_MODE = 0o777
/** Text gathered before it goes to the file, in UTF-16 units. */
const CHUNK_LENGTH = 128 * 1024
/** Bytes on their way to the disk before `write` pushes back; less when the engine grants less memory. */
const MAX_PENDING_BYTES = 8 * 1024 * 1024
/** Sealed parts waiting for their epoch to end keep a name each; unsealed ones a descriptor: at most so many. */
const MAX_SEALING = 8

export class FileWriter<T> implements SinkWriter<T, FilePart, OpenPart> {
  readonly overlapsPrepare = true
  readonly #options: FileWriterOptions<T>
  readonly #maxPendingBytes: number
  readonly #chunkLength: number
  #text = ''
  /** Of the file that is being filled, from its first record on. */
  #encoder: FileEncoder<T> | undefined
  /** Full ones of this epoch, in order. */
  #full: Part[] = []
  #open: { readonly part: Part; readonly sinceMs: number } | undefined
  /** What stayed open at the last cut. */
  #cut: OpenPart | undefined
  /** Its name has been made durable while it was open. */
  #named: Part | undefined
  #pendingBytes = 0
  #sealing = 0
  #lastWritten: Promise<void> = Promise.resolve()
  readonly #preparing = new Set<Promise<readonly FilePart[]>>()
  #failure: { readonly error: unknown } | undefined

  private constructor(options: FileWriterOptions<T>, restored: Part[]) {
    this.#options = options
    this.#full = restored
    const chunkLength = options.compression === undefined ? CHUNK_LENGTH : COMPRESSED_CHUNK_BYTES
    this.#chunkLength = Math.min(chunkLength, options.maxPartBytes)
    this.#maxPendingBytes = Math.min(MAX_PENDING_BYTES, Math.max(CHUNK_LENGTH, options.context.memoryBudgetBytes / 2))
  }

  /** `restored`: of whichever subtask, whatever the options were then; completed with the first cut. */
  static async create<T>(options: FileWriterOptions<T>, restored: readonly OpenPart[] = []): Promise<FileWriter<T>> {
    await makeDirectory(options.directory, { fs: options.fs, mode: DIRECTORY_MODE })
    const copies: Part[] = []
    for (const open of restored) {
      const copy = await copyOfOpenPart(open, options)
      if (copy !== undefined) copies.push(copy)
    }
    return new FileWriter(options, copies)
  }

  write(batch: SinkBatch<T>): void | Promise<void> {
    if (this.#failure !== undefined) throw this.#failure.error
    const chunkLength = this.#chunkLength
    let text = this.#text
    let encoder = this.#encoder
    for (const value of batch.values) {
      if (encoder === undefined) {
        encoder = this.#encoderFrom(value)
        if (encoder.header !== undefined) text += encoder.header + '\n'
      }
      text += encoder.encode(value) + '\n'
      if (text.length < chunkLength) continue
      this.#encoder = encoder
      this.#append(text)
      text = ''
      encoder = this.#encoder
    }
    this.#text = text
    this.#encoder = encoder
    if (this.#pendingBytes > this.#maxPendingBytes || this.#sealing > MAX_SEALING) return this.#drained()
    return undefined
  }

  prepareCommit({ endOfInput }: { readonly endOfInput: boolean }): Promise<readonly FilePart[]> {
    // The cut (C4): what has gathered belongs to this epoch's parts; the next write goes behind it, or to a new one.
    if (this.#text.length > 0) this.#append(this.#text)
    this.#text = ''
    if (endOfInput || this.#isDue()) this.#closeOpen()
    const parts = this.#full
    this.#full = []
    const open = this.#open?.part
    this.#cut = open === undefined ? undefined : this.#stateOf(open)
    const prepared = this.#makeDurable(parts, open)
    this.#preparing.add(prepared)
    return prepared.finally(() => this.#preparing.delete(prepared))
  }

  snapshot(): readonly OpenPart[] {
    return this.#cut === undefined ? [] : [this.#cut]
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const open = this.#open?.part
    const parts = open === undefined ? this.#full : [...this.#full, open]
    this.#full = []
    this.#open = undefined
    this.#text = ''
    await Promise.all(parts.map((part) => part.abandon()))
    // A prepare that went on behind our back could meet the sweep of the next attempt.
    await Promise.allSettled(this.#preparing)
  }

  #encoderFrom(first: T): FileEncoder<T> {
    const { encode } = this.#options
    return 'openFile' in encode ? encode.openFile(first) : encode
  }

  #append(text: string): void {
    const bytes = Buffer.from(text, 'utf8')
    const part = this.#open?.part ?? this.#openPart()
    this.#pendingBytes += bytes.byteLength
    const done = part.append(bytes).finally(() => {
      this.#pendingBytes -= bytes.byteLength
    })
    done.catch((error: unknown) => this.#fail(error))
    this.#lastWritten = done
    if (part.sizeBytes >= this.#options.maxPartBytes) this.#sealInBackground(part)
  }

  #openPart(): Part {
    const { directory, context, extension, compression, fs } = this.#options
    const name = context.nextName()
    const part = new Part({ directory, name, visible: visibleName(name, extension), compression, fs })
    this.#open = { part, sinceMs: context.clock.monotonicMs() }
    return part
  }

  /** What is written next goes to another part. */
  #closeOpen(): void {
    if (this.#open !== undefined) this.#full.push(this.#open.part)
    this.#open = undefined
    this.#encoder = undefined
  }

  #isDue(): boolean {
    const { staysOpen, context } = this.#options
    if (staysOpen === undefined || this.#open === undefined) return true
    return context.clock.monotonicMs() - this.#open.sinceMs >= staysOpen.maxAgeMs
  }

  /** Long before the barrier, so that prepare has little left to wait for. */
  #sealInBackground(part: Part): void {
    this.#closeOpen()
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

  /** `open` stays so: only what was appended up to now is waited for. */
  async #makeDurable(parts: readonly Part[], open: Part | undefined): Promise<readonly FilePart[]> {
    if (this.#failure !== undefined) throw this.#failure.error
    const { directory, fs } = this.#options
    if (parts.length === 0 && open === undefined) return []
    // All settled, not the first failure only: no descriptor stays behind.
    const durable = await Promise.allSettled([...parts.map((part) => part.seal()), open?.sync()])
    for (const one of durable) if (one.status === 'rejected') throw one.reason
    if (parts.length > 0 || open !== this.#named) await syncDirectory(directory, fs)
    this.#named = open
    return parts.map((part) => part.committable)
  }

  #stateOf(part: Part): OpenPart {
    const { directory, extension, compression = 'none', context } = this.#options
    const { name, contentBytes } = part
    return { directory, name, lineage: context.lineage, extension, compression, contentBytes }
  }

  /** Bytes that the caller believes written are not: the attempt is over. */
  #fail(error: unknown): void {
    if (this.#failure !== undefined) return
    this.#failure = { error }
    this.#options.context.fail(error)
  }
}
