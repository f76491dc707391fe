/**
 * A directory of files as an exactly-once sink: each epoch's records are in hidden files until its checkpoint is confirmed, then renamed
 * to visible names. A consumer may move or delete a visible file at once: a repeated commit never brings it back (F33).
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
import { filePartCodec, hiddenPart, visibleName, type FilePart } from './committable.ts'
import { FileCommitter, scopeOf } from './committer.ts'
import { FileWriter } from './writer.ts'

export type { FileOperations } from '../../clients/file/operations.ts'
export type { FilePart } from './committable.ts'

export interface FileSinkOptions<T> {
  /** Directory; relative to the working directory of the run; made when missing. Several sinks and jobs may share one. */
  readonly path: string
  /** One line per record: `json()`, `lines()`, or your own. */
  readonly encode: LineEncoder<T>
  /** A part is closed at about this size, and at each checkpoint; default 128 MiB. */
  readonly maxPartBytes?: number
  /** With its dot; default `.ndjson`. */
  readonly extension?: string
  /** For tests: another file system. */
  readonly fs?: FileOperations
}

const DEFAULT_MAX_PART_BYTES = 128 * 1024 * 1024
/** Of Linux file systems. */
const MAX_FILE_NAME_BYTES = 255

/** @throws TerminalError for options that cannot be meant */
export function fileSink<T>(options: FileSinkOptions<T>): Sink<T, FilePart> {
  const { path, maxPartBytes = DEFAULT_MAX_PART_BYTES, extension = '.ndjson', fs = nodeFileOperations } = options
  if (path === '') throw new TerminalError('file sink: path is empty; give the directory to write to')
  if (!(maxPartBytes >= 1))
    throw new TerminalError(`file sink ${path}: maxPartBytes is ${maxPartBytes}; give a positive number`)
  if (!/^(?:\.[A-Za-z0-9_.-]*[A-Za-z0-9_-])?$/.test(extension)) {
    throw new TerminalError(
      `file sink ${path}: extension ${JSON.stringify(extension)} is not one; give something like ".ndjson"`,
    )
  }
  return {
    kind: 'file',
    guarantee: 'exactly-once',
    committableCodec: filePartCodec,
    validate: async (context) => {
      refuseLongNames(extension, context)
      await validateDirectory(path, context)
    },
    scope: () => scopeOf(path),
    createWriter: (context) =>
      FileWriter.create<T>({
        directory: resolve(context.baseDirectory, path),
        encode: options.encode,
        maxPartBytes,
        extension,
        fs,
        context,
      }),
    createCommitter: ({ baseDirectory }) => Promise.resolve(new FileCommitter({ baseDirectory, fs })),
  }
}

/** Job and operator are in every file name, twice-hidden or visible. */
function refuseLongNames(extension: string, { job, operator, longestName }: SinkValidateContext): void {
  const length = Math.max(hiddenPart(longestName).length, visibleName(longestName, extension).length)
  if (length <= MAX_FILE_NAME_BYTES) return
  throw new TerminalError(
    `file sink "${operator}": its files would have names of ${length} characters, ${MAX_FILE_NAME_BYTES} is the limit; ` +
      `shorten the job id "${job}" or the operator id by ${length - MAX_FILE_NAME_BYTES}`,
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
      )
    }
    try {
      await access(at, constants.R_OK | constants.W_OK | constants.X_OK)
    } catch (error) {
      throw new TerminalError(`file sink "${context.operator}" may not write to ${at}: ${messageOf(error)}`, {
        cause: error,
      })
    }
    return
  }
}
