/** One split that is being read: its file, and what its blocks decode to. */
import { resolve } from 'node:path'
import {
  assert,
  messageOf,
  TerminalError,
  type Batch,
  type LineDecoder,
  type Logger,
  type Metrics,
  type Polled,
} from '../../engine/api/index.ts'
import { BadLines, type BadLinePolicy } from './bad-lines.ts'
import type { CompressionChoice } from './file-bytes.ts'
import type { FileFormat } from './file-format.ts'
import { LineFile, type LineBlock } from './line-file.ts'
import { markLength, type FilePosition } from './position.ts'
import type { FileSplit } from './source.ts'

export interface FileReaderOptions<T> {
  readonly baseDirectory: string
  readonly decode: LineDecoder<T> | FileFormat<T>
  readonly compression: CompressionChoice
  readonly onBadLine: BadLinePolicy
  readonly timestamp: ((record: T) => number) | undefined
  readonly blockBytes: number
  readonly logger: Logger
  readonly metrics: Metrics
}

export type FilePolled<T> = Polled<T, FileSplit, FilePosition>

export interface Assigned {
  readonly split: FileSplit
  readonly position: FilePosition
}

/** Of one batch. A string of more is a large object to V8: decoding costs up to twice as much a record. */
const AIM_BYTES = 64 * 1024
/** So that a batch of short lines does not hold the event loop for long. */
const AIM_RECORDS = 4_096
const FIRST_GUESS_LINE_BYTES = 64

export class OpenSplit<T> implements AsyncDisposable {
  readonly split: FileSplit
  readonly file: LineFile<T>
  readonly #options: FileReaderOptions<T>
  readonly #badLines: BadLines
  #lineBytes = FIRST_GUESS_LINE_BYTES

  private constructor(split: FileSplit, file: LineFile<T>, options: FileReaderOptions<T>) {
    this.split = split
    this.file = file
    this.#options = options
    this.#badLines = new BadLines(options.onBadLine, options)
  }

  /** @throws TerminalError if the file is gone or is not what was read before */
  static async open<T>(
    { split, position }: Assigned,
    options: FileReaderOptions<T>,
    isGrowing: boolean,
  ): Promise<OpenSplit<T>> {
    const { baseDirectory, compression, decode, blockBytes: readBytes } = options
    const path = resolve(baseDirectory, split.id)
    const format = 'openFile' in decode ? decode : undefined
    const file = await LineFile.open({ path, position, readBytes, format, compression, isGrowing })
    return new OpenSplit(split, file, options)
  }

  /** Of what the file has ready; a read may go on while it is decoded. */
  nextBlock(): LineBlock {
    return this.file.take(Math.min(this.#options.blockBytes, AIM_BYTES, AIM_RECORDS * this.#lineBytes))
  }

  /** @throws TerminalError for a record that must not be passed over */
  decode(block: LineBlock): FilePolled<T> {
    const { split, file } = this
    const { decode, timestamp } = this.#options
    const decoder = 'decodeBlock' in decode ? decode : file.decoder
    assert(decoder !== undefined, () => `${split.id} is open without a decoder`)
    // Formats that open the file themselves have seen the mark.
    const mark = block.offset === 0 && decoder === decode ? markLength(block.bytes) : 0
    const bytes = block.bytes.subarray(mark)
    const { values, bad } = decoder.decodeBlock(bytes, block.offset)
    const told = this.#badLines.take({ path: split.id, bytes, offset: block.offset + mark, bad })
    this.#lineBytes = Math.max(1, block.bytes.length / Math.max(1, values.length + bad.length))
    const records: Batch<T> = {
      values,
      ...told,
      ...(timestamp === undefined ? {} : { timestamps: timestampsOf(values, timestamp, { split, block }) }),
    }
    return { kind: 'records', split, records, after: block.after }
  }

  /** Nothing more of it is read. */
  end(): void {
    this.#badLines.end(this.split.id)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.file[Symbol.asyncDispose]()
  }
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
        { code: 'SLUICE_TIMESTAMP_INVALID' },
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
