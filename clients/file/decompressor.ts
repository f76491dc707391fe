/**
 * The content of a compressed file from its beginning, piece by piece, with at most two blocks and a piece of it in memory.
 *
 * A file is a row of gzip members or zstd frames. The streams of Node end silently behind the first zstd frame when another one follows in
 * the same block, and behind a gzip member that zeros follow; so each end is looked at here: what was not used is read again by a new
 * stream, up to the end of the file. Nothing of a file is left out without an error.
 */
import { messageOf, TerminalError } from '../../engine/api/index.ts'
import { decompressing, type Compression } from './compression.ts'

export interface DecompressorOptions {
  readonly path: string
  readonly compression: Compression
  /** Of the compressed file; less than `length` bytes only where it ends. */
  readonly read: (from: number, length: number) => Promise<Buffer>
  /**
   * What lies before damage is given out to its last byte (default false): gzip as Node has it gives out nothing of a block that is
   * damaged anywhere, so such a block is fed once more, byte by byte.
   */
  readonly givesAllBeforeDamage?: boolean
}

const READ_BYTES = 64 * 1024

export class Decompressor implements AsyncDisposable {
  readonly #options: DecompressorOptions
  /** Where the present stream began in the file. */
  #startedAt = 0
  #stream: Stream | undefined
  #block: { readonly from: number; readonly bytes: Buffer } | undefined
  #given = 0
  /** Given out before the present stream began. */
  #givenBefore = 0
  /** Of the present stream: given out already, by one that found damage. */
  #repeated = 0
  /** From this byte of the file on a stream is fed byte by byte. */
  #slowFrom = Infinity
  #isAtEnd = false

  constructor(options: DecompressorOptions) {
    this.#options = options
  }

  /** How much of the compressed file was used; all of it at the end. */
  get usedBytes(): number {
    return this.#startedAt + (this.#stream?.usedBytes ?? 0)
  }

  /** The next piece; undefined at the end of the file. @throws TerminalError for content that is damaged or cut off */
  async next(): Promise<Buffer | undefined> {
    while (!this.#isAtEnd) {
      this.#stream ??= new Stream(this.#options.compression, (at) => this.#toFeed(this.#startedAt + at))
      const piece = await this.#piece(this.#stream)
      if (piece === 'again') continue
      if (piece === undefined) {
        await this.#streamEnded(this.#stream)
        continue
      }
      const fresh = piece.subarray(this.#repeated)
      this.#repeated -= piece.length - fresh.length
      if (fresh.length === 0) continue
      this.#given += fresh.length
      return fresh
    }
    return undefined
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isAtEnd = true
    this.#stream?.close()
    return Promise.resolve()
  }

  async #piece(stream: Stream): Promise<Buffer | 'again' | undefined> {
    try {
      return await stream.next()
    } catch (error) {
      if (!(error instanceof DamagedError)) throw error
      const damaged = this.#damaged(messageOf(error.cause), error.cause)
      if (this.#options.givesAllBeforeDamage !== true || this.#slowFrom < Infinity) throw damaged
      stream.close()
      this.#stream = undefined
      this.#slowFrom = this.#startedAt + stream.lastFedFrom
      this.#repeated = this.#given - this.#givenBefore
      return 'again'
    }
  }

  async #toFeed(from: number): Promise<Buffer> {
    const block = await this.#blockFrom(from)
    return from < this.#slowFrom ? block.subarray(0, this.#slowFrom - from) : block.subarray(0, 1)
  }

  async #streamEnded(stream: Stream): Promise<void> {
    const { usedBytes } = stream
    stream.close()
    if (usedBytes === 0) throw this.#damaged('no data')
    this.#startedAt += usedBytes
    this.#givenBefore = this.#given
    this.#stream = undefined
    this.#isAtEnd = await this.#isRestEmpty()
  }

  /** gzip files may be padded with zeros. */
  async #isRestEmpty(): Promise<boolean> {
    for (let at = this.#startedAt; ;) {
      const bytes = await this.#blockFrom(at)
      if (bytes.length === 0) {
        this.#startedAt = at
        return true
      }
      if (this.#options.compression !== 'gzip' || bytes.some((byte) => byte !== 0)) return false
      at += bytes.length
    }
  }

  async #blockFrom(from: number): Promise<Buffer> {
    const held = this.#block
    const isHeld = held !== undefined && from >= held.from && from < held.from + held.bytes.length
    if (isHeld) return held.bytes.subarray(from - held.from)
    const bytes = await this.#options.read(from, READ_BYTES)
    this.#block = { from, bytes }
    return bytes
  }

  #damaged(reason: string, cause?: unknown): TerminalError {
    const { path, compression } = this.#options
    return new TerminalError(
      `${path}: damaged or cut off ${compression} data behind byte ${this.usedBytes} of the file ` +
        `(byte ${this.#given} of its content): ${reason}. Bring a whole file back, or set \`compression\` to what it is`,
      { code: 'SLUICE_INPUT_DAMAGED', cause },
    )
  }
}

class DamagedError extends Error {}

/** One stream of Node, asked for one piece at a time. */
class Stream {
  readonly #stream: ReturnType<typeof decompressing>
  readonly #blockFrom: (at: number) => Promise<Buffer>
  #fed = 0
  #isFeeding = false
  #isFed = false
  #hasEnded = false
  #failure: { readonly error: unknown } | undefined
  #woken = Promise.withResolvers<void>()

  constructor(compression: Compression, blockFrom: (at: number) => Promise<Buffer>) {
    this.#blockFrom = blockFrom
    this.#stream = decompressing(compression)
    this.#stream.on('readable', () => this.#woken.resolve())
    this.#stream.on('end', () => {
      this.#hasEnded = true
      this.#woken.resolve()
    })
    this.#stream.on('error', (error) => {
      this.#failure = { error: new DamagedError('damaged', { cause: error }) }
      this.#woken.resolve()
    })
  }

  get usedBytes(): number {
    return this.#stream.bytesWritten
  }

  /** Where the block began that was fed last. */
  lastFedFrom = 0

  async next(): Promise<Buffer | undefined> {
    for (;;) {
      this.#woken = Promise.withResolvers()
      if (this.#failure !== undefined) throw this.#failure.error
      const piece: unknown = this.#stream.read()
      if (Buffer.isBuffer(piece)) return piece
      if (this.#hasEnded) return undefined
      if (!this.#isFeeding && !this.#isFed) await this.#feed()
      else await this.#woken.promise
    }
  }

  close(): void {
    this.#stream.destroy()
  }

  async #feed(): Promise<void> {
    const block = await this.#blockFrom(this.#fed)
    this.lastFedFrom = this.#fed
    this.#fed += block.length
    if (block.length === 0) {
      this.#isFed = true
      this.#stream.end()
      return
    }
    this.#isFeeding = true
    this.#stream.write(block, () => {
      this.#isFeeding = false
      this.#woken.resolve()
    })
  }
}
