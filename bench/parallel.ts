/**
 * `npm run bench -- parallel [--quick] [--only=<shape>,…]`: what many subtasks cost and give. Each shape runs in a process of its own and
 * checks what it wrote. What each is, its target and what limits it: docs/performance.md.
 */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { median, rounded } from './core/figures.ts'
import type { ExchangeOptions, ExchangeResult } from './parallel/exchange.ts'
import { runHeavy, type Heavy, type HeavyRun } from './parallel/heavy.ts'
import type { RestartOptions, RestartResult } from './parallel/restart.ts'

const RESTART = fileURLToPath(new URL('parallel/restart.ts', import.meta.url))
const EXCHANGE = fileURLToPath(new URL('parallel/exchange.ts', import.meta.url))
const quick = process.argv.includes('--quick')
const only = process.argv
  .find((one) => one.startsWith('--only='))
  ?.slice('--only='.length)
  .split(',')

interface Measured {
  readonly isRight: boolean
  /** Where there is one to be kept. */
  readonly ratio?: number
}

/** By name; `quick` leaves out those that are large. */
const SHAPES: Readonly<Record<string, { readonly isLarge?: boolean; readonly measure: () => Promise<Measured> }>> = {
  workers: { measure: () => workers(quick ? 1 : 7) },
  'exchange-64': { measure: () => exchange(64) },
  'exchange-256': { measure: () => exchange(256) },
  'exchange-1024': { measure: () => exchange(1_024) },
  'slow-reader': { measure: () => pressure({ hot: 0, before: 0, behind: 20_000 }) },
  'hot-key': { measure: () => pressure({ hot: 0.5, before: 2_000, behind: 5_000 }) },
  'restart-100k': { measure: () => restart({ keys: 100_000, parallelism: 2, failures: quick ? 1 : 7 }) },
  'restart-1m': { isLarge: true, measure: () => restart({ keys: 1_000_000, parallelism: 2, failures: 7 }) },
}

const directory = mkdtempSync(join(tmpdir(), 'sluice-bench-parallel-'))
let runs = 0
const details: Record<string, Measured> = {}
try {
  for (const [name, { isLarge = false, measure }] of Object.entries(SHAPES)) {
    if (only === undefined ? quick && isLarge : !only.includes(name)) continue
    details[name] = await measure()
    console.error(name, JSON.stringify(details[name]))
  }
} finally {
  rmSync(directory, { recursive: true, force: true })
}
const verified = Object.values(details).every(({ isRight }) => isRight)
const ratios = Object.fromEntries(
  Object.entries(details).flatMap(([name, { ratio }]) => (ratio === undefined ? [] : [[name, ratio]])),
)
console.log(JSON.stringify({ bench: 'parallel', ratios, verified, quick, ...details }))
if (!verified) process.exitCode = 1

/**
 * Two workers against one, and, in the same round, two independent copies, each with half of the input: what the second core gives at best.
 * The ratio is the gain of the workers to that of the copies.
 */
async function workers(rounds: number): Promise<Measured & Readonly<Record<string, unknown>>> {
  const work = { records: quick ? 60_000 : 250_000, before: 5_000, behind: 0, hot: 0 }
  const taken: { readonly one: number; readonly two: number; readonly copies: number }[] = []
  let isRight = true
  for (let round = 0; round < rounds; round += 1) {
    const run = async (options: Partial<HeavyRun>): Promise<number> => {
      const heavy = await runOnce({ ...work, first: 0, splits: 2, workers: 1, parallelism: 2, ...options })
      isRight &&= heavy.isRight
      return heavy.seconds
    }
    const one = await run({})
    const two = await run({ workers: 2 })
    const copies = Math.max(...(await Promise.all([0, 1].map((first) => run({ first, splits: 1, parallelism: 1 })))))
    taken.push({ one, two, copies })
  }
  const of = (figure: (one: (typeof taken)[number]) => number): number => rounded(median(taken.map(figure)))
  return {
    ratio: of(({ two, copies }) => copies / two),
    gain: of(({ one, two }) => one / two),
    gainOfCopies: of(({ one, copies }) => one / copies),
    seconds: { one: of(({ one }) => one), two: of(({ two }) => two), copies: of(({ copies }) => copies) },
    rounds,
    isRight,
  }
}

/** Checkpoints while readers are slower than writers; two workers, two subtasks each. */
async function pressure(
  work: Pick<HeavyRun, 'hot' | 'before' | 'behind'>,
): Promise<Measured & Readonly<Record<string, unknown>>> {
  const records = quick ? 40_000 : 200_000
  const heavy = await runOnce({ ...work, records, first: 0, splits: 4, workers: 2, parallelism: 4 })
  const times = (values: readonly number[]): object => ({
    median: Math.round(median(values)),
    longest: Math.round(Math.max(...values)),
  })
  return {
    durationMs: times(heavy.durationsMs),
    alignedMs: times(heavy.alignedMs),
    checkpoints: heavy.durationsMs.length,
    recordsPerSecond: Math.round((records * 4) / heavy.seconds),
    isRight: heavy.isRight,
  }
}

function runOnce(options: Omit<HeavyRun, 'directory'>): Promise<Heavy> {
  runs += 1
  return runHeavy({ ...options, directory: join(directory, String(runs)) })
}

async function exchange(size: number): Promise<ExchangeResult> {
  const options = { size, records: quick ? 200_000 : 2_000_000, rounds: quick ? 1 : 3 } satisfies ExchangeOptions
  return JSON.parse(runFile(EXCHANGE, options)) as ExchangeResult
}

async function restart(options: RestartOptions): Promise<RestartResult> {
  return JSON.parse(runFile(RESTART, options)) as RestartResult
}

function runFile(file: string, options: object): string {
  return execFileSync(process.execPath, ['--conditions=sluice-source', file, JSON.stringify(options)], {
    encoding: 'utf8',
  })
}
