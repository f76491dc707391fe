/**
 * One open file, cut into blocks of whole lines. The next read is under way while a block is being processed; at most two reads' bytes
 * are held, and a line of at most `MAX_LINE_BYTES`.
 *
 * The end is where a read first gave nothing: what is appended later belongs to no run that saw the end. There it is looked at once more:
 * a file that was cut short or rewritten while it was being read is an error too (F20). A growing file has no end: its last line waits
 * until it is whole, and before what was appended is given out, what was read before is compared.
 */
import type { FileHandle } from 'node:fs/promises'
import { TerminalError } from '../../engine/api/index.ts'
import { openBytes, refuseCompressed, type CompressionChoice, type OrderedBytes } from './file-bytes.ts'
import type { FileDecoder, FileFormat } from './file-format.ts'
import { Growth } from './growth.ts'
import { headOf, missingInHead, tailOf, type FilePosition } from './position.ts'

export interface LineBlock {
  readonly bytes: Buffer
  /** Of its first byte. */
  readonly offset: number
  /** Behind its last byte. */
  readonly after: FilePosition
}

export interface OpenOptions<T> {
  readonly path: string
  readonly position: FilePosition
  readonly readBytes: number
  /** Undefined: each line is a record. */
  readonly format?: FileFormat<T> | undefined
  readonly compression: CompressionChoice
  /** It is followed: lines are appended to it, for ever. */
  readonly isGrowing: boolean
}

export const MAX_LINE_BYTES = 64 * 1024 * 1024
const NEWLINE = 10

export class LineFile<T> implements AsyncDisposable {
  readonly path: string
  readonly #format: FileFormat<T> | undefined
  #decoder: FileDecoder<T> | undefined
  readonly #bytes: OrderedBytes
  readonly #growth: Growth | undefined
  readonly #readBytes: number
  #head: string
  /** Of the next byte to read. */
  #readAt: number
  /** Of what was read last. */
  #tail: string
  /** Read and not yet handed out, in order. */
  #held: Buffer[] = []
  #heldBytes = 0
  /** A newline is among the held bytes. */
  #hasLine = false
  #isAtEnd = false
  #isCaughtUp = false

  private constructor(opened: { readonly bytes: OrderedBytes; readonly handle: FileHandle }, options: OpenOptions<T>) {
    this.path = options.path
    this.#format = options.format
    this.#bytes = opened.bytes
    this.#growth = options.isGrowing ? new Growth(opened.handle, options.path) : undefined
    this.#readBytes = options.readBytes
    this.#head = options.position.head
    this.#readAt = options.position.byte
    this.#tail = options.position.tail
  }

  /** @throws TerminalError if the file is gone or is not what was read up to `position` */
  static async open<T>(options: OpenOptions<T>): Promise<LineFile<T>> {
    const { path, position, compression } = options
    if (options.isGrowing) refuseCompressed(path, compression)
    const opened = await openBytes(path, compression, position)
    try {
      await opened.bytes.resume(position)
      const file = new LineFile(opened, options)
      await file.read()
      return file
    } catch (error) {
      await opened.bytes[Symbol.asyncDispose]()
      throw error
    }
  }

  /** Of the format it was opened with; undefined: each line is a record, or nothing is known of a growing file yet. */
  get decoder(): FileDecoder<T> | undefined {
    return this.#decoder
  }

  /** There is something to take, without a read. */
  get hasBlock(): boolean {
    return this.#hasLine || (this.#isAtEnd && this.#heldBytes > 0)
  }

  /** Everything was read and taken. */
  get isDrained(): boolean {
    return this.#isAtEnd && this.#heldBytes === 0
  }

  /** Another read is needed, or will be soon. */
  get isLow(): boolean {
    return !this.#isAtEnd && (!this.#hasLine || this.#heldBytes < this.#readBytes)
  }

  /** A growing file: the last read found nothing new. */
  get isCaughtUp(): boolean {
    return this.#isCaughtUp
  }

