/**
 * Reads the files one after another, batch by batch. All waiting is in `#work`, one piece at a time (an open, a read or a close), which a
 * poll may leave pending without losing anything; decoding happens in `poll`, so that a barrier never waits for it elsewhere.
 */
import { resolve } from 'node:path'
import {
  assert,
  messageOf,
  TerminalError,
  type BadLine,
  type Batch,
  type LineDecoder,
  type Logger,
  type Polled,
  type SourceReader,
} from '../../engine/api/index.ts'
import type { FileFormat } from './file-format.ts'
import { LineFile, type LineBlock } from './line-file.ts'
import { markLength, type FilePosition } from './position.ts'
import type { FileSplit } from './source.ts'

export interface FileReaderOptions<T> {
  readonly baseDirectory: string
  readonly decode: LineDecoder<T> | FileFormat<T>
  readonly onBadLine: 'fail' | 'skip'
  readonly timestamp: ((record: T) => number) | undefined
  readonly blockBytes: number
  readonly logger: Logger
}

type FilePolled<T> = Polled<T, FileSplit, FilePosition>
interface Assigned {
  readonly split: FileSplit
  readonly position: FilePosition
}

/** Of one batch. A string of more is a large object to V8: decoding costs up to twice as much a record. */
const AIM_BYTES = 64 * 1024
/** So that a batch of short lines does not hold the event loop for long. */
const AIM_RECORDS = 4_096
const FIRST_GUESS_LINE_BYTES = 64

export class FileReader<T> implements SourceReader<T, FileSplit, FilePosition> {
  readonly #options: FileReaderOptions<T>
  #queue: Assigned[] = []
  #current: { readonly split: FileSplit; readonly file: LineFile<T> } | undefined
  #work: Promise<void> | undefined
  #failure: { readonly error: unknown } | undefined
  #lineBytes = FIRST_GUESS_LINE_BYTES
  /** Bad lines of the current split, since it was opened. */
  #skipped = 0
  #isDisposed = false

  constructor(options: FileReaderOptions<T>) {
    this.#options = options
  }

  assign(splits: readonly Assigned[]): Promise<void> {
    this.#queue = [...splits]
    return Promise.resolve()
  }

  poll(signal: AbortSignal): Promise<FilePolled<T>> | FilePolled<T> {
    if (signal.aborted) return { kind: 'idle' }
    return this.#next() ?? this.#wait(signal)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isDisposed = true
    await this.#work
    await this.#current?.file[Symbol.asyncDispose]()
    this.#current = undefined
  }

