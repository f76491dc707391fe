/**
 * One open file, cut into blocks of whole lines. The next read is under way while a block is being processed; at most two reads' bytes
 * are held, and a line of at most `MAX_LINE_BYTES`.
 *
 * The end is where a read first gave nothing: what is appended later belongs to no run that saw the end. There it is looked at once more:
 * a file that was cut short or rewritten while it was being read is an error too (F20).
 */
import { open, type FileHandle } from 'node:fs/promises'
import { messageOf, TerminalError } from '../../engine/api/index.ts'
import type { FileDecoder, FileFormat } from './file-format.ts'
import { checkUnchanged, headOf, readExactly, tailOf, type FilePosition } from './position.ts'

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
}

export const MAX_LINE_BYTES = 64 * 1024 * 1024
const NEWLINE = 10

export class LineFile<T> implements AsyncDisposable {
  readonly path: string
  /** Of the format it was opened with; undefined: each line is a record. */
  readonly decoder: FileDecoder<T> | undefined
  readonly #handle: FileHandle
  readonly #readBytes: number
  #head: string
  /** Of the next byte to read. */
  #readAt: number
  /** Read and not yet handed out, in order. */
  #held: Buffer[] = []
  #heldBytes = 0
  /** A newline is among the held bytes. */
  #hasLine = false
  #isAtEnd = false
  /** What was read last, for a look at the end. */
  #last: Buffer | undefined

  private constructor(handle: FileHandle, decoder: FileDecoder<T> | undefined, options: OpenOptions<T>) {
    this.path = options.path
    this.decoder = decoder
    this.#handle = handle
    this.#readBytes = options.readBytes
    this.#head = options.position.head
    this.#readAt = options.position.byte
  }

  /** @throws TerminalError if the file is gone or is not what was read up to `position` */
  static async open<T>(options: OpenOptions<T>): Promise<LineFile<T>> {
    const { path, position, format } = options
    let handle: FileHandle
    try {
      handle = await open(path, 'r')
    } catch (error) {
      const soFar = position.byte === 0 ? '' : `, of which ${position.byte} bytes were read before`
      throw new TerminalError(`cannot read ${path}${soFar}: ${messageOf(error)}. Bring it back, or make it readable`, {
        cause: error,
      })
    }
    try {
      await checkUnchanged(handle, path, position)
      const decoder = await format?.openFile({ path, read: (from, length) => readExactly(handle, from, length) })
      const file = new LineFile(handle, decoder, options)
      await file.read()
      return file
    } catch (error) {
      await handle.close()
      throw error
    }
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

  /** One at a time; between its start and its end blocks may be taken. */
  async read(): Promise<void> {
    const buffer = Buffer.allocUnsafeSlow(this.#readBytes)
    const { bytesRead } = await this.#handle.read(buffer, 0, buffer.length, this.#readAt)
    if (bytesRead === 0) {
      if (this.#last !== undefined) {
        const end = { byte: this.#readAt, head: this.#head, tail: tailOf(this.#last) }
        await checkUnchanged(this.#handle, this.path, end)
      }
      this.#isAtEnd = true
      return
    }
    const bytes = buffer.subarray(0, bytesRead)
    this.#last = bytes
    if (this.#readAt === 0) this.#head = headOf(bytes)
    this.#readAt += bytesRead
    this.#held.push(bytes)
    this.#heldBytes += bytesRead
    this.#hasLine ||= this.decoder === undefined ? bytes.includes(NEWLINE) : this.#hasRecord(this.#joined())
    if (!this.#hasLine && this.#heldBytes > MAX_LINE_BYTES) {
      const start = this.#readAt - this.#heldBytes
      throw new TerminalError(
        `${this.path}, byte ${start}: a line of more than ${MAX_LINE_BYTES} bytes. Is this a file of lines? Split the line`,
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
    await this.#handle.close()
  }

  #joined(): Buffer {
    const all = this.#held.length === 1 ? this.#held[0] : undefined
    return all ?? Buffer.concat(this.#held, this.#heldBytes)
  }

  /** `held`: all that is held. */
  #hasRecord(held: Buffer): boolean {
    return this.decoder === undefined ? held.includes(NEWLINE) : held.length > 0 && this.#cut(held, 1) > 0
  }

  #cut(held: Buffer, aimBytes: number): number {
    if (this.decoder === undefined) return wholeLines(held, aimBytes)
    return this.decoder.cut(held, { offset: this.#readAt - held.length, aimBytes, isAtEnd: this.#isAtEnd })
  }
}

/** How many bytes: up to the last line end within `aimBytes`, or else the first one behind. */
function wholeLines(held: Buffer, aimBytes: number): number {
  const within = held.lastIndexOf(NEWLINE, Math.max(0, Math.min(aimBytes, held.length) - 1))
  return (within >= 0 ? within : held.indexOf(NEWLINE)) + 1
}
