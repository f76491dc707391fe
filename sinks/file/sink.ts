/**
 * A directory of files as an exactly-once sink: each epoch's records are in hidden files until its checkpoint is confirmed, then renamed
 * to visible names. A consumer may move or delete a visible file at once: a repeated commit never brings it back (F33).
 */
import { constants } from 'node:fs'
import { access, stat } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import {
  messageOf,
  TerminalError,
  type LineEncoder,
  type Sink,
  type ValidateContext,
} from '../../engine/api/index.ts'
import { filePartCodec, type FilePart } from './committable.ts'
import { FileCommitter } from './committer.ts'
import { FileWriter } from './writer.ts'

export interface FileSinkOptions<T> {
  /** Directory; relative to the working directory of the run; made when missing (its parent must exist or be creatable). */
  readonly path: string
  readonly encode: LineEncoder<T>
  /** A part is closed at this size and at each checkpoint; default 128 MiB. */
  readonly maxPartBytes?: number
  /** Default `.ndjson`. */
  readonly extension?: string
}

const DEFAULT_MAX_PART_BYTES = 128 * 1024 * 1024

export function fileSink<T>(options: FileSinkOptions<T>): Sink<T, FilePart> {
  return {
    kind: 'file',
    guarantee: 'exactly-once',
    committableCodec: filePartCodec,
    validate: (context) => validateDirectory(options.path, context),
    scope: () => new TextEncoder().encode(JSON.stringify({ directory: options.path })),
    createWriter: (context) =>
      FileWriter.open<T>({
        directory: resolve(context.baseDirectory, options.path),
        encode: options.encode,
        maxPartBytes: options.maxPartBytes ?? DEFAULT_MAX_PART_BYTES,
        extension: options.extension ?? '.ndjson',
        context,
      }),
    createCommitter: (context) => Promise.resolve(new FileCommitter(context.baseDirectory)),
  }
}

/** The nearest existing parent must be a directory we may write to. */
async function validateDirectory(path: string, context: ValidateContext): Promise<void> {
  const directory = resolve(context.baseDirectory, path)
  for (let at = directory; ; at = dirname(at)) {
    const info = await stat(at).catch(() => undefined)
    if (info === undefined && at !== dirname(at)) continue
    if (info?.isDirectory() !== true) throw new TerminalError(`file sink "${context.operator}": ${at} is not a directory`)
    try {
      await access(at, constants.W_OK | constants.X_OK)
    } catch (error) {
      throw new TerminalError(`file sink "${context.operator}" may not write to ${at}: ${messageOf(error)}`, { cause: error })
    }
    return
  }
}
