/**
 * Snappy as Kafka has it: blocks in the framing of snappy-java (which Kafka's own clients write), or one bare block (which others write).
 * The format of a block: https://github.com/google/snappy/blob/main/format_description.txt
 */
import { malformed } from '../wire/malformed.ts'
import { GrowingBuffer } from './growing-buffer.ts'

const FRAME_MAGIC = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0])
/** The magic, a version and the oldest version that can read it. */
const FRAME_HEADER = Buffer.concat([FRAME_MAGIC, Buffer.from([0, 0, 0, 1, 0, 0, 0, 1])])
const BLOCK_BYTES = 32 * 1024
/** The densest is a copy of 64 bytes in three: what claims more is not snappy. */
const MOST_BYTES_PER_BYTE = 64
const HASH_BITS = 13
const SHORTEST_MATCH = 4
const LONGEST_COPY = 64
/** Behind so many misses the step grows by one: data that does not compress is passed over quickly. */
const MISSES_PER_STEP_BITS = 5

export function decompressSnappy(bytes: Buffer, limitBytes: number): Buffer {
  if (!bytes.subarray(0, FRAME_MAGIC.length).equals(FRAME_MAGIC)) {
    const output = new GrowingBuffer(bytes.length * 3, limitBytes)
    decompressBlock(bytes, output)
    return output.filled
  }
  const output = new GrowingBuffer(bytes.length * 3, limitBytes)
  for (let at = FRAME_HEADER.length; at < bytes.length;) {
    if (bytes.length - at < 4) throw malformed('a snappy frame ends within the length of a block')
    const length = bytes.readInt32BE(at)
    at += 4
    if (length < 0 || length > bytes.length - at)
      throw malformed(`a snappy block of ${length} bytes, ${bytes.length - at} are there`)
    decompressBlock(bytes.subarray(at, at + length), output)
    at += length
  }
  return output.filled
}

function decompressBlock(block: Buffer, output: GrowingBuffer): void {
  const start = output.length
  let at = 0
  let claimed = 0
  for (let shift = 0; ; shift += 7) {
    if (at >= block.length || shift > 28) throw malformed('a snappy block without a length')
    const byte = block[at] as number
    at += 1
    claimed += (byte & 0x7f) * 2 ** shift
    if (byte < 0x80) break
  }
  if (claimed > block.length * MOST_BYTES_PER_BYTE)
    throw malformed(`a snappy block of ${block.length} bytes claims to hold ${claimed}`)
  output.reserve(claimed)
  while (at < block.length) at = decompressElement(block, at, output)
  const held = output.length - start
  if (held !== claimed) throw malformed(`a snappy block claims to hold ${claimed} bytes and holds ${held}`)
}

/** A run of literals or a copy. @returns where the next one begins */
function decompressElement(block: Buffer, from: number, output: GrowingBuffer): number {
  const tag = block[from] as number
  const kind = tag & 3
  if (kind === 0) {
    const short = tag >>> 2
    // 60 to 63: the length is in the one to four bytes that follow.
    const extra = short < 60 ? 0 : short - 59
    const length = (extra === 0 ? short : littleEndian(block, from + 1, extra)) + 1
    output.append(block, from + 1 + extra, length)
    return from + 1 + extra + length
  }
  if (kind === 1) {
    output.repeat(((tag >>> 5) << 8) | littleEndian(block, from + 1, 1), ((tag >>> 2) & 7) + 4)
    return from + 2
  }
  const offsetBytes = kind === 2 ? 2 : 4
  output.repeat(littleEndian(block, from + 1, offsetBytes), (tag >>> 2) + 1)
  return from + 1 + offsetBytes
}

function littleEndian(block: Buffer, from: number, count: number): number {
  if (from + count > block.length) throw malformed('a snappy block ends within an element')
  return block.readUIntLE(from, count)
}

export function compressSnappy(bytes: Buffer): Buffer {
  // Nothing that is written is larger than 6/7 of this (the bound of the format's own library).
  const output = Buffer.allocUnsafe(
    FRAME_HEADER.length + bytes.length + (bytes.length >> 5) + 40 + 40 * (bytes.length >> 15),
  )
  FRAME_HEADER.copy(output)
  const table = new Int32Array(1 << HASH_BITS)
  let end = FRAME_HEADER.length
  for (let from = 0; from < bytes.length; from += BLOCK_BYTES) {
    const block = bytes.subarray(from, Math.min(from + BLOCK_BYTES, bytes.length))
    const next = compressBlock(block, output, end + 4, table.fill(-1))
    output.writeInt32BE(next - end - 4, end)
    end = next
  }
  return output.subarray(0, end)
}

function compressBlock(block: Buffer, output: Buffer, start: number, table: Int32Array): number {
  let to = writeLength(output, start, block.length)
  let literalsFrom = 0
  let at = 0
  let misses = 1 << MISSES_PER_STEP_BITS
  const last = block.length - SHORTEST_MATCH
  while (at <= last) {
    const word = block.readInt32LE(at)
    const slot = Math.imul(word, 0x1e35a7bd) >>> (32 - HASH_BITS)
    const candidate = table[slot] as number
    table[slot] = at
    if (candidate < 0 || block.readInt32LE(candidate) !== word) {
      at += misses >>> MISSES_PER_STEP_BITS
      misses += 1
      continue
    }
    let length = SHORTEST_MATCH
    while (at + length < block.length && block[candidate + length] === block[at + length]) length += 1
    to = writeLiterals(block.subarray(literalsFrom, at), output, to)
    to = writeCopies(at - candidate, length, output, to)
    at += length
    literalsFrom = at
    misses = 1 << MISSES_PER_STEP_BITS
  }
  return writeLiterals(block.subarray(literalsFrom), output, to)
}

function writeLength(output: Buffer, at: number, length: number): number {
  let to = at
  let rest = length
  for (; rest > 0x7f; rest >>>= 7) to = output.writeUInt8((rest & 0x7f) | 0x80, to)
  return output.writeUInt8(rest, to)
}

function writeLiterals(literals: Buffer, output: Buffer, at: number): number {
  if (literals.length === 0) return at
  const last = literals.length - 1
  let to = at
  if (last < 60) to = output.writeUInt8(last << 2, to)
  else if (last < 0x100) to = output.writeUInt8(last, output.writeUInt8(60 << 2, to))
  else to = output.writeUInt16LE(last, output.writeUInt8(61 << 2, to))
  literals.copy(output, to)
  return to + literals.length
}

/** In copies of two bytes of offset; a block has no longer ones. */
function writeCopies(offset: number, length: number, output: Buffer, at: number): number {
  let to = at
  for (let rest = length; rest > 0;) {
    const count = Math.min(rest, LONGEST_COPY)
    to = output.writeUInt16LE(offset, output.writeUInt8(((count - 1) << 2) | 2, to))
    rest -= count
  }
  return to
}