  /** One at a time; between its start and its end blocks may be taken. */
  async read(): Promise<void> {
    if (!(await this.#knowsFormat())) return this.#foundNothing()
    const before = this.#place()
    const wanted = Math.min(this.#readBytes, (await this.#growth?.sizeBehind(this.#readAt)) ?? Infinity)
    const bytes = await this.#bytes.read(wanted)
    if (bytes.length === 0) return this.#foundNothing()
    const head = this.#readAt === 0 ? headOf(bytes) : this.#head
    if (this.#growth !== undefined) await this.#bytes.check(before, { endsInLine: true })
    // What was there of a growing file when it was first read may be little.
    const more = this.#growth === undefined ? 0 : missingInHead(head, before.byte + bytes.length)
    this.#head = more === 0 ? head : headOf(await this.#bytes.peek(0, more))
    this.#isCaughtUp = false
    this.#tail = tailOf(bytes)
    this.#readAt += bytes.length
    this.#held.push(bytes)
    this.#heldBytes += bytes.length
    this.#hasLine ||= this.#decoder === undefined ? bytes.includes(NEWLINE) : this.#hasRecord(this.#joined())
    if (!this.#hasLine && this.#heldBytes > MAX_LINE_BYTES) {
      const start = this.#readAt - this.#heldBytes
      throw new TerminalError(
        `${this.path}, byte ${start}: a line of more than ${MAX_LINE_BYTES} bytes. Is this a file of lines? Split the line`,
        { code: 'SLUICE_LINE_TOO_LONG' },
      )
    }
  }

  /** Whole lines of about `aimBytes`, at least one; at the end the last line without its end. */
  take(aimBytes: number): LineBlock {
    const held = this.#joined()
    const offset = this.#readAt - this.#heldBytes
    const length = this.#hasLine ? this.#cut(held, aimBytes) : held.length
    const rest = held.subarray(length)
    this.#held = rest.length === 0 ? [] : [rest]
    this.#heldBytes = rest.length
    this.#hasLine = this.#hasRecord(rest)
    const bytes = held.subarray(0, length)
    return { bytes, offset, after: { byte: offset + length, head: this.#head, tail: tailOf(bytes) } }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#bytes[Symbol.asyncDispose]()
  }

  async #knowsFormat(): Promise<boolean> {
    if (this.#format === undefined || this.#decoder !== undefined) return true
    this.#decoder = await this.#format.openFile({
      path: this.path,
      isGrowing: this.#growth !== undefined,
      read: (from, length) => this.#bytes.peek(from, length),
    })
    return this.#decoder !== undefined
  }

  async #foundNothing(): Promise<void> {
    const place = this.#place()
    if (this.#growth === undefined) {
      if (this.#readAt > 0) await this.#bytes.check(place, { endsInLine: false })
      this.#isAtEnd = true
      return
    }
    this.#isCaughtUp = await this.#growth.isStillGrowing(place, () => this.#bytes.check(place, { endsInLine: true }))
  }

  /** Behind what was read. */
  #place(): FilePosition {
    return { byte: this.#readAt, head: this.#head, tail: this.#tail }
  }

  #joined(): Buffer {
    const all = this.#held.length === 1 ? this.#held[0] : undefined
    return all ?? Buffer.concat(this.#held, this.#heldBytes)
  }

  /** `held`: all that is held. */
  #hasRecord(held: Buffer): boolean {
    return this.#decoder === undefined ? held.includes(NEWLINE) : held.length > 0 && this.#cut(held, 1) > 0
  }

  #cut(held: Buffer, aimBytes: number): number {
    if (this.#decoder === undefined) return wholeLines(held, aimBytes)
    return this.#decoder.cut(held, { offset: this.#readAt - held.length, aimBytes, isAtEnd: this.#isAtEnd })
  }
}

/** How many bytes: up to the last line end within `aimBytes`, or else the first one behind. */
function wholeLines(held: Buffer, aimBytes: number): number {
  const within = held.lastIndexOf(NEWLINE, Math.max(0, Math.min(aimBytes, held.length) - 1))
  return (within >= 0 ? within : held.indexOf(NEWLINE)) + 1
}
