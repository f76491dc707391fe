/**
 * Files as a source: the records of one file, a directory or a glob, as lines, NDJSON or CSV, compressed or not. Each file is a split. Bounded:
 * the files found at start, each to its end, read in path order, one after another; or unbounded: they are followed as they grow.
 * Exactly-once: a position is a byte, and a file that shrank or was rewritten below it is an error that names it (F20).
 */
import { glob, readdir, stat } from 'node:fs/promises'
import { isAbsolute, join, relative, resolve, sep } from 'node:path'
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
import { refuseCompressed, type CompressionChoice } from './file-bytes.ts'
import type { FileFormat } from './file-format.ts'
import { FollowingReader } from './following-reader.ts'
import { FILE_START, type FilePosition } from './position.ts'
import { FileReader } from './reader.ts'

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
   * Files never end (default false): whole lines are read as they are appended, a last line without its end waits. All files that are found at
   * a start are followed at once, 1,000 at most and none of them compressed; new ones are found at the next start, and read from their
   * beginning. A file that is truncated, rewritten, renamed or removed while it is followed is an error that names it.
   */
  readonly follow?: boolean
  /** Event time of a record, milliseconds since 1970. */
  readonly timestamp?: (record: T) => number
  /** Bytes per read, default 256 KiB; a line may be longer. A batch is of 64 KiB at most, or a line. */
  readonly blockBytes?: number
}

export interface FileSplit {
  /** The path, relative to the base directory. */
  readonly id: string
}

export { badLines, type BadFileLine, type BadLinePolicy } from './bad-lines.ts'
export { csv, type CsvOptions } from './csv.ts'
export type { CompressionChoice } from './file-bytes.ts'
export type { FileBytes, FileDecoder, FileFormat } from './file-format.ts'
export type { FilePosition } from './position.ts'

const DEFAULT_BLOCK_BYTES = 256 * 1024

/** @throws TerminalError for options that cannot be meant */
export function fileSource<T>(options: FileSourceOptions<T>): Source<T, FileSplit, FilePosition> {
  const blockBytes = options.blockBytes ?? DEFAULT_BLOCK_BYTES
  if (!Number.isSafeInteger(blockBytes) || blockBytes < 1) {
    throw new TerminalError(`blockBytes of a file source is ${blockBytes}; give a positive number of bytes`)
  }
  const { follow = false, compression = 'auto' } = options
  if (!['auto', 'gzip', 'zstd', 'none'].includes(compression)) {
    throw new TerminalError(`compression of a file source is ${String(compression)}; give auto, gzip, zstd or none`)
  }
  if (options.path === '') throw new TerminalError('file source: path is empty; give a file, a directory or a glob')
  const findAll = async (baseDirectory: string): Promise<readonly string[]> => {
    const found = await findFiles(options.path, baseDirectory)
    if (found.length > 0) return found
    throw new TerminalError(
      `no file matches ${JSON.stringify(options.path)} in ${baseDirectory}; check the path of the file source`,
    )
  }
  return {
    kind: 'file',
    guarantee: 'exactly-once',
    validate: async (context: ValidateContext) => {
      const found = await findAll(context.baseDirectory)
      if (follow) for (const file of found) refuseCompressed(file, compression)
    },
    discover: async (context: SourceContext, known): Promise<readonly DiscoveredSplit<FileSplit, FilePosition>[]> => {
      const ids = new Set([
        ...known.map((split) => split.id),
        ...(await findFiles(options.path, context.baseDirectory)),
      ])
      return [...ids].toSorted(byPath).map((id) => ({ split: { id }, start: FILE_START }))
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

function byPath(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

/** Regular files only, hidden ones left out of directories, in path order. */
async function findFiles(path: string, baseDirectory: string): Promise<readonly string[]> {
  const absolute = resolve(baseDirectory, path)
  const found: string[] = []
  for (const candidate of await candidatesFor(path, absolute, baseDirectory)) {
    const info = await stat(candidate).catch((error: unknown) => {
      throw new TerminalError(`cannot read ${candidate}: ${messageOf(error)}. Remove it, or make it readable`, {
        cause: error,
      })
    })
    if (info.isFile()) found.push(nameOf(candidate, baseDirectory))
  }
  return found.toSorted(byPath)
}

/** A path that exists is meant as it stands, with whatever characters; else it is a glob. */
async function candidatesFor(path: string, absolute: string, baseDirectory: string): Promise<readonly string[]> {
  const info = await stat(absolute).catch(() => undefined)
  if (info?.isDirectory() === true) {
    const names = await readdir(absolute)
    return names.filter((name) => !name.startsWith('.')).map((name) => join(absolute, name))
  }
  if (info !== undefined) return [absolute]
  const found: string[] = []
  for await (const match of glob(path, { cwd: baseDirectory })) {
    found.push(isAbsolute(match) ? match : resolve(baseDirectory, match))
  }
  return found
}

function nameOf(absolute: string, baseDirectory: string): string {
  const name = relative(baseDirectory, absolute)
  return name === '..' || name.startsWith(`..${sep}`) ? absolute : name
}
