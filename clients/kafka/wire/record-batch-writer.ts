/** Collects records into one batch of format 2, in a buffer that is used again and again. */
import { COMPRESSIONS, compress, type Compression } from '../compression/codec.ts'
import { crc32c } from '../crc32c.ts'
import { BATCH_HEADER_BYTES, CHECKSUMMED_FROM, LOG_OVERHEAD_BYTES, MAGIC, TRANSACTIONAL } from './record-batch.ts'

export interface OutgoingHeader {
  readonly key: string
  readonly value: Uint8Array | string | null
}

export interface OutgoingRecord {
  readonly key: Uint8Array | string | null
  /** Null: a tombstone. */
  readonly value: Uint8Array | string | null
  readonly timestamp: number
  readonly headers?: readonly OutgoingHeader[]
}

export interface BatchIdentity {
  /** -1 in all three: neither idempotent nor transactional. */
  readonly producerId: number
  readonly producerEpoch: number
  readonly baseSequence: number
  readonly isTransactional: boolean
}

export const NO_PRODUCER: BatchIdentity = {
  producerId: -1,
  producerEpoch: -1,
  baseSequence: -1,
  isTransactional: false,
}

const SMALLEST_BYTES = 16 * 1024
/** Of a record beside key, value and headers: the longest numbers, and attributes. */
const MOST_NUMBERS_BYTES = 5 + 1 + 10 + 5 + 5 + 5 + 5
const WORD = 2 ** 32

export class RecordBatchWriter {
  #bytes = Buffer.allocUnsafe(SMALLEST_BYTES)
  #length = BATCH_HEADER_BYTES
  #count = 0
  #baseTimestamp = 0
  #maxTimestamp = 0

  get count(): number {
    return this.#count
  }

  /** Before it is compressed. */
  get sizeBytes(): number {
    return this.#length
  }

