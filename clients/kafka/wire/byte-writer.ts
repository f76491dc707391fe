/** The primitive types of the Kafka protocol, written one after another into a buffer that grows. */
import { Buffer } from 'node:buffer'

const SMALLEST_BYTES = 256
const UUID_BYTES = 16
const WORD = 2 ** 32

export class ByteWriter {
  #bytes: Buffer
  #length = 0

  constructor(sizeBytes = SMALLEST_BYTES) {
    this.#bytes = Buffer.allocUnsafe(sizeBytes)
  }

  /** What was written so far; not copied. */
  get written(): Buffer {
    return this.#bytes.subarray(0, this.#length)
  }

  boolean(value: boolean): void {
    this.int8(value ? 1 : 0)
  }

  int8(value: number): void {
    const at = this.#reserve(1)
    this.#bytes.writeInt8(value, at)
  }

  int16(value: number): void {
    const at = this.#reserve(2)
    this.#bytes.writeInt16BE(value, at)
  }

  int32(value: number): void {
    const at = this.#reserve(4)
    this.#bytes.writeInt32BE(value, at)
  }

  int64(value: number): void {
    const at = this.#reserve(8)
    this.#bytes.writeInt32BE(Math.floor(value / WORD), at)
    this.#bytes.writeInt32BE(value | 0, at + 4)
  }

  unsignedVarint(value: number): void {
    let rest = value
    while (rest > 0x7f) {
      this.int8(((rest & 0x7f) | 0x80) - 0x100)
      rest >>>= 7
    }
    this.int8(rest)
  }

  uuid(value: string): void {
    const at = this.#reserve(UUID_BYTES)
    this.#bytes.write(value, at, UUID_BYTES, 'base64url')
  }

  /** Compact, as flexible versions have it. */
  string(value: string): void {
    const length = Buffer.byteLength(value)
    this.unsignedVarint(length + 1)
    const at = this.#reserve(length)
    this.#bytes.write(value, at)
  }

  nullableString(value: string | null): void {
    if (value === null) this.unsignedVarint(0)
    else this.string(value)
  }

  /** With its length in two bytes, as versions before the flexible ones have it. */
  oldString(value: string): void {
    const length = Buffer.byteLength(value)
    this.int16(length)
    const at = this.#reserve(length)
    this.#bytes.write(value, at)
  }

  bytes(value: Uint8Array): void {
    this.unsignedVarint(value.length + 1)
    const at = this.#reserve(value.length)
    this.#bytes.set(value, at)
  }

  array<T>(values: readonly T[], element: (value: T) => void): void {
    this.unsignedVarint(values.length + 1)
    for (const value of values) element(value)
  }

  /** The end of a structure: no field that only newer versions know. */
  noTaggedFields(): void {
    this.int8(0)
  }

  #reserve(length: number): number {
    const at = this.#length
    this.#length = at + length
    if (this.#length > this.#bytes.length) this.#grow(this.#length)
    return at
  }

  #grow(needed: number): void {
    const larger = Buffer.allocUnsafe(Math.max(needed, this.#bytes.length * 2))
    this.#bytes.copy(larger)
    this.#bytes = larger
  }
}
