/**
 * LZ4 in its frame format, as Kafka has it. The formats: https://github.com/lz4/lz4/blob/dev/doc/lz4_Frame_format.md and lz4_Block_format.md
 */
import { malformed } from '../wire/malformed.ts'
import { GrowingBuffer } from './growing-buffer.ts'

const MAGIC = 0x184d2204
const VERSION = 1
const INDEPENDENT_BLOCKS = 0x20
const BLOCK_CHECKSUMS = 0x10
const CONTENT_SIZE = 0x08
const DICTIONARY = 0x01
/** Blocks of 64 KiB. */
const BLOCK_DESCRIPTOR = 0x40
const BLOCK_BYTES = 64 * 1024
const NOT_COMPRESSED = 0x8000_0000
const HASH_BITS = 14
const SHORTEST_MATCH = 4
/** The format wants the last five bytes as literals, and no match that begins in the last twelve. */
const LITERALS_AT_END = 5
const NO_MATCH_FROM_END = 12
const MISSES_PER_STEP_BITS = 6

export function decompressLz4(bytes: Buffer, limitBytes: number): Buffer {
  const { hasBlockChecksums, headerBytes } = readFrameHeader(bytes)
  const output = new GrowingBuffer(bytes.length * 4, limitBytes)
  for (let at = headerBytes; ;) {
    if (bytes.length - at < 4) throw malformed('an LZ4 frame without an end')
    const head = bytes.readUInt32LE(at)
    at += 4
    if (head === 0) return output.filled
    const length = head % NOT_COMPRESSED
    if (length > bytes.length - at) throw malformed(`an LZ4 block of ${length} bytes, ${bytes.length - at} are there`)
    if (head >= NOT_COMPRESSED) output.append(bytes, at, length)
    else decompressBlock(bytes.subarray(at, at + length), output)
    at += length + (hasBlockChecksums ? 4 : 0)
  }
}

/** Checksums of blocks and content are passed over: the batch around them has one of its own. */
function readFrameHeader(bytes: Buffer): { readonly hasBlockChecksums: boolean; readonly headerBytes: number } {
  if (bytes.length < 7 || bytes.readUInt32LE(0) !== MAGIC) throw malformed('an LZ4 frame without its magic number')
  const flags = bytes[4] as number
  if (flags >>> 6 !== VERSION) throw malformed(`an LZ4 frame of version ${flags >>> 6}`)
  const descriptorBytes = 2 + ((flags & CONTENT_SIZE) === 0 ? 0 : 8) + ((flags & DICTIONARY) === 0 ? 0 : 4)
  const checksumAt = 4 + descriptorBytes
  const expected = headerChecksum(bytes.subarray(4, checksumAt))
  if (bytes[checksumAt] !== expected) throw malformed('an LZ4 frame whose header has another checksum')
  return { hasBlockChecksums: (flags & BLOCK_CHECKSUMS) !== 0, headerBytes: checksumAt + 1 }
}

function decompressBlock(block: Buffer, output: GrowingBuffer): void {
  let at = 0
  const more = (short: number): number => {
    let length = short
    if (short !== 15) return length
    for (;;) {
      const byte = block[at]
      if (byte === undefined) throw malformed('an LZ4 block ends within a length')
      at += 1
      length += byte
      if (byte !== 255) return length
    }
  }
  while (at < block.length) {
    const token = block[at] as number
    at += 1
    const literals = more(token >>> 4)
    output.append(block, at, literals)
    at += literals
    if (at === block.length) return
    if (block.length - at < 2) throw malformed('an LZ4 block ends within a match')
    const distance = block.readUInt16LE(at)
    at += 2
    output.repeat(distance, more(token & 15) + SHORTEST_MATCH)
  }
}