  append(record: OutgoingRecord): void {
    const { key, value, timestamp, headers = [] } = record
    if (this.#count === 0) {
      this.#baseTimestamp = timestamp
      this.#maxTimestamp = timestamp
    } else if (timestamp > this.#maxTimestamp) this.#maxTimestamp = timestamp
    const timestampDelta = timestamp - this.#baseTimestamp
    const keyLength = lengthOf(key)
    const valueLength = lengthOf(value)
    const headerBytes = headers.length === 0 ? 1 : sizeOfHeaders(headers)
    const length =
      1 +
      sizeOfVarlong(timestampDelta) +
      sizeOfVarint(this.#count) +
      sizeOfVarint(keyLength) +
      Math.max(0, keyLength) +
      sizeOfVarint(valueLength) +
      Math.max(0, valueLength) +
      headerBytes
    this.#reserve(length + MOST_NUMBERS_BYTES)
    let at = this.#varint(this.#length, length)
    this.#bytes[at] = 0
    at = this.#varlong(at + 1, timestampDelta)
    at = this.#varint(at, this.#count)
    at = this.#field(at, key, keyLength)
    at = this.#field(at, value, valueLength)
    at = this.#varint(at, headers.length)
    for (const header of headers) {
      at = this.#field(at, header.key, lengthOf(header.key))
      at = this.#field(at, header.value, lengthOf(header.value))
    }
    this.#length = at
    this.#count += 1
  }

  /** The batch, in a buffer of its own; the writer is empty then. At least one record must have been appended. */
  finish(identity: BatchIdentity, compression: Compression = 'none'): Buffer {
    const batch = compression === 'none' ? this.#copied() : this.#compressed(compression)
    const attributes = COMPRESSIONS.indexOf(compression) | (identity.isTransactional ? TRANSACTIONAL : 0)
    batch.writeInt32BE(0, 0)
    batch.writeInt32BE(0, 4)
    batch.writeInt32BE(batch.length - LOG_OVERHEAD_BYTES, 8)
    // The leader epoch, which the broker fills in.
    batch.writeInt32BE(-1, 12)
    batch.writeInt8(MAGIC, 16)
    batch.writeInt16BE(attributes, 21)
    batch.writeInt32BE(this.#count - 1, 23)
    writeInt64(batch, 27, this.#baseTimestamp)
    writeInt64(batch, 35, this.#maxTimestamp)
    writeInt64(batch, 43, identity.producerId)
    batch.writeInt16BE(identity.producerEpoch, 51)
    batch.writeInt32BE(identity.baseSequence, 53)
    batch.writeInt32BE(this.#count, 57)
    batch.writeUInt32BE(crc32c(batch.subarray(CHECKSUMMED_FROM)), 17)
    this.clear()
    return batch
  }

  clear(): void {
    this.#length = BATCH_HEADER_BYTES
    this.#count = 0
  }

  #copied(): Buffer {
    const batch = Buffer.allocUnsafe(this.#length)
    this.#bytes.copy(batch, 0, 0, this.#length)
    return batch
  }

  #compressed(compression: Compression): Buffer {
    const records = compress(compression, this.#bytes.subarray(BATCH_HEADER_BYTES, this.#length))
    const batch = Buffer.allocUnsafe(BATCH_HEADER_BYTES + records.length)
    records.copy(batch, BATCH_HEADER_BYTES)
    return batch
  }

  #reserve(count: number): void {
    const needed = this.#length + count
    if (needed <= this.#bytes.length) return
    const larger = Buffer.allocUnsafe(Math.max(needed, this.#bytes.length * 2))
    this.#bytes.copy(larger, 0, 0, this.#length)
    this.#bytes = larger
  }

  #varint(from: number, value: number): number {
    const bytes = this.#bytes
    let at = from
    let rest = ((value << 1) ^ (value >> 31)) >>> 0
    for (; rest > 0x7f; rest >>>= 7) bytes[at++] = (rest & 0x7f) | 0x80
    bytes[at++] = rest
    return at
  }

  #varlong(from: number, value: number): number {
    if (value === (value | 0)) return this.#varint(from, value)
    let at = from
    let rest = zigzag(value)
    for (; rest > 0x7f; rest = Math.floor(rest / 0x80)) this.#bytes[at++] = (rest % 0x80) | 0x80
    this.#bytes[at++] = rest
    return at
  }

  #field(from: number, value: Uint8Array | string | null, length: number): number {
    const at = this.#varint(from, length)
    if (value === null) return at
    if (typeof value === 'string') this.#bytes.write(value, at, length)
    else this.#bytes.set(value, at)
    return at + length
  }
}

/** -1 for null, as the format has it. */
function lengthOf(value: Uint8Array | string | null): number {
  if (value === null) return -1
  return typeof value === 'string' ? Buffer.byteLength(value) : value.length
}

function sizeOfHeaders(headers: readonly OutgoingHeader[]): number {
  let size = sizeOfVarint(headers.length)
  for (const { key, value } of headers) {
    const keyLength = lengthOf(key)
    const valueLength = lengthOf(value)
    size += sizeOfVarint(keyLength) + keyLength + sizeOfVarint(valueLength) + Math.max(0, valueLength)
  }
  return size
}

function sizeOfVarint(value: number): number {
  const rest = ((value << 1) ^ (value >> 31)) >>> 0
  if (rest < 0x80) return 1
  if (rest < 0x4000) return 2
  if (rest < 0x20_0000) return 3
  return rest < 0x1000_0000 ? 4 : 5
}

function sizeOfVarlong(value: number): number {
  if (value === (value | 0)) return sizeOfVarint(value)
  let size = 1
  for (let rest = zigzag(value); rest > 0x7f; rest = Math.floor(rest / 0x80)) size += 1
  return size
}

function zigzag(value: number): number {
  return value < 0 ? -value * 2 - 1 : value * 2
}

function writeInt64(bytes: Buffer, at: number, value: number): void {
  bytes.writeInt32BE(Math.floor(value / WORD), at)
  bytes.writeInt32BE(value | 0, at + 4)
}
