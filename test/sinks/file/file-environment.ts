/** A file sink in a directory of its own, as the conformance suite wants it. */
import { mkdtempSync } from 'node:fs'
import { mkdir, readdir, readFile, rename, rm, unlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { json } from '../../../engine/api/index.ts'
import { compressionByName } from '../../../clients/file/compression.ts'
import { Decompressor } from '../../../clients/file/decompressor.ts'
import { nodeFileOperations, type FileOperations } from '../../../clients/file/operations.ts'
import { fileSink, type FilePart, type FileSinkOptions, type OpenPart } from '../../../sinks/file/sink.ts'
import type { SinkEnvironment } from '../../conformance/sink.ts'

export interface Numbered {
  readonly number: number
  readonly text: string
}

export type FileEnvironment = SinkEnvironment<Numbered, FilePart, OpenPart> & { readonly directory: string }

export type FileEnvironmentOptions = Partial<Omit<FileSinkOptions<Numbered>, 'path'>>

export async function fileEnvironment(options: FileEnvironmentOptions = {}): Promise<FileEnvironment> {
  const root = mkdtempSync(join(tmpdir(), 'sluice-file-sink-'))
  const directory = join(root, 'new', 'out')
  const elsewhere = join(root, 'taken')
  await mkdir(elsewhere)
  let failing: 'before' | 'after' = 'before'
  let failuresLeft = 0
  const base = options.fs ?? nodeFileOperations
  const fs: FileOperations = {
    ...base,
    rename: async (from, to) => {
      const fails = failuresLeft > 0
      failuresLeft -= 1
      if (!fails || failing === 'after') await base.rename(from, to)
      if (fails) throw Object.assign(new Error('EIO: injected'), { code: 'EIO' })
    },
  }
  return {
    directory,
    createSink: () => fileSink<Numbered>({ encode: json(), maxPartBytes: 64 * 1024, ...options, path: directory, fs }),
    record: (number) => ({ number, text: `Zeile ${number} ✓` }),
    readVisible: () => numbersIn(directory),
    takeVisible: async () => {
      const numbers = await numbersIn(directory)
      for (const name of await namesIn(directory)) {
        if (!name.startsWith('.')) await rename(join(directory, name), join(elsewhere, name))
      }
      return numbers
    },
    destroyPrepared: async () => {
      for (const name of await namesIn(directory)) if (name.startsWith('.')) await unlink(join(directory, name))
    },
    leftovers: async () => (await namesIn(directory)).filter((name) => name.startsWith('.')),
    failCommits: (when, count) => {
      failing = when
      failuresLeft = count
      return () => {
        failuresLeft = 0
      }
    },
    [Symbol.asyncDispose]: () => rm(root, { recursive: true, force: true }),
  }
}

/** As a consumer sees them: visible files by name, lines in order. */
export async function numbersIn(directory: string): Promise<number[]> {
  const numbers: number[] = []
  for (const name of (await namesIn(directory)).toSorted()) {
    if (name.startsWith('.')) continue
    numbers.push(...numbersOf(await textOf(name, await readFile(join(directory, name)))))
  }
  return numbers
}

/** @throws if it is compressed and not whole */
export async function textOf(name: string, bytes: Uint8Array): Promise<string> {
  const compression = compressionByName(name)
  if (compression === undefined) return Buffer.from(bytes).toString()
  const read = (from: number, length: number): Promise<Buffer> =>
    Promise.resolve(Buffer.from(bytes.subarray(from, from + length)))
  await using content = new Decompressor({ path: name, compression, read })
  const pieces: Buffer[] = []
  for (let piece = await content.next(); piece !== undefined; piece = await content.next()) pieces.push(piece)
  return Buffer.concat(pieces).toString()
}

/** @throws if a line is not one that `record` made */
export function numbersOf(content: string): number[] {
  if (!content.endsWith('\n'))
    throw new Error(`a file without a whole last line: ${JSON.stringify(content.slice(-80))}`)
  return content
    .slice(0, -1)
    .split('\n')
    .map((line) => {
      const { number, text } = JSON.parse(line) as Numbered
      if (text !== `Zeile ${number} ✓`) throw new Error(`a damaged line: ${line}`)
      return number
    })
}

async function namesIn(directory: string): Promise<readonly string[]> {
  return readdir(directory).catch(() => [])
}
