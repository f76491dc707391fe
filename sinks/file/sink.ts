/**
 * A directory of files as an exactly-once sink: each epoch's records are in hidden files until its checkpoint is confirmed, then renamed
 * to visible names. A consumer may move or delete a visible file at once: a repeated commit never brings it back (F33). With
 * `rolling: 'when-full'` a hidden file may hold several epochs' records: it is durable at each checkpoint, and renamed when it is complete.
 *
 * Visible: `part-<generation>--<operator>--<subtask>--<counter>--<job>--<lineage><extension>`, one line per record, sorted by name = in commit
 * order per subtask. Everything that starts with a dot is ours. Disk space of a removed file is free once its commit is settled.
 */
import { constants } from 'node:fs'
import { access, stat } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { nodeFileOperations, type FileOperations } from '../../clients/file/operations.ts'
import {
  messageOf,
  TerminalError,
  type LineEncoder,
  type Sink,
  type SinkValidateContext,
  type ValidateContext,
} from '../../engine/api/index.ts'
import { extensionOf, type Compression } from '../../clients/file/compression.ts'
import { filePartCodec, hiddenPart, visibleName, type FilePart } from './committable.ts'
import { FileCommitter, scopeOf } from './committer.ts'
import type { FileFormat } from './file-format.ts'
import { openPartCodec, type OpenPart } from './open-part.ts'
import { FileWriter } from './writer.ts'

export { encodeCsv, type CsvField, type CsvSinkOptions } from './csv.ts'
export type { FileEncoder, FileFormat } from './file-format.ts'
export type { OpenPart } from './open-part.ts'
export type { Compression } from '../../clients/file/compression.ts'
export type { DirectoryEntry, FileFacts, FileOperations } from '../../clients/file/operations.ts'
export type { FilePart } from './committable.ts'

/** Where to, in which form, in files of which size. */
export interface FileSinkOptions<T> {
  /** Directory; relative to the working directory of the run; made when missing. Several sinks and jobs may share one. */
  readonly path: string
  /** One line per record: `json()`, `lines()`, `encodeCsv()`, or your own. */
  readonly encode: LineEncoder<T> | FileFormat<T>
  /** A part is closed at about this size, of the file if it is compressed; default 128 MiB. */
  readonly maxPartBytes?: number
  /**
   * `each-checkpoint` (default): a part is closed at each checkpoint too, so that its records are visible as soon as they can be.
   * `when-full`: it stays open until it is full or `maxPartAgeMs` old, or the input ends: larger files, later. Its records are part of
   * each checkpoint meanwhile. A stop leaves it hidden for the next start, which completes it at its first checkpoint; so does a restart.
   */
  readonly rolling?: 'each-checkpoint' | 'when-full'
  /** With `when-full`: it is closed at the first checkpoint behind this age; default: at its size alone, however long that takes. */
  readonly maxPartAgeMs?: number
  /** Default: none. Adds `.gz` or `.zst` to the extension. */
  readonly compression?: Compression
  /** With its dot; default `.ndjson`. */
  readonly extension?: string
  /** For tests: another file system. */
  readonly fs?: FileOperations
}

const DEFAULT_MAX_PART_BYTES = 128 * 1024 * 1024
/** Of Linux file systems. */
const MAX_FILE_NAME_BYTES = 255

/** @throws TerminalError for options that cannot be meant */
export function fileSink<T>(options: FileSinkOptions<T>): Sink<T, FilePart, OpenPart> {
  const { path, compression, maxPartBytes = DEFAULT_MAX_PART_BYTES, fs = nodeFileOperations } = options
  const extension = withCompression(options.extension ?? '.ndjson', compression)
  refuseOptions(options, extension)
  const staysOpen = options.rolling === 'when-full' ? { maxAgeMs: options.maxPartAgeMs ?? Infinity } : undefined
  const writing = { encode: options.encode, maxPartBytes, staysOpen, compression, extension, fs }
  return {
    kind: 'file',
    guarantee: 'exactly-once',
    committableCodec: filePartCodec,
    writerStateCodec: openPartCodec,
    validate: async (context) => {
      refuseLongNames(extension, context)
      await validateDirectory(path, context)
    },
    scope: () => scopeOf(path),
    createWriter: (context, restored) =>
      FileWriter.create<T>({ ...writing, directory: resolve(context.baseDirectory, path), context }, restored),
    createCommitter: ({ baseDirectory }) => Promise.resolve(new FileCommitter({ baseDirectory, fs })),
  }
}

