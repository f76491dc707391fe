/** What a trial of a Kafka example takes, and what it says about it. */
import { randomInt } from 'node:crypto'
import { parseArgs } from 'node:util'
import { oneOf, whole } from '../arguments.ts'
import type { KafkaExample } from './example.ts'

export const SABOTAGES = {
  double: 'a record of the output is written a second time',
  forget: 'the checkpoints are lost between two lives of the job',
  abandon: 'the job is killed a last time within a transaction, and not started again',
} as const

export type Sabotage = keyof typeof SABOTAGES

export interface Options {
  readonly records: number
  readonly kills: number
  readonly seed: number
  /** Undefined: none. */
  readonly sabotage: Sabotage | undefined
  /** Leave the files where they are, also when all is well. */
  readonly keep: boolean
}

const MOST_SEEDS = 1_000_000

export function helpOf({ name, about }: Pick<KafkaExample, 'name' | 'about'>): string {
  const sabotages = Object.entries(SABOTAGES).map(([one, what]) => `                       ${one.padEnd(8)} ${what}`)
  return `Usage: npm run example -- ${name} [options]

${about}
A Kafka broker is started for it (Java 17 or newer; Maven the first time). Kafka's console producer writes the input while the job runs in
a process of its own, is killed with SIGKILL at random moments and started again. At the end Kafka's console consumer reads all topics with
read_committed, and DuckDB compares what came out with what went in.

  --records <n>      how many records go in (default 60000)
  --kills <n>        how often the job is killed (default 5)
  --seed <n>         which records, which moments (default: random, and printed)
  --sabotage <what>  something goes wrong behind the job's back, and must be found (exit code 1):
${sabotages.join('\n')}
  --keep             leave what the job and the broker wrote where it is
  --help

Exit codes: 0 all is proven, 1 something is wrong, 2 wrong usage, 130 interrupted.`
}

/** `help`: asked for. `wrong`: what is wrong with the arguments. */
export type Asked =
  | { readonly kind: 'trial'; readonly options: Options }
  | { readonly kind: 'help' }
  | { readonly kind: 'wrong'; readonly why: string }

export function parseOptions(argv: readonly string[]): Asked {
  try {
    const { values } = parseArgs({
      args: [...argv],
      options: {
        records: { type: 'string', default: '60000' },
        kills: { type: 'string', default: '5' },
        seed: { type: 'string', default: String(randomInt(MOST_SEEDS)) },
        sabotage: { type: 'string' },
        keep: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    })
    if (values.help) return { kind: 'help' }
    const options = {
      records: whole('records', values.records, { least: 1_000, most: 2_000_000 }),
      kills: whole('kills', values.kills, { least: 0, most: 50 }),
      seed: whole('seed', values.seed, { least: 0, most: 2 ** 31 - 1 }),
      sabotage: values.sabotage === undefined ? undefined : oneOf('sabotage', values.sabotage, SABOTAGES),
      keep: values.keep,
    }
    if (options.sabotage === 'forget' && options.kills === 0) {
      throw new RangeError('--sabotage forget: give --kills of at least 1, or there is nothing to forget')
    }
    return { kind: 'trial', options }
  } catch (error) {
    if (error instanceof Error) return { kind: 'wrong', why: error.message }
    throw error
  }
}
