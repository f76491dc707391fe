/**
 * The records of one batch as columns of numbers over its bytes: nothing is allocated per record. One is filled again and again; what it
 * gives out as views is right until the next fill only if the batch was not compressed, and always while nobody fills it.
 */
import { malformed } from './malformed.ts'
import { recordBytesOf, type RecordBatch } from './record-batch.ts'

/** One of a record's headers: a name, which may come more than once, and bytes. */
export interface RecordHeader {
  readonly key: string
  readonly value: Buffer | null
}

const SMALLEST_CAPACITY = 64
const NO_BYTES = Buffer.alloc(0)

export class RecordColumns {
  count = 0
  bytes: Buffer = NO_BYTES
  baseOffset = 0
  /** To be added to `baseOffset`. */
  offsetDeltas = new Int32Array(SMALLEST_CAPACITY)
  timestamps = new Float64Array(SMALLEST_CAPACITY)
  keyStarts = new Int32Array(SMALLEST_CAPACITY)
  /** -1: the key is null. */
  keyLengths = new Int32Array(SMALLEST_CAPACITY)
  valueStarts = new Int32Array(SMALLEST_CAPACITY)
  /** -1: the value is null, a tombstone. */
  valueLengths = new Int32Array(SMALLEST_CAPACITY)
  headerStarts = new Int32Array(SMALLEST_CAPACITY)
  recordEnds = new Int32Array(SMALLEST_CAPACITY)

  /** @throws TerminalError for records that are not what the batch claims */
  fill(batch: RecordBatch, limitBytes?: number): void {
    this.count = 0
    this.bytes = recordBytesOf(batch, limitBytes)
    this.baseOffset = batch.baseOffset
    if (batch.recordCount > this.offsetDeltas.length) this.#grow(batch.recordCount)
    const end = parseRecords(this, batch)
    if (end !== this.bytes.length) throw malformedRecord(batch, batch.recordCount)
    this.count = batch.recordCount
  }

  offsetAt(index: number): number {
    return this.baseOffset + (this.offsetDeltas[index] ?? 0)
  }

  timestampAt(index: number): number {
    return this.timestamps[index] ?? 0
  }

  /** A view, not a copy. */
  keyAt(index: number): Buffer | null {
    const length = this.keyLengths[index] ?? -1
    const start = this.keyStarts[index] ?? 0
    return length < 0 ? null : this.bytes.subarray(start, start + length)
  }

  /** A view, not a copy. */
  valueAt(index: number): Buffer | null {
    const length = this.valueLengths[index] ?? -1
    const start = this.valueStarts[index] ?? 0
    return length < 0 ? null : this.bytes.subarray(start, start + length)
  }

  /** Parsed when asked for. @throws TerminalError for headers that are not what the record claims */
  headersAt(index: number): readonly RecordHeader[] {
    const end = this.recordEnds[index] ?? 0
    const start = this.headerStarts[index] ?? 0
    const count = readVarint(this.bytes, start)
    let at = varintEnd
    if (count < 0 || count > end - at) throw malformedHeaders(this.offsetAt(index))
    const headers: RecordHeader[] = []
    for (let header = 0; header < count; header += 1) {
      const keyLength = readVarint(this.bytes, at)
      const keyEnd = varintEnd + keyLength
      if (keyLength < 0 || keyEnd > end) throw malformedHeaders(this.offsetAt(index))
      const key = this.bytes.toString('utf8', varintEnd, keyEnd)
      const valueLength = readVarint(this.bytes, keyEnd)
      const valueStart = varintEnd
      at = valueStart + Math.max(0, valueLength)
      if (at > end) throw malformedHeaders(this.offsetAt(index))
      headers.push({ key, value: valueLength < 0 ? null : this.bytes.subarray(valueStart, at) })
    }
    if (at !== end) throw malformedHeaders(this.offsetAt(index))
    return headers
  }

  #grow(needed: number): void {
    const capacity = Math.max(needed, this.offsetDeltas.length * 2)
    this.offsetDeltas = new Int32Array(capacity)
    this.timestamps = new Float64Array(capacity)
    this.keyStarts = new Int32Array(capacity)
    this.keyLengths = new Int32Array(capacity)
    this.valueStarts = new Int32Array(capacity)
    this.valueLengths = new Int32Array(capacity)
    this.headerStarts = new Int32Array(capacity)
    this.recordEnds = new Int32Array(capacity)
  }
}

