/**
 * Runs of files.job.ts, and what became visible of them, read back independently of the engine: each record and each bad line once, none
 * that no completed checkpoint holds, all that the log calls committed.
 */
import { deepEqual, ok } from 'node:assert/strict'
import { appendFileSync, mkdirSync, readFileSync } from 'node:fs'
import { gunzipSync, gzipSync, zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import { parse } from 'csv-parse/sync'
import { Arena, type ManifestFacts, type RetainedFacts, type StartOptions } from './harness.ts'
import type { Run } from './run.ts'

export type Compression = 'none' | 'gzip' | 'zstd'

export interface Shape {
  readonly format: 'json' | 'csv'
  readonly compression: Compression
  readonly rolling?: 'each-checkpoint' | 'when-full'
  readonly isFollowing?: boolean
}

export interface GoodRecord {
  readonly file: string
  readonly index: number
  /** How many of its file the job has seen with it: always one more than `index`. */
  readonly count: number
  readonly text: string
}

interface Line {
  /** As it must come out, JSON. */
  readonly output: string
  readonly sink: 'good' | 'bad'
  /** Behind its last byte, in the content of its file. */
  readonly end: number
}

const EXTENSIONS = { none: '', gzip: '.gz', zstd: '.zst' } as const
const CSV_HEADER = 'file,index,text\n'
const BAD_EVERY = 7
const PACK = { none: (text: string) => Buffer.from(text), gzip: gzipSync, zstd: zstdCompressSync } as const

export class FileArena implements Disposable {
  readonly arena = new Arena()
  readonly shape: Shape
  /** By split. */
  readonly #lines = new Map<string, Line[]>()
  readonly #torn = new Map<string, Buffer>()

  constructor(shape: Shape) {
    this.shape = shape
    mkdirSync(this.arena.path('in'))
  }

  /** So many more lines, good and bad ones, at the end of a file; it is made when it is not there. `torn` bytes come with the next ones. */
  append(file: string, count: number, torn = 0): void {
    const { format, compression } = this.shape
    const split = `in/${file}.${format}${EXTENSIONS[compression]}`
    const lines = this.#lines.get(split) ?? []
    this.#lines.set(split, lines)
    let end = lines.at(-1)?.end ?? 0
    let text = lines.length === 0 && format === 'csv' ? CSV_HEADER : ''
    end += text.length
    let good = lines.filter(({ sink }) => sink === 'good').length
    for (let index = 0; index < count; index += 1) {
      const isBad = lines.length % BAD_EVERY === BAD_EVERY - 1
      const line = isBad ? badLine(file, lines.length, format) : goodLine(file, good, format)
      const record = isBad
        ? { path: split, byte: end, text: line }
        : { file, index: good, count: good + 1, text: textOf(file, good) }
      if (!isBad) good += 1
      text += `${line}\n`
      end += Buffer.byteLength(line) + 1
      lines.push({ output: JSON.stringify(record), sink: isBad ? 'bad' : 'good', end })
    }
    // Each append to a compressed file is a member of its own, as concatenated files are.
    const bytes = Buffer.concat([this.#torn.get(split) ?? Buffer.alloc(0), PACK[compression](text)])
    const written = Math.max(0, bytes.length - torn)
    this.#torn.set(split, bytes.subarray(written))
    appendFileSync(this.arena.path(split), bytes.subarray(0, written))
  }

  /** No line is torn any more. */
  flush(): void {
    for (const [split, bytes] of this.#torn) appendFileSync(this.arena.path(split), bytes)
    this.#torn.clear()
  }

  start(parallelism: number, options: StartOptions = {}): Run {
    const { format, compression, rolling = 'each-checkpoint', isFollowing = false } = this.shape
    return this.arena.start({
      job: 'files',
      ...options,
      flags: ['--parallelism', String(parallelism), ...(options.flags ?? [])],
      settings: {
        FORMAT: format,
        COMPRESSION: compression,
        ROLLING: rolling,
        FOLLOW: isFollowing ? 1 : 0,
        ...options.settings,
      },
    })
  }

  /** Of this shape, until it is killed where it is told, or ends. @returns whether it was killed */
  async runTo(parallelism: number, options: StartOptions): Promise<boolean> {
    const run = this.start(parallelism, options)
    const { code, signal } = await run.ended
    ok(signal === 'SIGKILL' || code === 0, `it ended ${code}: ${run.said.slice(-2_000)}`)
    return signal === 'SIGKILL'
  }

  /** Parts that the newest completed checkpoint holds open. */
  get openParts(): number {
    const newest = this.#log.at(-1)?.retained.at(-1)
    if (newest === undefined) return 0
    const good = this.arena.manifestOf(newest).operators.filter(({ operator }) => operator === 'good')
    return good.reduce((sum, { writerState }) => sum + (writerState?.entries.length ?? 0), 0)
  }

  /** Files that the newest completed checkpoint does not know. */
  get unknown(): number {
    const { known } = this
    return [...this.#lines.keys()].filter((split) => !known.has(split)).length
  }

  /** Splits of the newest completed checkpoint. */
  get known(): ReadonlyMap<string, number> {
    return this.#positionsIn(this.#log.at(-1)?.retained.at(-1))
  }

  /** Everything there is was read, and its commit is in the log. */
  get isThrough(): boolean {
    const committed = this.#committed
    return [...this.#lines.keys()].every((split) => committed.get(split) === this.#contentBytes(split))
  }

  /**
   * At any moment: nothing twice, nothing that does not exist, nothing that no completed checkpoint holds (C1), all that is committed (C2).
   * Returns the number of facts compared.
   */
  expectSound(): number {
    const known = this.known
    const committed = this.#committed
    let facts = 0
    for (const sink of ['good', 'bad'] as const) {
      const visible = this.visible(sink)
      const seen = new Set(visible)
      ok(seen.size === visible.length, `${sink} shows ${visible.length - seen.size} records twice`)
      const isEarly = this.shape.rolling !== 'when-full' || sink === 'bad'
      let expected = 0
      for (const [split, lines] of this.#lines) {
        for (const line of lines) {
          if (line.sink !== sink) continue
          facts += 1
          const isVisible = seen.has(line.output)
          if (isVisible) expected += 1
          ok(!isVisible || line.end <= (known.get(split) ?? 0), `${line.output} is visible before it is completed`)
          ok(
            isVisible || !isEarly || line.end > (committed.get(split) ?? 0),
            `${line.output} is committed, not visible`,
          )
        }
      }
      ok(expected === visible.length, `${sink} shows ${visible.length - expected} records that were never written`)
    }
    return facts
  }

  /** Everything once, in order within each part. Returns the number of facts compared. */
  expectComplete(): number {
    const all = [...this.#lines.values()].flat()
    for (const sink of ['good', 'bad'] as const) {
      const expected = all.filter((line) => line.sink === sink).map(({ output }) => output)
      deepEqual(this.visible(sink).toSorted(), expected.toSorted())
      for (const part of this.#parts(sink)) expectInOrder(part)
      deepEqual(this.arena.hidden(sink), [])
    }
    return all.length
  }

  visible(sink: 'good' | 'bad'): readonly string[] {
    return this.#parts(sink).flat()
  }

  #parts(sink: 'good' | 'bad'): readonly (readonly string[])[] {
    const isCsv = sink === 'good' && this.shape.format === 'csv'
    const names = this.arena.names(sink).filter((name) => !name.startsWith('.'))
    return names.map((name) => {
      const text = unpacked(readFileSync(this.arena.path(sink, name)), name)
      return isCsv ? csvRecords(text) : jsonRecords(text)
    })
  }

  #contentBytes(split: string): number {
    return this.#lines.get(split)?.at(-1)?.end ?? 0
  }

  get #log(): ReturnType<Arena['log']> {
    return this.arena.log('files')
  }

  get #committed(): ReadonlyMap<string, number> {
    const newest = this.#log.at(-1)
    return this.#positionsIn(newest?.retained.find(({ checkpoint }) => checkpoint === newest.committedThrough))
  }

  #positionsIn(retained: RetainedFacts | undefined): ReadonlyMap<string, number> {
    if (retained === undefined) return new Map()
    return new Map(
      this.arena.manifestOf(retained).operators.flatMap(({ splits = [] }) => splits.map((one) => byteOf(one))),
    )
  }

  [Symbol.dispose](): void {
    this.arena[Symbol.dispose]()
  }
}

type SplitFacts = NonNullable<ManifestFacts['operators'][number]['splits']>[number]

function byteOf({ split, position }: SplitFacts): readonly [string, number] {
  ok(typeof position === 'object' && position !== null && 'byte' in position && typeof position.byte === 'number')
  return [split.id, position.byte]
}

function textOf(file: string, index: number): string {
  return ['plain', 'é ✓', 'a "quoted" one', 'with, comma', `${file} `.repeat(index % 9)][index % 5] ?? ''
}

function goodLine(file: string, index: number, format: Shape['format']): string {
  const text = textOf(file, index)
  if (format === 'json') return JSON.stringify({ file, index, text })
  return `${file},${index},"${text.replaceAll('"', '""')}"`
}

function badLine(file: string, number: number, format: Shape['format']): string {
  return format === 'json' ? `bad ${file} ${number}` : `bad,${file} ${number}`
}

function csvRecords(text: string): readonly string[] {
  const records: readonly Readonly<Record<string, string>>[] = parse(text, { columns: true })
  return records.map(({ file, index, count, text: field }) =>
    JSON.stringify({ file, index: Number(index), count: Number(count), text: field }),
  )
}

function jsonRecords(text: string): readonly string[] {
  const lines = text.split('\n').filter((line) => line !== '')
  return lines.map((line) => {
    const { error: _, ...record } = JSON.parse(line) as Readonly<Record<string, unknown>>
    return JSON.stringify(record)
  })
}

function expectInOrder(part: readonly string[]): void {
  const next = new Map<string, number>()
  for (const line of part) {
    const { file, path, index, byte } = JSON.parse(line) as Readonly<Record<string, string | number>>
    const from = String(file ?? path)
    const at = Number(index ?? byte)
    ok(at > (next.get(from) ?? -1), `${line} comes behind ${next.get(from)}`)
    next.set(from, at)
  }
}

/** Node's zstd stops behind the first frame. */
function unpacked(bytes: Buffer, name: string): string {
  if (name.endsWith('.gz')) return gunzipSync(bytes).toString()
  if (!name.endsWith('.zst')) return bytes.toString()
  const pieces: Buffer[] = []
  for (let at = 0; at < bytes.length;) {
    const { buffer, engine } = zstdDecompressSync(bytes.subarray(at), { info: true }) as unknown as Unpacked
    pieces.push(buffer)
    at += engine.bytesWritten
  }
  return Buffer.concat(pieces).toString()
}

interface Unpacked {
  readonly buffer: Buffer
  readonly engine: { readonly bytesWritten: number }
}