  async #wait(signal: AbortSignal): Promise<FilePolled<T>> {
    const aborted = Promise.withResolvers<void>()
    const onAbort = (): void => aborted.resolve()
    signal.addEventListener('abort', onAbort, { once: true })
    try {
      for (;;) {
        await Promise.race([this.#work, aborted.promise])
        if (signal.aborted || this.#isDisposed) return { kind: 'idle' }
        const polled = this.#next()
        if (polled !== undefined) return polled
      }
    } finally {
      signal.removeEventListener('abort', onAbort)
    }
  }

  /** Undefined: `#work` has to end first. */
  #next(): FilePolled<T> | undefined {
    const current = this.#current
    if (current?.file.hasBlock === true) {
      const block = current.file.take(Math.min(this.#options.blockBytes, AIM_BYTES, AIM_RECORDS * this.#lineBytes))
      this.#readAhead()
      return this.#decode(current, block)
    }
    if (this.#failure !== undefined) throw this.#failure.error
    if (this.#work !== undefined) return undefined
    if (current === undefined) {
      const next = this.#queue.shift()
      if (next === undefined) return { kind: 'ended' }
      this.#start(() => this.#open(next))
      return undefined
    }
    if (!current.file.isDrained) {
      this.#start(() => current.file.read())
      return undefined
    }
    this.#current = undefined
    if (this.#skipped > 1) this.#options.logger.warn(`${current.split.id}: ${this.#skipped} bad lines were skipped`)
    this.#skipped = 0
    this.#start(() => current.file[Symbol.asyncDispose]())
    return { kind: 'split-ended', split: current.split }
  }

  #readAhead(): void {
    const file = this.#current?.file
    if (file === undefined || !file.isLow || this.#work !== undefined || this.#failure !== undefined) return
    this.#start(() => file.read())
  }

  async #open({ split, position }: Assigned): Promise<void> {
    const path = resolve(this.#options.baseDirectory, split.id)
    const { decode, blockBytes: readBytes } = this.#options
    const format = 'openFile' in decode ? decode : undefined
    this.#current = { split, file: await LineFile.open({ path, position, readBytes, format }) }
  }

  #start(work: () => Promise<void>): void {
    this.#work = work().then(
      () => {
        this.#work = undefined
      },
      (error: unknown) => {
        this.#work = undefined
        // Thrown by the poll that gets there: what was read before is good.
        this.#failure = { error }
      },
    )
  }

  #decode({ split, file }: { readonly split: FileSplit; readonly file: LineFile<T> }, block: LineBlock): FilePolled<T> {
    const { decode } = this.#options
    const decoder = 'decodeBlock' in decode ? decode : file.decoder
    assert(decoder !== undefined, () => `${split.id} is open without a decoder`)
    // Formats that open the file themselves have seen the mark.
    const mark = block.offset === 0 && decoder === decode ? markLength(block.bytes) : 0
    const { values, bad } = decoder.decodeBlock(block.bytes.subarray(mark), block.offset)
    const [first] = bad
    if (first !== undefined && this.#options.onBadLine === 'fail') {
      this.#failure = { error: badLine(split, block.offset + mark, first) }
      throw this.#failure.error
    }
    if (first !== undefined) this.#skip(bad.length, () => `${placeOf(split, block.offset + mark, first)}: skipped`)
    this.#lineBytes = Math.max(1, block.bytes.length / Math.max(1, values.length + bad.length))
    const { timestamp } = this.#options
    const records: Batch<T> = {
      values,
      ...(bad.length === 0 ? {} : { skipped: bad.length }),
      ...(timestamp === undefined ? {} : { timestamps: timestampsOf(values, timestamp, { split, block }) }),
    }
    return { kind: 'records', split, records, after: block.after }
  }

  /** The first of a file is told with its place, all of them by number when the file ends. */
  #skip(count: number, tell: () => string): void {
    if (this.#skipped === 0) this.#options.logger.warn(tell())
    this.#skipped += count
  }
}

function placeOf(split: FileSplit, blockOffset: number, bad: BadLine): string {
  return `${split.id}, byte ${blockOffset + bad.offset}: ${bad.reason}: ${JSON.stringify(bad.excerpt)}`
}

function timestampsOf<T>(
  values: readonly T[],
  timestamp: (record: T) => number,
  { split, block }: { readonly split: FileSplit; readonly block: LineBlock },
): Float64Array {
  const timestamps = new Float64Array(values.length)
  for (const [index, value] of values.entries()) {
    const found = timestamp(value)
    if (!Number.isFinite(found)) {
      throw new TerminalError(
        `${split.id}, record ${index + 1} from byte ${block.offset} on: its timestamp is ${String(found)}: ` +
          `${excerptOf(value)}. Let \`timestamp\` give milliseconds since 1970`,
      )
    }
    timestamps[index] = found
  }
  return timestamps
}

function excerptOf(value: unknown): string {
  try {
    return JSON.stringify(value)?.slice(0, 120) ?? String(value)
  } catch (error) {
    return messageOf(error)
  }
}

function badLine(split: FileSplit, blockOffset: number, bad: BadLine): TerminalError {
  return new TerminalError(
    `${placeOf(split, blockOffset, bad)}. Mend the line, or pass over bad lines with onBadLine: 'skip'`,
  )
}
