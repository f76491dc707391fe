/** Two directories of files of uneven length, and what one uninterrupted run of parallel.job.ts makes of them. Knows nothing of the engine. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

export interface Numbered {
  readonly file: string
  readonly index: number
}

/** Lines by file; `b` has ended long before `a`. */
export const LENGTHS: Readonly<Record<'a' | 'b', readonly number[]>> = { a: [61, 23, 80, 5, 37], b: [30, 12, 9] }
const KEYS_PER_FILE = 3
const SHARED_KEYS = 7
const RULE_EVERY = 4

export const IN_A = recordsOf('a')
export const IN_B = recordsOf('b')
export const ALL: readonly Numbered[] = [...IN_A, ...IN_B]
/** What a whole run gives, all sinks together; what the list of `held` keeps, and the rules, included. */
export const FACTS = 3 * ALL.length + 2 * IN_A.length + ALL.filter(isOdd).length + ALL.filter(isRule).length + 2

export function nameOf({ file, index }: Numbered): string {
  return `${file}.${index}`
}

/** All records of a key are in one file, so they have an order. */
export function keyOf({ file, index }: Numbered): string {
  return `${file}/${index % KEYS_PER_FILE}`
}

/** Met in both sources. */
export function sharedKeyOf({ index }: Numbered): number {
  return index % SHARED_KEYS
}

export function isOdd({ index }: Numbered): boolean {
  return index % 2 === 1
}

export function isRule({ file, index }: Numbered): boolean {
  return file.startsWith('b') && index % RULE_EVERY === 0
}

/** What the keyed operator says of a record: how many there were of its key, the last three, and how many of them were odd. */
export function orderedOf(record: Numbered): object {
  const mine = ALL.filter((one) => keyOf(one) === keyOf(record) && one.index <= record.index)
  return {
    key: keyOf(record),
    index: record.index,
    count: mine.length,
    last: mine.slice(-3).map(({ index }) => index),
    odd: mine.filter(isOdd).length,
  }
}

export function writeInput(directory: string): void {
  for (const [source, lengths] of Object.entries(LENGTHS)) {
    mkdirSync(join(directory, 'in', source), { recursive: true })
    for (const number of lengths.keys()) {
      const file = `${source}${number}`
      writeFileSync(join(directory, 'in', source, `${file}.ndjson`), textOf(file))
    }
  }
}

/** How many whole lines lie before that byte of a file. */
export function linesBefore(file: string, byte: number): number {
  return textOf(file).slice(0, byte).split('\n').length - 1
}

function textOf(file: string): string {
  const mine = ALL.filter((one) => one.file === file)
  return mine.map((one) => `${JSON.stringify(one)}\n`).join('')
}

function recordsOf(source: 'a' | 'b'): readonly Numbered[] {
  return LENGTHS[source].flatMap((length, number) =>
    Array.from({ length }, (_, index): Numbered => ({ file: `${source}${number}`, index })),
  )
}