/**
 * One pass. A number of one byte, as nearly all are, is taken here; a longer one by a function. Reading past the end gives zeros, so it
 * always ends; that each record ends where its length says is checked once per record, which covers all that lies in it.
 *
 * @returns where the last record ends
 */
function parseRecords(columns: RecordColumns, batch: RecordBatch): number {
  const {
    bytes,
    offsetDeltas,
    timestamps,
    keyStarts,
    keyLengths,
    valueStarts,
    valueLengths,
    headerStarts,
    recordEnds,
  } = columns
  const { recordCount, hasAppendTime, baseTimestamp, maxTimestamp } = batch
  const lastOffsetDelta = batch.lastOffset - batch.baseOffset
  let at = 0
  let byte = 0
  let before = -1
  for (let index = 0; index < recordCount; index += 1) {
    const length = readVarint(bytes, at)
    const end = varintEnd + length
    // Behind the length: attributes, of which none is in use.
    at = varintEnd + 1
    byte = bytes[at] as number
    let timestamp = (byte >>> 1) ^ -(byte & 1)
    if (byte < 0x80) at += 1
    else {
      timestamp = readVarlong(bytes, at)
      at = varintEnd
    }
    const offsetDelta = readVarint(bytes, at)
    at = varintEnd
    byte = bytes[at] as number
    let keyLength = (byte >>> 1) ^ -(byte & 1)
    if (byte < 0x80) at += 1
    else {
      keyLength = readVarint(bytes, at)
      at = varintEnd
    }
    keyStarts[index] = at
    if (keyLength > 0) at += keyLength
    const valueLength = readVarint(bytes, at)
    const valueStart = varintEnd
    at = valueLength > 0 ? valueStart + valueLength : valueStart
    // The count of headers has a byte at least, and records stand in the order of their offsets.
    const isSound = keyLength >= -1 && valueLength >= -1 && at < end && end <= bytes.length
    if (!isSound || offsetDelta <= before || offsetDelta > lastOffsetDelta) throw malformedRecord(batch, index)
    if (bytes[at] === 0 && at + 1 !== end) throw malformedRecord(batch, index)
    before = offsetDelta
    offsetDeltas[index] = offsetDelta
    timestamps[index] = hasAppendTime ? maxTimestamp : baseTimestamp + timestamp
    keyLengths[index] = keyLength
    valueStarts[index] = valueStart
    valueLengths[index] = valueLength
    headerStarts[index] = at
    recordEnds[index] = end
    at = end
  }
  return at
}

/** Where the number that was read last ends. */
let varintEnd = 0

/** Zigzag, 32 bits. One that goes on for more than five bytes makes its record end elsewhere than it says. */
function readVarint(bytes: Buffer, from: number): number {
  let at = from
  let byte = bytes[at++] as number
  let value = byte & 0x7f
  for (let shift = 7; byte >= 0x80 && shift < 35; shift += 7) {
    byte = bytes[at++] as number
    value |= (byte & 0x7f) << shift
  }
  varintEnd = at
  return (value >>> 1) ^ -(value & 1)
}

/** Zigzag, 64 bits, as a number: differences of times are far below 2^53. */
function readVarlong(bytes: Buffer, from: number): number {
  let at = from
  let byte = bytes[at++] as number
  let value = byte & 0x7f
  for (let scale = 2 ** 7; byte >= 0x80 && scale < 2 ** 70; scale *= 2 ** 7) {
    byte = bytes[at++] as number
    value += (byte & 0x7f) * scale
  }
  varintEnd = at
  return value % 2 === 0 ? value / 2 : -(value + 1) / 2
}

function malformedRecord(batch: RecordBatch, index: number): Error {
  return malformed(
    `record ${index} of ${batch.recordCount} in the batch at offset ${batch.baseOffset} is not where it should be`,
  )
}

function malformedHeaders(offset: number): Error {
  return malformed(`the headers of the record at offset ${offset} are not what their lengths say`)
}
