/**
 * A consumer of the output, as any other program might be one: it sees visible files only, and keeps what it saw to see whether that
 * stays true.
 *
 * One look is: first list what is visible, then read what the log of checkpoints has got since. So a file that no completed checkpoint
 * had confirmed when it was listed is found, if it was visible that early for as long as one look and the pause before it.
 */
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import type { CheckpointLog } from './checkpoint-log.ts'
import { orderCheck, totalCheck, type Check } from './record-order.ts'

/** Directories of the output. */
export const SINKS = ['enriched', 'totals'] as const
export type SinkName = (typeof SINKS)[number]

export interface Seen {
  readonly sink: SinkName
  readonly file: string
  readonly checkpoint: number
  readonly records: number
}

export interface Look {
  /** Files that were not there at the look before. */
  readonly seen: readonly Seen[]
  readonly wrong: readonly string[]
}

interface Kept {
  readonly path: string
  readonly file: string
  readonly sizeBytes: number
  readonly changedAtMs: number
  /** A checksum per line. */
  readonly lines: Uint32Array
}

/** Of the files seen earlier, so many are looked at again at each look, in turn. */
const AGAIN = 10
/** Of a record, in messages. */
export const SHOWN_LENGTH = 90

export class Reader {
  readonly #output: string
  readonly #log: CheckpointLog
  readonly #checks: Readonly<Record<SinkName, Check>> = { enriched: orderCheck(), totals: totalCheck() }
  readonly #kept = new Map<string, Kept>()
  /** What is wrong with a file is said once. */
  readonly #early = new Set<string>()
  readonly #spoiled = new Set<string>()
  #turn = 0

  constructor(output: string, log: CheckpointLog) {
    this.#output = output
    this.#log = log
  }

  look(): Look {
    const listed = SINKS.map((sink) => ({ sink, files: filesIn(join(this.#output, sink)).toSorted() }))
    this.#log.readOn()
    const seen: Seen[] = []
    const wrong: string[] = []
    for (const { sink, files } of listed) {
      for (const file of files.filter((one) => !this.#kept.has(one))) {
        const checkpoint = this.#log.confirmedBy(file)
        if (checkpoint === undefined) wrong.push(...this.#tooEarly(sink, file))
        else seen.push({ sink, file, checkpoint, records: this.#keep(sink, file, wrong) })
      }
    }
    wrong.push(...this.#lookAgain(new Set(listed.flatMap(({ files }) => files))))
    return { seen, wrong }
  }

  /** Reads every file once more; the job has ended, so nothing hidden may be left either. */
  finish(): Look {
    const last = this.look()
    const kept = [...this.#kept.values()]
    const hidden = SINKS.flatMap((sink) => namesIn(join(this.#output, sink))).filter((name) => name.startsWith('.'))
    const left = hidden.length === 0 ? [] : [`${hidden.length} hidden files are left, like ${hidden[0]}`]
    return { seen: last.seen, wrong: [...last.wrong, ...kept.flatMap((one) => this.#compare(one)), ...left] }
  }

  #tooEarly(sink: SinkName, file: string): readonly string[] {
    if (this.#early.has(file)) return []
    this.#early.add(file)
    const { length } = linesOf(readFileSync(join(this.#output, sink, file), 'utf8'))
    return [`${file} is visible with ${length} records, and no completed checkpoint has confirmed it`]
  }

  /** How many records it has. */
  #keep(sink: SinkName, file: string, wrong: string[]): number {
    const path = join(this.#output, sink, file)
    const { size, mtimeMs } = statSync(path)
    const lines = linesOf(readFileSync(path, 'utf8'))
    const check = this.#checks[sink]
    for (const line of lines) {
      const problem = check(JSON.parse(line) as Readonly<Record<string, unknown>>)
      if (problem !== undefined) wrong.push(`${problem} (${file})`)
    }
    const checksums = Uint32Array.from(lines, (line) => crc32(line))
    this.#kept.set(file, { path, file, sizeBytes: size, changedAtMs: mtimeMs, lines: checksums })
    return lines.length
  }

  /** Whether those seen earlier are all still there; and a few of them, whether they are still as they were. */
  #lookAgain(listed: ReadonlySet<string>): readonly string[] {
    const kept = [...this.#kept.values()].filter(({ file }) => !this.#spoiled.has(file))
    const gone = kept.filter(({ file }) => !listed.has(file))
    const count = Math.min(AGAIN, kept.length)
    const some = Array.from({ length: count }, () => kept[(this.#turn += 1) % kept.length]).filter(
      (one) => one !== undefined && listed.has(one.file) && !isUntouched(one),
    )
    return [...gone, ...some].flatMap((one) => (one === undefined ? [] : this.#compare(one)))
  }

  /** With what it was when it was seen first. */
  #compare({ path, file, lines }: Kept): readonly string[] {
    if (this.#spoiled.has(file)) return []
    const problem = differenceBetween(lines, existsSync(path) ? linesOf(readFileSync(path, 'utf8')) : undefined)
    if (problem === undefined) return []
    this.#spoiled.add(file)
    return [`${file} ${problem}`]
  }
}

function differenceBetween(before: Uint32Array, now: readonly string[] | undefined): string | undefined {
  if (now === undefined) return `has vanished, with the ${before.length} records that were seen in it`
  const at = before.findIndex((checksum, index) => now[index] === undefined || crc32(now[index]) !== checksum)
  if (at === -1 && now.length === before.length) return undefined
  const line = at === -1 ? before.length : at
  return (
    `was changed after it had been seen: it had ${before.length} records and has ${now.length}, ` +
    `line ${line + 1} is now ${now[line]?.slice(0, SHOWN_LENGTH) ?? 'missing'}`
  )
}

function isUntouched({ path, sizeBytes, changedAtMs }: Kept): boolean {
  const stat = statSync(path, { throwIfNoEntry: false })
  return stat?.size === sizeBytes && stat.mtimeMs === changedAtMs
}

function filesIn(directory: string): readonly string[] {
  return namesIn(directory).filter((name) => !name.startsWith('.'))
}

function namesIn(directory: string): readonly string[] {
  return existsSync(directory) ? readdirSync(directory) : []
}

function linesOf(text: string): readonly string[] {
  return text.split('\n').filter((line) => line !== '')
}
