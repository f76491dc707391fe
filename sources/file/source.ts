/**
 * Files as a source: the records of one file, a directory or a glob, as lines, NDJSON or CSV, compressed or not. Each file is a split. Bounded:
 * the files found at start, each to its end, read in path order, one after another; or unbounded: they are followed as they grow.
 * Exactly-once: a position is a byte, and a file that shrank or was rewritten below it is an error that names it (F20).
 */
import {
  messageOf,
  TerminalError,
  type DiscoveredSplit,
  type LineDecoder,
  type Source,
  type SourceContext,
  type ValidateContext,
} from '../../engine/api/index.ts'
import type { BadLinePolicy } from './bad-lines.ts'
import { byPath, canMatchLater, findFiles, type FoundFile } from './find-files.ts'
import { refuseCompressed, type CompressionChoice } from './file-bytes.ts'
import type { FileFormat } from './file-format.ts'
import { FollowingReader } from './following-reader.ts'
import { FILE_START, type FilePosition } from './position.ts'
import { FileReader } from './reader.ts'

/** What is read, and how. */
export interface FileSourceOptions<T> {
  /** A file, a directory (its files, not those of subdirectories) or a glob; relative to the working directory of the run. */
  readonly path: string
  /** `json()` or `lines()` of sluice, `csv()`, or your own. */
  readonly decode: LineDecoder<T> | FileFormat<T>
  /**
   * `fail` (default): the job stops at the line and names it. `skip`: it is passed over and counted; the log names the first of a file,
   * and how many there were. `side`: it goes out, whole, as a record of the side output {@link badLines}; the log tells as for `skip`.
   */
  readonly onBadLine?: BadLinePolicy
  /**
   * `auto` (default): by the extension, `.gz` or `.zst`. A position in a compressed file is a byte of its content: to go on from there it is
   * decompressed from its beginning.
   */
  readonly compression?: CompressionChoice
  /**
   * Files never end (default false): whole lines are read as they are appended, a last line without its end waits. All files are followed at
   * once, 1,000 at most by each subtask and none of them compressed; new ones are found while the job runs, and read from their beginning. A
   * file that is truncated, rewritten, renamed or removed while it is followed is an error that names it.
   */
  readonly follow?: boolean
  /** With `follow`: new files are looked for this often, default 1,000 ms. */
  readonly discoverEveryMs?: number
  /** Event time of a record, milliseconds since 1970. */
  readonly timestamp?: (record: T) => number
  /** Bytes per read, default 256 KiB; a line may be longer. A batch is of 64 KiB at most, or a line. */
  readonly blockBytes?: number
}

/** One file. */
export interface FileSplit {
  /** The path, relative to the base directory. */
  readonly id: string
  /** Of a followed one: which file it was when it was found, by whatever name. */
  readonly file?: string
}

export { badLines, type BadFileLine, type BadLinePolicy } from './bad-lines.ts'
export { csv, type CsvOptions } from './csv.ts'
export type { CompressionChoice } from './file-bytes.ts'
export type { CutAt, FileBytes, FileDecoder, FileFormat } from './file-format.ts'
export type { FilePosition } from './position.ts'

const DEFAULT_BLOCK_BYTES = 256 * 1024
const DEFAULT_DISCOVER_EVERY_MS = 1_000

/** @throws TerminalError for options that cannot be meant */
export function fileSource<T>(options: FileSourceOptions<T>): Source<T, FileSplit, FilePosition> {
  const blockBytes = options.blockBytes ?? DEFAULT_BLOCK_BYTES
  if (!Number.isSafeInteger(blockBytes) || blockBytes < 1) {
    throw new TerminalError(`blockBytes of a file source is ${blockBytes}; give a positive number of bytes`, {
      code: 'SLUICE_CONNECTOR_OPTION_INVALID',
    })
  }
  const { follow = false, compression = 'auto' } = options
  if (!['auto', 'gzip', 'zstd', 'none'].includes(compression)) {
    throw new TerminalError(`compression of a file source is ${String(compression)}; give auto, gzip, zstd or none`, {
      code: 'SLUICE_CONNECTOR_OPTION_INVALID',
    })
  }
  if (options.path === '')
    throw new TerminalError('file source: path is empty; give a file, a directory or a glob', {
      code: 'SLUICE_CONNECTOR_OPTION_INVALID',
    })
  if (options.discoverEveryMs !== undefined && !follow) {
    throw new TerminalError(
      'file source: discoverEveryMs means nothing when files are read to their end; set follow: true',
      { code: 'SLUICE_CONNECTOR_OPTION_INVALID' },
    )
  }
  return {
    kind: 'file',
    guarantee: 'exactly-once',
    ...(follow ? { discoverEveryMs: options.discoverEveryMs ?? DEFAULT_DISCOVER_EVERY_MS } : {}),
    validate: async (context: ValidateContext) => {
      const found = await findAtFirst(options, context)
      if (follow) for (const { name } of found) refuseCompressed(name, compression)
    },
    discover: async (context: SourceContext, known): Promise<readonly DiscoveredSplit<FileSplit, FilePosition>[]> => {
      const found = await findFiles(options.path, context.baseDirectory)
      const splits = splitsOf(found, known, follow)
      return splits.map((split) => ({ split, start: FILE_START }))
    },
    createReader: (context) => {
      const reading = {
        baseDirectory: context.baseDirectory,
        decode: options.decode,
        compression,
        onBadLine: options.onBadLine ?? 'fail',
        timestamp: options.timestamp,
        blockBytes,
        logger: context.logger,
        metrics: context.metrics,
      }
      return Promise.resolve(follow ? new FollowingReader<T>(reading, context.clock) : new FileReader<T>(reading))
    },
  }
}

/** @throws TerminalError if there is none, and none can come, or if they cannot be listed */
async function findAtFirst(
  { path, follow = false }: Pick<FileSourceOptions<unknown>, 'path' | 'follow'>,
  { baseDirectory, logger }: ValidateContext,
): Promise<readonly FoundFile[]> {
  const found = await findFiles(path, baseDirectory).catch((error: unknown) => {
    throw new TerminalError(messageOf(error), { cause: error })
  })
  if (found.length > 0) return found
  const what = `no file matches ${JSON.stringify(path)} in ${baseDirectory}`
  if (!follow || !(await canMatchLater(path, baseDirectory))) {
    throw new TerminalError(`${what}; check the path of the file source`, { code: 'SLUICE_INPUT_MISSING' })
  }
  logger.warn(`${what} yet; it is looked for`)
  return []
}

/** Known ones as they are. @throws TerminalError where a name is new and the file is not (rotation): it would be read a second time */
function splitsOf(found: readonly FoundFile[], known: readonly FileSplit[], follow: boolean): readonly FileSplit[] {
  const splits = new Map(known.map((split) => [split.id, split]))
  const names = new Map(known.map(({ id, file }) => [file, id]))
  for (const { name: id, identity: file } of found) {
    if (splits.has(id)) continue
    splits.set(id, follow ? { id, file } : { id })
    const before = follow ? names.get(file) : undefined
    if (before !== undefined) throw renamed(before, id)
  }
  return [...splits.values()].toSorted((one, other) => byPath(one.id, other.id))
}

function renamed(before: string, now: string): TerminalError {
  return new TerminalError(
    `${now} is the file that is followed as ${before}: it was renamed, or has a second name now. Bring it back under its name alone, and ` +
      'let what comes later go to files of other names: what is rotated away must not match the path of the source',
    { code: 'SLUICE_INPUT_RENAMED' },
  )
}
