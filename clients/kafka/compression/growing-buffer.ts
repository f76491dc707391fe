/** Output of a decompressor: grows as it is filled, up to a limit, whatever the input claims. */
import { malformed } from '../wire/malformed.ts'

export class GrowingBuffer {
  bytes: Buffer
  length = 0
  readonly #limitBytes: number

  constructor(sizeBytes: number, limitBytes: number) {
    this.#limitBytes = limitBytes
    this.bytes = Buffer.allocUnsafe(Math.min(Math.max(sizeBytes, 64), limitBytes))
  }

  /** Makes room behind what is filled. @throws TerminalError beyond the limit */
  reserve(count: number): void {
    const needed = this.length + count
    if (needed <= this.bytes.length) return
    if (needed > this.#limitBytes) throw tooLarge(this.#limitBytes)
    const larger = Buffer.allocUnsafe(Math.min(Math.max(needed, this.bytes.length * 2), this.#limitBytes))
    this.bytes.copy(larger, 0, 0, this.length)
    this.bytes = larger
  }

  /** Repeats what was written `distance` bytes ago; the two may overlap. */
  repeat(distance: number, count: number): void {
    if (distance <= 0 || distance > this.length) {
      throw malformed(`compressed data refers back by ${distance} bytes after ${this.length}`)
    }
    this.reserve(count)
    const { bytes, length } = this
    const from = length - distance
    if (distance >= count) bytes.copyWithin(length, from, from + count)
    else for (let at = 0; at < count; at += 1) bytes[length + at] = bytes[from + at] as number
    this.length = length + count
  }

  append(source: Buffer, from: number, count: number): void {
    if (from + count > source.length) throw malformed('compressed data ends within a run of literals')
    this.reserve(count)
    source.copy(this.bytes, this.length, from, from + count)
    this.length += count
  }

  get filled(): Buffer {
    return this.bytes.subarray(0, this.length)
  }
}

export function tooLarge(limitBytes: number, cause?: unknown): Error {
  return malformed(`a compressed batch is larger than ${limitBytes} bytes when it is decompressed`, cause)
}
