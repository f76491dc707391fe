/**
 * The primitive types of the Kafka protocol, read from front to back. Nothing is read or allocated past the end: what the bytes claim is
 * checked against what is there. Numbers of 64 bits become JavaScript numbers; offsets, ids and times all fit.
 */
import { malformed } from './malformed.ts'

const MAX_VARINT_SHIFT = 28

export class ByteReader {
  readonly #bytes: Buffer
  #at: number

  constructor(bytes: Buffer, from = 0) {
    this.#bytes = bytes
    this.#at = from
  }

  get at(): number {
    return this.#at
  }

  get remaining(): number {
    return this.#bytes.length - this.#at
  }

  boolean(): boolean {
    return this.int8() !== 0
  }

  int8(): number {
    return this.#bytes.readInt8(this.#take(1))
  }

  int16(): number {
    return this.#bytes.readInt16BE(this.#take(2))
  }

  int32(): number {
    return this.#bytes.readInt32BE(this.#take(4))
  }

  int64(): number {
    const from = this.#take(8)
    const value = this.#bytes.readInt32BE(from) * 2 ** 32 + this.#bytes.readUInt32BE(from + 4)
    if (!Number.isSafeInteger(value)) throw malformed(`a number beyond 2^53 at byte ${from}`)
    return value
  }

  unsignedVarint(): number {
    let value = 0
    for (let shift = 0; shift <= MAX_VARINT_SHIFT; shift += 7) {
      const byte = this.#bytes.readUInt8(this.#take(1))
      value |= (byte & 0x7f) << shift
      if (byte < 0x80) return value >>> 0
    }
    throw malformed(`a varint of more than five bytes before byte ${this.#at}`)
  }

  /** In the spelling of Kafka's own tools: 22 characters of base64url. */
  uuid(): string {
    const from = this.#take(16)
    return this.#bytes.toString('base64url', from, from + 16)
  }

  /** Compact: with the length plus one before it, as flexible versions write it. */
  string(): string {
    const value = this.nullableString()
    if (value === null) throw malformed(`no text before byte ${this.#at}, where one must be`)
    return value
  }

  nullableString(): string | null {
    const length = this.unsignedVarint() - 1
    if (length < 0) return null
    const from = this.#take(length)
    return this.#bytes.toString('utf8', from, from + length)
  }

  /** Not copied: a view into the bytes that are read. */
  nullableBytes(): Buffer | null {
    const length = this.unsignedVarint() - 1
    if (length < 0) return null
    const from = this.#take(length)
    return this.#bytes.subarray(from, from + length)
  }

  /** One that is null counts as empty. */
  array<T>(element: () => T): T[] {
    const length = Math.max(0, this.unsignedVarint() - 1)
    // Each element has a byte at least: a length that cannot be is noticed before memory is spent on it.
    if (length > this.remaining) throw malformed(`an array of ${length} elements in ${this.remaining} bytes`)
    return Array.from({ length }, element)
  }

  /** Fields that only newer versions know; `known` may read one by its number. */
  taggedFields(known?: (tag: number, field: ByteReader) => void): void {
    const count = this.unsignedVarint()
    if (count > this.remaining) throw malformed(`${count} tagged fields in ${this.remaining} bytes`)
    for (let index = 0; index < count; index += 1) {
      const tag = this.unsignedVarint()
      const length = this.unsignedVarint()
      const from = this.#take(length)
      known?.(tag, new ByteReader(this.#bytes.subarray(from, from + length)))
    }
  }

  #take(length: number): number {
    const from = this.#at
    if (length > this.#bytes.length - from) {
      throw malformed(`it ends after ${this.#bytes.length} bytes, ${length} more were due at byte ${from}`)
    }
    this.#at = from + length
    return from
  }
}
