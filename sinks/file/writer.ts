/**
 * Writes one epoch after another into hidden parts: opened exclusively, fsynced and given a second hidden link at prepare.
 */
import { link, mkdir, open, type FileHandle } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { LineEncoder, SinkBatch, SinkWriter, WriterContext } from '../../engine/api/index.ts'
import { syncDirectory } from './directory.ts'
import { hiddenPart, keptLink, type FilePart } from './committable.ts'

export interface FileWriterOptions<T> {
  readonly directory: string
  readonly encode: LineEncoder<T>
  readonly maxPartBytes: number
  readonly extension: string
  readonly context: WriterContext
}

/** A part being written. Writes to it are chained in order. */
interface OpenPart {
  readonly name: string
  sizeBytes: number
  handle: Promise<FileHandle>
  written: Promise<void>
}

/** Text gathered before it goes to the file, in UTF-16 units. */
const CHUNK_LENGTH = 256 * 1024
/** Bytes on their way to the disk before `write` pushes back. */
const MAX_PENDING_BYTES = 8 * 1024 * 1024

export class FileWriter<T> implements SinkWriter<T, FilePart> {
  readonly overlapsPrepare = true
  readonly #options: FileWriterOptions<T>
  #text = ''
  #part: OpenPart | undefined
  #full: OpenPart[] = []
  #pendingBytes = 0

  private constructor(options: FileWriterOptions<T>) {
    this.#options = options
  }

  static async open<T>(options: FileWriterOptions<T>): Promise<FileWriter<T>> {
    const made = await mkdir(options.directory, { recursive: true })
    // The new directories' own entries must survive a power loss, up to the first parent that was there before.
    if (made !== undefined) {
      for (let at = options.directory; at.length >= made.length; at = dirname(at)) await syncDirectory(dirname(at))
    }
    return new FileWriter(options)
  }

  write(batch: SinkBatch<T>): void | Promise<void> {
    const { encode } = this.#options
    let text = this.#text
    for (const value of batch.values) {
      text += encode.encode(value)
      text += '\n'
      if (text.length >= CHUNK_LENGTH) {
        this.#append(text)
        text = ''
      }
    }
    this.#text = text
    if (this.#pendingBytes > MAX_PENDING_BYTES) return this.#part?.written
    return undefined
  }

  prepareCommit(): Promise<readonly FilePart[]> {
    // The cut: what was gathered belongs to this epoch's parts; the next write opens a new one.
    if (this.#text.length > 0) this.#append(this.#text)
    this.#text = ''
    const parts = [...this.#full, ...(this.#part === undefined ? [] : [this.#part])]
    this.#full = []
    this.#part = undefined
    return parts.length === 0 ? Promise.resolve([]) : this.#makeDurable(parts)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const parts = [...this.#full, ...(this.#part === undefined ? [] : [this.#part])]
    this.#full = []
    this.#part = undefined
    await Promise.allSettled(
      parts.map(async (part) => {
        await part.written.catch(() => undefined)
        await (await part.handle).close()
      }),
    )
  }

  #append(text: string): void {
    const bytes = Buffer.from(text, 'utf8')
    const part = (this.#part ??= this.#open())
    part.sizeBytes += bytes.length
    this.#pendingBytes += bytes.length
    part.written = part.written.then(async () => {
      await writeAll(await part.handle, bytes)
      this.#pendingBytes -= bytes.length
    })
    part.written.catch((error: unknown) => this.#options.context.fail(error))
    if (part.sizeBytes < this.#options.maxPartBytes) return
    this.#full.push(part)
    this.#part = undefined
  }

  #open(): OpenPart {
    const name = this.#options.context.nextName()
    const handle = open(join(this.#options.directory, hiddenPart(name)), 'wx', 0o644)
    handle.catch(() => undefined) // Reported by the first write.
    return { name, sizeBytes: 0, handle, written: Promise.resolve() }
  }

  async #makeDurable(parts: readonly OpenPart[]): Promise<readonly FilePart[]> {
    const { directory, extension } = this.#options
    await Promise.all(
      parts.map(async (part) => {
        await part.written
        const handle = await part.handle
        await handle.datasync()
        await handle.close()
        await link(join(directory, hiddenPart(part.name)), join(directory, keptLink(part.name)))
      }),
    )
    await syncDirectory(directory)
    return parts.map(({ name, sizeBytes }) => ({ directory, name, visible: visibleName(name, extension), sizeBytes }))
  }
}

/** Sorts in commit order within a job: generation, then operator, subtask and counter, then what makes it unique. */
function visibleName(name: string, extension: string): string {
  const [job, lineage, generation, ...rest] = name.split('--')
  return `part-${generation}-${rest.join('-')}-${job}-${lineage}${extension}`
}

async function writeAll(handle: FileHandle, bytes: Buffer): Promise<void> {
  for (let at = 0; at < bytes.length; ) {
    const { bytesWritten } = await handle.write(bytes, at)
    at += bytesWritten
  }
}
