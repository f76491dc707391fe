/** What `npm run demo` takes, and what it says about it. */
import { randomInt } from 'node:crypto'
import { parseArgs } from 'node:util'
import { oneOf, whole } from '../arguments.ts'
import { SABOTAGES, type Sabotage } from './saboteur.ts'

export interface Options {
  readonly seed: number
  readonly kills: number
  readonly records: number
  /** How long the shop takes orders, at least. */
  readonly seconds: number
  /** Undefined: none. */
  readonly sabotage: Sabotage | undefined
  /** Leave the files where they are, also when all is well. */
  readonly keep: boolean
  readonly color: boolean
}

const SECONDS_PER_LIFE = 2.3
const MOST_SEEDS = 1_000_000

export const HELP = `Usage: npm run demo -- [options]

The orders job (examples/orders/job.ts) runs in a process of its own while a shop writes orders. It is killed with SIGKILL at
random moments and started again. A reader looks at the visible output all the time; at the end DuckDB compares input and output.

  --seed <n>         which orders, which moments (default: random, and printed)
  --kills <n>        how often it is killed (default 6)
  --records <n>      how many orders (default 240000)
  --seconds <n>      how long the shop takes orders (default ${SECONDS_PER_LIFE} for each life of the job)
  --sabotage <what>  something goes wrong behind the job's back, and must be found (exit code 1):
${Object.entries(SABOTAGES)
  .map(([name, what]) => `                       ${name.padEnd(8)} ${what}`)
  .join('\n')}
  --keep             leave input, output and store where they are
  --no-color
  --help

Exit codes: 0 all is proven, 1 something is wrong, 2 wrong usage, 130 interrupted.`

/** `help`: asked for. `wrong`: what is wrong with the arguments. */
export type Asked =
  | { readonly kind: 'demo'; readonly options: Options }
  | { readonly kind: 'help' }
  | { readonly kind: 'wrong'; readonly why: string }

export function parseOptions(argv: readonly string[], hasColor: boolean): Asked {
  try {
    const { values } = parseArgs({
      args: [...argv],
      options: {
        seed: { type: 'string' },
        kills: { type: 'string', default: '6' },
        records: { type: 'string', default: '240000' },
        seconds: { type: 'string' },
        sabotage: { type: 'string' },
        keep: { type: 'boolean', default: false },
        'no-color': { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    })
    if (values.help) return { kind: 'help' }
    const kills = whole('kills', values.kills, { least: 0, most: 100 })
    const seconds =
      values.seconds === undefined
        ? SECONDS_PER_LIFE * (kills + 1)
        : whole('seconds', values.seconds, { least: 1, most: 3_600 })
    const options = {
      seed:
        values.seed === undefined ? randomInt(MOST_SEEDS) : whole('seed', values.seed, { least: 0, most: 2 ** 31 - 1 }),
      kills,
      records: whole('records', values.records, { least: 1_000, most: 50_000_000 }),
      seconds,
      sabotage: values.sabotage === undefined ? undefined : oneOf('sabotage', values.sabotage, SABOTAGES),
      keep: values.keep,
      color: hasColor && !values['no-color'],
    }
    return { kind: 'demo', options }
  } catch (error) {
    if (error instanceof Error) return { kind: 'wrong', why: error.message }
    throw error
  }
}