function withCompression(extension: string, compression: Compression | undefined): string {
  if (compression === undefined || extension.endsWith(extensionOf(compression))) return extension
  return extension + extensionOf(compression)
}

function refuseOptions(options: FileSinkOptions<never>, extension: string): void {
  const { path, maxPartBytes = 1, maxPartAgeMs, rolling = 'each-checkpoint', compression } = options
  if (path === '')
    throw new TerminalError('file sink: path is empty; give the directory to write to', {
      code: 'SLUICE_CONNECTOR_OPTION_INVALID',
    })
  const refuse = (what: string, cure: string): never => {
    throw new TerminalError(`file sink ${path}: ${what}; ${cure}`, { code: 'SLUICE_CONNECTOR_OPTION_INVALID' })
  }
  if (!(maxPartBytes >= 1)) refuse(`maxPartBytes is ${maxPartBytes}`, 'give a positive number')
  if (!/^(?:\.[A-Za-z0-9_.-]*[A-Za-z0-9_-])?$/.test(extension)) {
    refuse(`extension ${JSON.stringify(extension)} is not one`, 'give something like ".ndjson"')
  }
  if (!['each-checkpoint', 'when-full'].includes(rolling)) {
    refuse(`rolling is ${String(rolling)}`, "give 'each-checkpoint' or 'when-full'")
  }
  if (compression !== undefined && !['gzip', 'zstd'].includes(compression)) {
    refuse(`compression is ${String(compression)}`, "give 'gzip' or 'zstd', or leave it out")
  }
  if (maxPartAgeMs === undefined) return
  if (!(maxPartAgeMs >= 0)) refuse(`maxPartAgeMs is ${maxPartAgeMs}`, 'give a number of milliseconds')
  if (rolling !== 'when-full')
    refuse('maxPartAgeMs means nothing when each checkpoint closes a part', "set rolling: 'when-full'")
}

/** Job and operator are in every file name, twice-hidden or visible. */
function refuseLongNames(extension: string, { job, operator, longestName }: SinkValidateContext): void {
  const length = Math.max(hiddenPart(longestName).length, visibleName(longestName, extension).length)
  if (length <= MAX_FILE_NAME_BYTES) return
  throw new TerminalError(
    `file sink "${operator}": its files would have names of ${length} characters, ${MAX_FILE_NAME_BYTES} is the limit; ` +
      `shorten the job id "${job}" or the operator id by ${length - MAX_FILE_NAME_BYTES}`,
    { code: 'SLUICE_ID_INVALID' },
  )
}

/** The nearest parent that is there must be a directory we may write to. */
async function validateDirectory(path: string, context: ValidateContext): Promise<void> {
  const directory = resolve(context.baseDirectory, path)
  for (let at = directory; ; at = dirname(at)) {
    const info = await stat(at).catch(() => undefined)
    if (info === undefined && at !== dirname(at)) continue
    if (info?.isDirectory() !== true) {
      throw new TerminalError(
        `file sink "${context.operator}": ${at} is not a directory; give another path than ${path}`,
        { code: 'SLUICE_OUTPUT_NOT_WRITABLE' },
      )
    }
    try {
      await access(at, constants.R_OK | constants.W_OK | constants.X_OK)
    } catch (error) {
      throw new TerminalError(
        `file sink "${context.operator}" may not write to ${at}: ${messageOf(error)}; let the user of this process write there`,
        {
          code: 'SLUICE_OUTPUT_NOT_WRITABLE',
          cause: error,
        },
      )
    }
    return
  }
}
