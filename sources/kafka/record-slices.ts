/**
 * Decodes what was fetched of one partition, a slice at a time: so many records that a batch of them is worth its way, so few that the
 * event loop is not held. Batches of transactions that were aborted, and markers, move the position and nothing else.
 */
import { committedBatches } from '../../clients/kafka/read-committed.ts'
import { readBatches, type RecordBatch } from '../../clients/kafka/wire/record-batch.ts'
import { RecordColumns, type RecordHeader } from '../../clients/kafka/wire/record-columns.ts'
import { messageOf, NO_TIMESTAMP, SluiceError, TerminalError, type Polled } from '../../engine/api/index.ts'
import type { AssignedPartition, Chunk } from './assigned-partition.ts'
import type { BadKafkaRecord, BadRecords } from './bad-records.ts'
import { LookupNeeded, type ValueDecoder } from './decode.ts'
import type { Isolation } from './settings.ts'
import type { KafkaPosition, KafkaSplit } from './split.ts'

/** A record with what Kafka holds beside its value. */
export interface KafkaRecord<T, K = Buffer> {
  readonly topic: string
  readonly partition: number
  readonly offset: number
  /** Milliseconds since 1970. */
  readonly timestamp: number
  readonly key: K | null
  /** Null: a tombstone. */
  readonly value: T | null
  readonly headers: readonly RecordHeader[]
}

export interface SlicesOptions<T> {
  readonly isolation: Isolation
  readonly maxBatchRecords: number
  readonly decode: ValueDecoder<T>
  /** Of keys, where whole records are given out; undefined: values are. */
  readonly key: ValueDecoder<unknown> | undefined
  readonly timestamp: ((value: T) => number) | undefined
  readonly bad: BadRecords
}

export type KafkaPolled<T> = Polled<T, KafkaSplit, KafkaPosition>

/** Of the bytes of records, decompressed. */
const SLICE_BYTES = 256 * 1024
const NO_KAFKA_TIMESTAMP = -1
/** So many times its batch a view may keep alive. */
const MOST_KEPT = 5

interface Opened {
  readonly partition: AssignedPartition
  readonly chunk: Chunk
  readonly batches: readonly RecordBatch[]
  /** Of the batch that comes next. */
  next: number
}

interface Slice {
  readonly values: unknown[]
  readonly timestamps: number[]
  readonly bad: BadKafkaRecord[]
  bytes: number
}

export class RecordSlices<T> {
  readonly #options: SlicesOptions<T>
  readonly #keepsBytes: boolean
  readonly #columns = new RecordColumns()
  #opened: Opened | undefined
  #batch: RecordBatch | undefined
  /** Of the next record in the columns. */
  #at = 0

  constructor(options: SlicesOptions<T>) {
    this.#options = options
    this.#keepsBytes = options.decode.keepsBytes === true || options.key !== undefined
  }

  get isDone(): boolean {
    return this.#opened === undefined
  }

  /** Before it the one before must be done. @throws TerminalError for bytes that are damaged */
  open(partition: AssignedPartition, chunk: Chunk): void {
    const { isolation } = this.#options
    const all = named(partition, () => readBatches(chunk.records))
    const aborted = isolation === 'read_committed' ? chunk.abortedTransactions : []
    const batches = named(partition, () => committedBatches(all, aborted))
    this.#opened = { partition, chunk, batches, next: 0 }
    this.#batch = undefined
    this.#at = 0
    this.#columns.count = 0
  }

