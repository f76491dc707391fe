/**
 * Reads files block by block, the next block in flight while the current one is processed.
 */
import { createHash } from 'node:crypto'
import { open, type FileHandle } from 'node:fs/promises'
import { resolve } from 'node:path'
import {
  TerminalError,
  messageOf,
  type BadLine,
  type LineDecoder,
  type Polled,
  type SourceReader,
} from '../../engine/api/index.ts'
import type { FilePosition, FileSplit } from './source.ts'

export interface FileReaderOptions<T> {
  readonly baseDirectory: string
  readonly decode: LineDecoder<T>
  readonly onBadLine: 'fail' | 'skip'
  readonly timestamp: ((record: T) => number) | undefined
  readonly blockBytes: number
}

interface OpenFile {
  readonly split: FileSplit
  readonly handle: FileHandle
  head: string
  /** Of the next byte to read. */
  readAt: number
  /** Bytes read behind the last whole line. */
  rest: Buffer
}

const HEAD_BYTES = 4_096
const NEWLINE = 10

export class FileReader<T> implements SourceReader<T, FileSplit, FilePosition> {
  readonly #options: FileReaderOptions<T>
  #queue: { readonly split: FileSplit; readonly position: FilePosition }[] = []
  #file: OpenFile | undefined
  #ahead: Promise<Polled<T, FileSplit, FilePosition>> | undefined

  constructor(options: FileReaderOptions<T>) {
    this.#options = options
  }

  assign(splits: readonly { readonly split: FileSplit; readonly position: FilePosition }[]): Promise<void> {
    this.#queue = [...splits]
    return Promise.resolve()
  }

  async poll(): Promise<Polled<T, FileSplit, FilePosition>> {
    const current = await (this.#ahead ?? this.#next())
    this.#ahead = undefined
    if (current.kind === 'records') {
      this.#ahead = this.#next()
      this.#ahead.catch(() => undefined) // Thrown by the next poll.
    }
    return current
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#ahead?.catch(() => undefined)
    await this.#file?.handle.close()
    this.#file = undefined
  }

  async #next(): Promise<Polled<T, FileSplit, FilePosition>> {
    const file = this.#file ?? (await this.#open())
    if (file === undefined) return { kind: 'ended' }
    this.#file = file
    const block = await this.#readLines(file)
    if (block !== undefined) return this.#decode(file, block)
    await file.handle.close()
    this.#file = undefined
    return { kind: 'split-ended', split: file.split }
  }

  async #open(): Promise<OpenFile | undefined> {
    const next = this.#queue.shift()
    if (next === undefined) return undefined
    const { split, position } = next
    const path = resolve(this.#options.baseDirectory, split.id)
    let handle: FileHandle
    try {
      handle = await open(path, 'r')
    } catch (error) {
      throw new TerminalError(
        `cannot read ${path}, which the checkpoint holds at byte ${position.byte}: ${messageOf(error)}`,
        { cause: error },
      )
    }
    try {
      await checkUnchanged(handle, path, position)
    } catch (error) {
      await handle.close()
      throw error
    }
    return { split, handle, head: position.head, readAt: position.byte, rest: Buffer.alloc(0) }
  }

  /** Whole lines, or the last one without its end; undefined at the end of the file. */
  async #readLines(file: OpenFile): Promise<{ readonly bytes: Buffer; readonly offset: number } | undefined> {
    let gathered = file.rest
    const offset = file.readAt - gathered.length
    for (;;) {
      const buffer = Buffer.allocUnsafe(this.#options.blockBytes)
      const { bytesRead } = await file.handle.read(buffer, 0, buffer.length, file.readAt)
      if (file.readAt === 0 && file.head === '') file.head = headOf(buffer.subarray(0, Math.min(bytesRead, HEAD_BYTES)))
      file.readAt += bytesRead
      const bytes =
        gathered.length === 0 ? buffer.subarray(0, bytesRead) : Buffer.concat([gathered, buffer.subarray(0, bytesRead)])
      if (bytesRead === 0) {
        file.rest = Buffer.alloc(0)
        return bytes.length === 0 ? undefined : { bytes, offset }
      }
      const end = bytes.lastIndexOf(NEWLINE) + 1
      if (end > 0) {
        file.rest = Buffer.from(bytes.subarray(end))
        return { bytes: bytes.subarray(0, end), offset }
      }
      gathered = bytes
    }
  }

  #decode(
    file: OpenFile,
    block: { readonly bytes: Buffer; readonly offset: number },
  ): Polled<T, FileSplit, FilePosition> {
    const { values, bad } = this.#options.decode.decodeBlock(block.bytes)
    const [first] = bad
    if (first !== undefined && this.#options.onBadLine === 'fail') throw badLine(file.split, block.offset, first)
    const { timestamp } = this.#options
    const records = {
      values,
      skipped: bad.length,
      ...(timestamp === undefined ? {} : { timestamps: values.map(timestamp) }),
    }
    return {
      kind: 'records',
      split: file.split,
      records,
      after: { byte: block.offset + block.bytes.length, head: file.head },
    }
  }
}

async function checkUnchanged(handle: FileHandle, path: string, position: FilePosition): Promise<void> {
  const { size } = await handle.stat()
  if (size < position.byte) {
    throw new TerminalError(
      `${path} has ${size} bytes, but ${position.byte} were read from it before: it shrank or was replaced. Bring the old file back`,
    )
  }
  if (position.head === '' || position.byte === 0) return
  const length = Number.parseInt(position.head.slice(0, 4), 16)
  const buffer = Buffer.alloc(length)
  const { bytesRead } = await handle.read(buffer, 0, length, 0)
  if (headOf(buffer.subarray(0, bytesRead)) === position.head) return
  throw new TerminalError(
    `${path} begins otherwise than when it was read up to byte ${position.byte}: it was rewritten. Bring the old file back`,
  )
}

/** Length (4 hex digits) and sha256 (16) of the file's first bytes. */
function headOf(bytes: Buffer): string {
  return bytes.length.toString(16).padStart(4, '0') + createHash('sha256').update(bytes).digest('hex').slice(0, 16)
}

function badLine(split: FileSplit, blockOffset: number, bad: BadLine): TerminalError {
  return new TerminalError(
    `${split.id}, byte ${blockOffset + bad.offset}: ${bad.reason}: ${JSON.stringify(bad.excerpt)}. ` +
      "Mend the line, or pass over bad lines with onBadLine: 'skip'",
  )
}