export function compressLz4(bytes: Buffer): Buffer {
  const blocks = Math.ceil(bytes.length / BLOCK_BYTES)
  const output = Buffer.allocUnsafe(11 + bytes.length + blocks * 4)
  output.writeUInt32LE(MAGIC, 0)
  output[4] = (VERSION << 6) | INDEPENDENT_BLOCKS
  output[5] = BLOCK_DESCRIPTOR
  output[6] = headerChecksum(output.subarray(4, 6))
  const table = new Int32Array(1 << HASH_BITS)
  let end = 7
  for (let from = 0; from < bytes.length; from += BLOCK_BYTES) {
    const block = bytes.subarray(from, Math.min(from + BLOCK_BYTES, bytes.length))
    const room = output.subarray(end + 4, end + 4 + block.length)
    const size = compressBlock(block, room, table.fill(-1))
    // One that does not become smaller is stored as it is.
    if (size === undefined) block.copy(room)
    output.writeUInt32LE(size ?? block.length + NOT_COMPRESSED, end)
    end += 4 + (size ?? block.length)
  }
  output.writeUInt32LE(0, end)
  return output.subarray(0, end + 4)
}

/** Undefined: it does not fit into `output`. */
function compressBlock(block: Buffer, output: Buffer, table: Int32Array): number | undefined {
  let to = 0
  let literalsFrom = 0
  let at = 0
  let misses = 1 << MISSES_PER_STEP_BITS
  while (at < block.length - NO_MATCH_FROM_END) {
    const word = block.readInt32LE(at)
    const slot = Math.imul(word, 0x9e3779b1 | 0) >>> (32 - HASH_BITS)
    const candidate = table[slot] as number
    table[slot] = at
    if (candidate < 0 || block.readInt32LE(candidate) !== word) {
      at += misses >>> MISSES_PER_STEP_BITS
      misses += 1
      continue
    }
    let length = SHORTEST_MATCH
    const longest = block.length - LITERALS_AT_END - at
    while (length < longest && block[candidate + length] === block[at + length]) length += 1
    const next = writeSequence(block.subarray(literalsFrom, at), { distance: at - candidate, length }, output, to)
    if (next === undefined) return undefined
    to = next
    at += length
    literalsFrom = at
    misses = 1 << MISSES_PER_STEP_BITS
  }
  return writeSequence(block.subarray(literalsFrom), undefined, output, to)
}

interface Match {
  readonly distance: number
  readonly length: number
}

/** Undefined: it does not fit. */
function writeSequence(literals: Buffer, match: Match | undefined, output: Buffer, at: number): number | undefined {
  const extra = match === undefined ? 0 : match.length - SHORTEST_MATCH
  const worst = 1 + Math.floor(literals.length / 255) + 1 + literals.length + 2 + Math.floor(extra / 255) + 1
  if (at + worst > output.length) return undefined
  output[at] = (Math.min(literals.length, 15) << 4) | Math.min(extra, 15)
  let to = writeMore(literals.length, output, at + 1)
  literals.copy(output, to)
  to += literals.length
  if (match === undefined) return to
  return writeMore(extra, output, output.writeUInt16LE(match.distance, to))
}

function writeMore(length: number, output: Buffer, at: number): number {
  if (length < 15) return at
  let to = at
  let rest = length - 15
  for (; rest >= 255; rest -= 255) to = output.writeUInt8(255, to)
  return output.writeUInt8(rest, to)
}

const PRIME_1 = 0x9e3779b1 | 0
const PRIME_2 = 0x85ebca77 | 0
const PRIME_3 = 0xc2b2ae3d | 0
const PRIME_4 = 0x27d4eb2f
const PRIME_5 = 0x165667b1

/** The second byte of the xxHash32 of a descriptor, which has less than 16 bytes: only the tail of the algorithm is needed. */
function headerChecksum(descriptor: Buffer): number {
  let hash = (PRIME_5 + descriptor.length) | 0
  let at = 0
  for (; at + 4 <= descriptor.length; at += 4) {
    hash = (hash + Math.imul(descriptor.readInt32LE(at), PRIME_3)) | 0
    hash = Math.imul(rotated(hash, 17), PRIME_4)
  }
  for (; at < descriptor.length; at += 1) {
    hash = (hash + Math.imul(descriptor[at] as number, PRIME_5)) | 0
    hash = Math.imul(rotated(hash, 11), PRIME_1)
  }
  hash = Math.imul(hash ^ (hash >>> 15), PRIME_2)
  hash = Math.imul(hash ^ (hash >>> 13), PRIME_3)
  return ((hash ^ (hash >>> 16)) >>> 8) & 0xff
}

function rotated(value: number, bits: number): number {
  return (value << bits) | (value >>> (32 - bits))
}