  /** The next slice of what is open, perhaps without records. @throws LookupNeeded if it would have to wait; TerminalError for a bad record */
  next(): KafkaPolled<unknown> | undefined {
    const opened = this.#opened
    if (opened === undefined) return undefined
    const { partition, chunk } = opened
    const slice: Slice = { values: [], timestamps: [], bad: [], bytes: 0 }
    let after = partition.position
    while (slice.values.length + slice.bad.length < this.#options.maxBatchRecords && slice.bytes < SLICE_BYTES) {
      if (this.#at >= this.#columns.count && !this.#openBatch(opened)) {
        after = chunk.after
        this.#opened = undefined
        break
      }
      const lookup = this.#gather(opened, slice)
      const leaderEpoch = this.#batch?.leaderEpoch ?? -1
      if (this.#at > 0) after = { offset: this.#columns.offsetAt(this.#at - 1) + 1, leaderEpoch }
      if (lookup === undefined) continue
      if (slice.values.length + slice.bad.length === 0) throw lookup
      break
    }
    after = withinEnd(after, partition)
    partition.position = { ...after }
    const { values, timestamps, bad } = slice
    const records = { values, timestamps, ...this.#options.bad.take(bad) }
    return { kind: 'records', split: partition.split, records, after }
  }

  #openBatch(opened: Opened): boolean {
    const batch = opened.batches[opened.next]
    if (batch === undefined) return false
    opened.next += 1
    this.#batch = batch
    const columns = this.#columns
    named(opened.partition, () => columns.fill(batch))
    const { bytes } = columns
    // A view that is kept would keep the whole answer of the broker; a fair part of it is not worth a copy.
    if (this.#keepsBytes && bytes.length * MOST_KEPT < bytes.buffer.byteLength) columns.bytes = Buffer.from(bytes)
    const { offset } = opened.partition.position
    // A fetch may begin in the middle of a batch.
    for (this.#at = 0; this.#at < columns.count && columns.offsetAt(this.#at) < offset;) this.#at += 1
    return true
  }

  /** Records of one batch. What it returns stands in the way of the next. */
  #gather({ partition }: Opened, slice: Slice): LookupNeeded | undefined {
    const { maxBatchRecords } = this.#options
    const { count, recordEnds } = this.#columns
    const { end = Infinity } = partition.split
    const from = this.#at
    const most = Math.min(count, from + maxBatchRecords - slice.values.length - slice.bad.length)
    const startByte = from === 0 ? 0 : (recordEnds[from - 1] ?? 0)
    const lastByte = startByte + SLICE_BYTES - slice.bytes
    let at = from
    for (; at < most; at += 1) {
      if (at > from && (recordEnds[at - 1] ?? 0) >= lastByte) break
      if (this.#columns.offsetAt(at) >= end) {
        at = count
        break
      }
      try {
        this.#decode(partition, at, slice)
      } catch (error) {
        this.#at = at
        if (error instanceof LookupNeeded) return error
        this.#bad(partition, slice, error)
      }
    }
    this.#at = at
    slice.bytes += (recordEnds[at - 1] ?? startByte) - startByte
    return undefined
  }

  #decode(partition: AssignedPartition, at: number, slice: Slice): void {
    const { decode, key, timestamp } = this.#options
    const { bytes, valueStarts, valueLengths, timestamps } = this.#columns
    const start = valueStarts[at] as number
    const length = valueLengths[at] as number
    if (length < 0 && key === undefined) throw new SyntaxError('it is a tombstone, without a value; take whole records')
    const value = length < 0 ? null : decode.decodeAt(bytes, start, start + length)
    const stored = timestamps[at] as number
    const time = timestamp === undefined || value === null ? stored : timestamp(value)
    if (!Number.isFinite(time)) throw new TypeError(`its timestamp is ${String(time)}`)
    const made = key === undefined ? value : this.#recordOf(partition, at, { value, key })
    slice.values.push(made)
    slice.timestamps.push(time === NO_KAFKA_TIMESTAMP ? NO_TIMESTAMP : time)
  }

  #recordOf(
    { split }: AssignedPartition,
    at: number,
    { value, key }: { readonly value: T | null; readonly key: ValueDecoder<unknown> },
  ): KafkaRecord<T, unknown> {
    const columns = this.#columns
    const start = columns.keyStarts[at] as number
    const length = columns.keyLengths[at] as number
    return {
      topic: split.topic,
      partition: split.partition,
      offset: columns.offsetAt(at),
      timestamp: columns.timestampAt(at),
      key: length < 0 ? null : key.decodeAt(columns.bytes, start, start + length),
      value,
      headers: columns.headersAt(at),
    }
  }

  /** @throws TerminalError under the policy `fail`, or where it is not the record's fault */
  #bad({ split }: AssignedPartition, slice: Slice, error: unknown): void {
    const columns = this.#columns
    const at = this.#at
    const { topic, partition, id } = split
    const offset = columns.offsetAt(at)
    if (error instanceof SluiceError && !(error instanceof TerminalError)) throw error
    if (error instanceof TerminalError) {
      const place = `${id}, offset ${offset}`
      throw new TerminalError(`${place}: ${error.message}`, { cause: error })
    }
    const [key, value] = [columns.keyAt(at), columns.valueAt(at)]
    const bad = { topic, partition, offset, timestamp: columns.timestampAt(at), key, value, error: messageOf(error) }
    this.#options.bad.note(bad)
    slice.bad.push({ ...bad, key: key && Buffer.from(key), value: value && Buffer.from(value) })
  }
}

/** What lies behind the end of a bounded source was not read: a fetch may bring some of it. */
function withinEnd(after: KafkaPosition, { split: { end = Infinity } }: AssignedPartition): KafkaPosition {
  return after.offset > end ? { offset: end, leaderEpoch: -1 } : after
}

/** @throws TerminalError with the place in front */
function named<R>({ split, position }: AssignedPartition, run: () => R): R {
  try {
    return run()
  } catch (error) {
    if (!(error instanceof TerminalError)) throw error
    const place = `${split.id}, behind offset ${position.offset}`
    throw new TerminalError(`${place}: ${error.message}`, { cause: error })
  }
}
