/**
 * Record batches of format 2 (the only one since Kafka 0.11): the header of each in a run of bytes, checked.
 * Layout: https://kafka.apache.org/documentation/#recordbatch
 */
import { COMPRESSIONS, decompress, type Compression } from '../compression/codec.ts'
import { crc32c } from '../crc32c.ts'
import { malformed } from './malformed.ts'

/** From the beginning of a batch to its first record. */
export const BATCH_HEADER_BYTES = 61
/** What `batchLength` does not count: the base offset and itself. */
export const LOG_OVERHEAD_BYTES = 12
/** What the checksum covers begins here, behind it. */
export const CHECKSUMMED_FROM = 21
export const MAGIC = 2

/** The shortest record: seven fields of one byte. */
const SHORTEST_RECORD_BYTES = 7
const COMPRESSION_MASK = 0x07
export const LOG_APPEND_TIME = 0x08
export const TRANSACTIONAL = 0x10
export const CONTROL = 0x20

export interface RecordBatch {
  readonly baseOffset: number
  /** The position behind this batch is this plus one, whether the record of that offset is still there or not. */
  readonly lastOffset: number
  readonly leaderEpoch: number
  readonly compression: Compression
  readonly isTransactional: boolean
  /** Holds a marker, not records of users. */
  readonly isControl: boolean
  /** All records have the time at which the broker appended them, `maxTimestamp`. */
  readonly hasAppendTime: boolean
  readonly baseTimestamp: number
  readonly maxTimestamp: number
  readonly producerId: number
  readonly producerEpoch: number
  readonly baseSequence: number
  readonly recordCount: number
  /** Its records as they are stored: compressed, if they are. A view into what was read. */
  readonly stored: Buffer
  /** The whole of it, header included. */
  readonly sizeBytes: number
}

export interface ReadBatchesOptions {
  /** Default true. */
  readonly checksCrc?: boolean
}

/**
 * The whole batches in `bytes`; a last one that is cut off, as brokers send it when a limit falls into it, is left out.
 *
 * @throws TerminalError for a batch of another format, of a size that cannot be, or with another checksum
 */
export function readBatches(bytes: Buffer, options: ReadBatchesOptions = {}): readonly RecordBatch[] {
  const batches: RecordBatch[] = []
  let at = 0
  while (bytes.length - at >= LOG_OVERHEAD_BYTES) {
    const baseOffset = int64At(bytes, at)
    const sizeBytes = LOG_OVERHEAD_BYTES + bytes.readInt32BE(at + 8)
    if (sizeBytes < BATCH_HEADER_BYTES) throw malformed(`a batch of ${sizeBytes} bytes at offset ${baseOffset}`)
    if (sizeBytes > bytes.length - at) break
    batches.push(readBatch(bytes.subarray(at, at + sizeBytes), baseOffset, options.checksCrc ?? true))
    at += sizeBytes
  }
  return batches
}

/** Where reading goes on behind the whole batches in `bytes`, and the leader epoch of the last of them; undefined: there is none. */
export function endOfBatches(bytes: Buffer): { readonly offset: number; readonly leaderEpoch: number } | undefined {
  let last = -1
  for (let at = 0; bytes.length - at >= BATCH_HEADER_BYTES;) {
    const sizeBytes = LOG_OVERHEAD_BYTES + bytes.readInt32BE(at + 8)
    if (sizeBytes < BATCH_HEADER_BYTES) throw malformed(`a batch of ${sizeBytes} bytes at offset ${int64At(bytes, at)}`)
    if (sizeBytes > bytes.length - at) break
    last = at
    at += sizeBytes
  }
  if (last < 0) return undefined
  return { offset: int64At(bytes, last) + bytes.readInt32BE(last + 23) + 1, leaderEpoch: bytes.readInt32BE(last + 12) }
}

function readBatch(bytes: Buffer, baseOffset: number, checksCrc: boolean): RecordBatch {
  const magic = bytes.readInt8(16)
  if (magic !== MAGIC) throw malformed(`a batch of format ${magic} at offset ${baseOffset}, not of ${MAGIC}`)
  if (checksCrc) {
    const expected = bytes.readUInt32BE(17)
    const actual = crc32c(bytes.subarray(CHECKSUMMED_FROM))
    if (actual !== expected)
      throw malformed(`the batch at offset ${baseOffset} has checksum ${expected} and bytes of ${actual}`)
  }
  const attributes = bytes.readInt16BE(21)
  const compression = COMPRESSIONS[attributes & COMPRESSION_MASK]
  if (compression === undefined) {
    throw malformed(`the batch at offset ${baseOffset} is compressed by method ${attributes & COMPRESSION_MASK}`)
  }
  const lastOffsetDelta = bytes.readInt32BE(23)
  const recordCount = bytes.readInt32BE(57)
  if (lastOffsetDelta < 0 || recordCount < 0 || recordCount > lastOffsetDelta + 1) {
    throw malformed(
      `the batch at offset ${baseOffset} claims ${recordCount} records over ${lastOffsetDelta + 1} offsets`,
    )
  }
  return {
    baseOffset,
    lastOffset: baseOffset + lastOffsetDelta,
    leaderEpoch: bytes.readInt32BE(12),
    compression,
    isTransactional: (attributes & TRANSACTIONAL) !== 0,
    isControl: (attributes & CONTROL) !== 0,
    hasAppendTime: (attributes & LOG_APPEND_TIME) !== 0,
    baseTimestamp: int64At(bytes, 27),
    maxTimestamp: int64At(bytes, 35),
    producerId: int64At(bytes, 43),
    producerEpoch: bytes.readInt16BE(51),
    baseSequence: bytes.readInt32BE(53),
    recordCount,
    stored: bytes.subarray(BATCH_HEADER_BYTES),
    sizeBytes: bytes.length,
  }
}

/** Its records, decompressed. @throws TerminalError for fewer bytes than its records need, or more than `limitBytes` */
export function recordBytesOf(batch: RecordBatch, limitBytes?: number): Buffer {
  const bytes = decompress(batch.compression, batch.stored, limitBytes)
  if (batch.recordCount * SHORTEST_RECORD_BYTES > bytes.length) {
    throw malformed(
      `the batch at offset ${batch.baseOffset} claims ${batch.recordCount} records in ${bytes.length} bytes`,
    )
  }
  return bytes
}

function int64At(bytes: Buffer, at: number): number {
  const value = bytes.readInt32BE(at) * 2 ** 32 + bytes.readUInt32BE(at + 4)
  if (!Number.isSafeInteger(value)) throw malformed(`a number beyond 2^53 at byte ${at} of a batch`)
  return value
}
