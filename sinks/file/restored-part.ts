/**
 * A part that was open at the checkpoint from which a writer is restored: what is valid of it is copied into a part of this generation,
 * which is complete then and becomes visible with the next checkpoint.
 *
 * Never continued, completed, linked or cut short in place. Whoever opened it may only be paused and may append to it at any time, at
 * its own offset: behind a truncation, into a second link, behind a commit. A copy shares nothing with it (C3, F14):
 *
 * - What a zombie appends lies behind the valid bytes, which were fsynced before the checkpoint completed and never change again: the copy
 *   does not look there. It may seal its part too; no log entry names it, so nobody may commit it.
 * - The copy bears a name of our own generation (C5). Until a checkpoint holds it as a committable, the old part is in the writer state of the
 *   newest one and kept by every sweep (`keepWriterState`): a crash before, during or after the copy starts over from the old part, and the
 *   copy is swept as a leftover (F4, F34). Never both: the cut that hands out the copy no longer lists the old part (C4).
 * - The old part goes when the copy's commit is settled (`forget`), or with a later sweep. Only a rollback to an older checkpoint can still
 *   ask for it then: in a new lineage, when what it held has been delivered, by itself or by its copy. So there, and only there, a part
 *   that is gone is passed over; in its own lineage it is a loss, and said (C7, F18).
 */
import { join } from 'node:path'
import type { Compression } from '../../clients/file/compression.ts'
import { Decompressor } from '../../clients/file/decompressor.ts'
import { codeOf, type FileOperations } from '../../clients/file/operations.ts'
import { TerminalError, type WriterContext } from '../../engine/api/index.ts'
import { hiddenPart, visibleName } from './committable.ts'
import type { OpenPart } from './open-part.ts'
import { Part } from './part.ts'

export interface RestoreOptions {
  /** Of our own parts; absolute. */
  readonly directory: string
  readonly fs: FileOperations
  readonly context: Pick<WriterContext, 'nextName' | 'lineage' | 'operator' | 'signal' | 'logger'>
}

const COPY_BYTES = 512 * 1024

/** Sealed. Undefined: it is gone, and was delivered. @throws TerminalError if valid bytes of it are gone */
export async function copyOfOpenPart(open: OpenPart, options: RestoreOptions): Promise<Part | undefined> {
  const { directory, fs, context } = options
  const path = join(open.directory, hiddenPart(open.name))
  const fd = await openedFor(open, path, options)
  if (fd === undefined) return undefined
  const compression = open.compression === 'none' ? undefined : open.compression
  const name = context.nextName()
  const visible = visibleName(name, open.extension)
  const replaces = { directory: open.directory, name: open.name }
  const part = new Part({ directory, name, visible, compression, replaces, fs })
  try {
    await copyValid(part, open, { path, fd, compression }, options)
    await part.seal()
    return part
  } catch (error) {
    await part.abandon()
    throw error
  } finally {
    await fs.close(fd)
  }
}

async function copyValid(
  part: Part,
  open: OpenPart,
  from: { readonly path: string; readonly fd: number; readonly compression: Compression | undefined },
  { fs, context }: RestoreOptions,
): Promise<void> {
  const { path, fd, compression } = from
  const read = (at: number, length: number): Promise<Buffer> => readUpTo(fs, fd, at, length)
  // Behind the valid bytes there may be anything: a torn chunk, zeros after a power loss.
  const reading = { path, read, givesAllBeforeDamage: true }
  await using content = compression === undefined ? undefined : new Decompressor({ ...reading, compression })
  // One is written while the next is read.
  let before: Promise<void> = Promise.resolve()
  for (let left = open.contentBytes; left > 0;) {
    context.signal.throwIfAborted()
    const piece =
      content === undefined ? await read(open.contentBytes - left, Math.min(left, COPY_BYTES)) : await content.next()
    if (piece === undefined || piece.length === 0)
      throw lost(open, path, context, `has only ${open.contentBytes - left}`)
    const valid = piece.subarray(0, left)
    await before
    before = part.append(valid)
    before.catch(() => undefined)
    left -= valid.length
  }
}

async function openedFor(open: OpenPart, path: string, { fs, context }: RestoreOptions): Promise<number | undefined> {
  try {
    return await fs.openForReading(path)
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error
    if (open.lineage === context.lineage) throw lost(open, path, context, 'is gone')
    context.logger.info(`${path} was open at the checkpoint that is restored, and has been delivered since`)
    return undefined
  }
}

function lost({ contentBytes }: OpenPart, path: string, { operator }: RestoreOptions['context'], what: string): Error {
  return new TerminalError(
    `sink "${operator}": ${path} ${what}; the checkpoint holds ${contentBytes} bytes in it, which are not visible yet. ` +
      `Bring it back, or give up what this sink holds with --drop ${operator}`,
    { code: 'SLUICE_OUTPUT_GONE' },
  )
}

async function readUpTo(fs: FileOperations, fd: number, from: number, length: number): Promise<Buffer> {
  const bytes = Buffer.alloc(length)
  let filled = 0
  while (filled < length) {
    const count = await fs.read(fd, bytes.subarray(filled), from + filled)
    if (count === 0) break
    filled += count
  }
  return bytes.subarray(0, filled)
}
