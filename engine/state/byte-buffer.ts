/** Growing bytes to write into, and a cursor to read from: little endian, lengths before contents. */
import { CorruptCheckpointError } from '../api/index.ts'

const INITIAL_BYTES = 4_096

export class ByteWriter {
  #bytes = Buffer.allocUnsafe(INITIAL_BYTES)
  #length = 0

  byte(value: number): void {
    this.#reserve(1)
    this.#bytes[this.#length] = value
    this.#length += 1
  }

  uint32(value: number): void {
    this.#reserve(4)
    this.#bytes.writeUInt32LE(value, this.#length)
    this.#length += 4
  }

  /** Length first. */
  bytes(value: Uint8Array): void {
    this.uint32(value.byteLength)
    this.#reserve(value.byteLength)
    this.#bytes.set(value, this.#length)
    this.#length += value.byteLength
  }

  /** Length in bytes first. */
  text(value: string): void {
    this.#reserve(4 + value.length * 3)
    const written = this.#bytes.write(value, this.#length + 4, 'utf8')
    this.#bytes.writeUInt32LE(written, this.#length)
    this.#length += 4 + written
  }

  /** A copy of what was written; begins anew. */
  take(): Uint8Array {
    const taken = Buffer.allocUnsafeSlow(this.#length)
    this.#bytes.copy(taken, 0, 0, this.#length)
    this.#length = 0
    return taken
  }

  #reserve(count: number): void {
    if (this.#length + count <= this.#bytes.byteLength) return
    const grown = Buffer.allocUnsafe(Math.max(this.#bytes.byteLength * 2, this.#length + count))
    this.#bytes.copy(grown, 0, 0, this.#length)
    this.#bytes = grown
  }
}

export class ByteReader {
  readonly #bytes: Buffer
  #at = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#bytes.byteLength
  }

  byte(): number {
    return this.#bytes.readUInt8(this.#advance(1))
  }

  uint32(): number {
    return this.#bytes.readUInt32LE(this.#advance(4))
  }

  /** A view, not a copy. */
  bytes(): Buffer {
    const length = this.uint32()
    const start = this.#advance(length)
    return this.#bytes.subarray(start, start + length)
  }

  text(): string {
    return this.bytes().toString('utf8')
  }

  #advance(count: number): number {
    const start = this.#at
    if (start + count > this.#bytes.byteLength) {
      throw new CorruptCheckpointError(
        `${count} bytes expected at ${start}, there are ${this.#bytes.byteLength - start}`,
        { code: 'SLUICE_CHECKPOINT_CORRUPT' },
      )
    }
    this.#at += count
    return start
  }
}
