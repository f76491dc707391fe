/**
 * The bytes of one open file, in order: as they are, or decompressed. Positions count what is read, so those of a compressed file are
 * bytes of its content; to go on from one, the file is decompressed from its beginning, in bounded memory, and what was read before is
 * compared on the way.
 */
import { open, type FileHandle } from 'node:fs/promises'
import { compressionByName, type Compression } from '../../clients/file/compression.ts'
import { Decompressor } from '../../clients/file/decompressor.ts'
import { messageOf, TerminalError, unreachable } from '../../engine/api/index.ts'
import {
  checkUnchanged,
  headOf,
  readExactly,
  Resumption,
  tailOf,
  type CheckOptions,
  type FilePosition,
} from './position.ts'

/** How a file is compressed; `auto`: its name says it. */
export type CompressionChoice = 'auto' | Compression | 'none'

export interface OrderedBytes extends AsyncDisposable {
  /** Once, before the first `read`: goes behind what was read before. @throws TerminalError if that is not there any more as it was */
  resume(position: FilePosition): Promise<void>
  /** The next ones, `length` at most; none where the file ends. */
  read(length: number): Promise<Buffer>
  /** From anywhere, without moving: less than `length` only where the file ends. */
  peek(from: number, length: number): Promise<Buffer>
  /** Is what was read up to `position` still there as it was? @throws TerminalError if not */
  check(position: FilePosition, options: CheckOptions): Promise<void>
}

/** @throws TerminalError if it cannot be opened */
export async function openBytes(
  path: string,
  choice: CompressionChoice,
  position: FilePosition,
): Promise<{ readonly bytes: OrderedBytes; readonly handle: FileHandle }> {
  let handle: FileHandle
  try {
    handle = await open(path, 'r')
  } catch (error) {
    const soFar = position.byte === 0 ? '' : `, of which ${position.byte} bytes were read before`
    throw new TerminalError(`cannot read ${path}${soFar}: ${messageOf(error)}. Bring it back, or make it readable`, {
      code: 'SLUICE_INPUT_NOT_READABLE',
      cause: error,
    })
  }
  const compression = compressionOf(path, choice)
  return {
    handle,
    bytes: compression === undefined ? new PlainBytes(handle, path) : new CompressedBytes(handle, path, compression),
  }
}

/** Undefined: none. */
function compressionOf(path: string, choice: CompressionChoice): Compression | undefined {
  switch (choice) {
    case 'auto':
      return compressionByName(path)
    case 'none':
      return undefined
    case 'gzip':
    case 'zstd':
      return choice
    default:
      return unreachable(choice)
  }
}

/** Of a followed file: what is appended to a compressed one is not whole until its writer says so, which it cannot. */
export function refuseCompressed(path: string, choice: CompressionChoice): void {
  if (compressionOf(path, choice) === undefined) return
  throw new TerminalError(
    `${path} is compressed, and cannot be followed: leave it out of the path, or read it without \`follow\``,
    { code: 'SLUICE_CONNECTOR_OPTION_INVALID' },
  )
}

class PlainBytes implements OrderedBytes {
  readonly #handle: FileHandle
  readonly #path: string
  #at = 0

  constructor(handle: FileHandle, path: string) {
    this.#handle = handle
    this.#path = path
  }

  async resume(position: FilePosition): Promise<void> {
    await checkUnchanged(this.#handle, this.#path, position, { endsInLine: false })
    this.#at = position.byte
  }

  async read(length: number): Promise<Buffer> {
    if (length === 0) return Buffer.alloc(0)
    const buffer = Buffer.allocUnsafeSlow(length)
    const { bytesRead } = await this.#handle.read(buffer, 0, length, this.#at)
    this.#at += bytesRead
    return buffer.subarray(0, bytesRead)
  }

  peek(from: number, length: number): Promise<Buffer> {
    return readExactly(this.#handle, from, length)
  }

  check(position: FilePosition, options: CheckOptions): Promise<void> {
    return checkUnchanged(this.#handle, this.#path, position, options)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#handle.close()
  }
}

class CompressedBytes implements OrderedBytes {
  readonly #handle: FileHandle
  readonly #path: string
  readonly #compression: Compression
  /** Of the compressed file, for a look at its end. */
  #file: FilePosition = { byte: 0, head: '', tail: '' }
  readonly #content: Content
  #peeked: Content | undefined
  #resumption: Resumption | undefined

  constructor(handle: FileHandle, path: string, compression: Compression) {
    this.#handle = handle
    this.#path = path
    this.#compression = compression
    this.#content = new Content(this.#decompressor((from, bytes) => this.#note(from, bytes)))
  }

  async resume(position: FilePosition): Promise<void> {
    if (position.byte === 0) return
    const resumption = new Resumption(this.#path, position)
    while (!resumption.isDone) {
      const piece = await this.#content.read(resumption.wantedBytes)
      if (piece.length === 0) break
      resumption.take(piece)
    }
    resumption.check(await this.peek(0, resumption.headBytes))
    this.#resumption = resumption
  }

  async read(length: number): Promise<Buffer> {
    const bytes = await this.#content.read(length)
    if (bytes.length > 0) this.#resumption?.checkGoesOn()
    this.#resumption = undefined
    return bytes
  }

  async peek(from: number, length: number): Promise<Buffer> {
    if (this.#peeked === undefined || from < this.#peeked.at) {
      await this.#peeked?.[Symbol.asyncDispose]()
      this.#peeked = new Content(this.#decompressor(() => undefined))
    }
    return this.#peeked.readExactly(from, length)
  }

  /** That of the compressed file is looked at, up to where it was read: its content cannot have changed without it. */
  check(_position: FilePosition): Promise<void> {
    return checkUnchanged(this.#handle, this.#path, this.#file, { endsInLine: true })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#content[Symbol.asyncDispose]()
    await this.#peeked?.[Symbol.asyncDispose]()
    await this.#handle.close()
  }

  #note(from: number, bytes: Buffer): void {
    if (bytes.length === 0 || from + bytes.length <= this.#file.byte) return
    const head = from === 0 ? headOf(bytes) : this.#file.head
    this.#file = { byte: from + bytes.length, head, tail: tailOf(bytes) }
  }

  #decompressor(note: (from: number, bytes: Buffer) => void): Decompressor {
    return new Decompressor({
      path: this.#path,
      compression: this.#compression,
      read: async (from, length) => {
        const bytes = await readExactly(this.#handle, from, length)
        note(from, bytes)
        return bytes
      },
    })
  }
}

/** What a decompressor gives, in pieces of the size that is asked for. */
class Content implements AsyncDisposable {
  readonly #decompressor: Decompressor
  #held: Buffer = Buffer.alloc(0)
  at = 0

  constructor(decompressor: Decompressor) {
    this.#decompressor = decompressor
  }

  async read(length: number): Promise<Buffer> {
    if (this.#held.length === 0) this.#held = (await this.#decompressor.next()) ?? Buffer.alloc(0)
    const bytes = this.#held.subarray(0, length)
    this.#held = this.#held.subarray(bytes.length)
    this.at += bytes.length
    return bytes
  }

  /** Not before `at`. */
  async readExactly(from: number, length: number): Promise<Buffer> {
    const pieces: Buffer[] = []
    for (const end = from + length; this.at < end;) {
      const isBefore = this.at < from
      const piece = await this.read((isBefore ? from : end) - this.at)
      if (piece.length === 0) break
      if (!isBefore) pieces.push(piece)
    }
    return Buffer.concat(pieces)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#decompressor[Symbol.asyncDispose]()
  }
}
