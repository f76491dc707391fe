/**
 * Exactly-once, tried: makes orders, runs the job in a process of its own with a checkpoint every few milliseconds, kills it at random
 * moments, starts it again, and checks after each death and at the end what a consumer would see.
 *
 *   npm run example -- orders [--count 1000000] [--kills 6] [--interval 100] [--seed 1] [--keep]
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { writeOrders } from './generate.ts'
import { runJob } from './run-killed.ts'
import { expectedOf, verify, type Expected, type Verdict } from './verify.ts'

interface Options {
  readonly count: number
  readonly kills: number
  readonly intervalMs: number
  readonly seed: number
  readonly keep: boolean
}

/** Kills fall into this part of the input, so that each finds a running job. */
const LAST_KILL_SHARE = 0.8

const options = parseOptions()
const directory = await mkdtemp(join(tmpdir(), 'sluice-orders-'))
const problems = await tryIt(directory, options)
for (const problem of problems) console.error(`WRONG  ${problem}`)
if (problems.length === 0 && !options.keep) await rm(directory, { recursive: true })
else console.log(`everything is left in ${directory}`)
process.exitCode = problems.length === 0 ? 0 : 1

function parseOptions(): Options {
  const { values } = parseArgs({
    options: {
      count: { type: 'string', default: '1000000' },
      kills: { type: 'string', default: '6' },
      interval: { type: 'string', default: '100' },
      seed: { type: 'string', default: '1' },
      keep: { type: 'boolean', default: false },
    },
  })
  const whole = (name: 'count' | 'kills' | 'interval' | 'seed', least: number): number => {
    const parsed = Number(values[name])
    if (Number.isSafeInteger(parsed) && parsed >= least) return parsed
    throw new Error(`--${name} ${values[name]} is not a whole number, at least ${least}`)
  }
  const { keep } = values
  return {
    count: whole('count', 1),
    kills: whole('kills', 0),
    intervalMs: whole('interval', 1),
    seed: whole('seed', 0),
    keep,
  }
}

async function tryIt(where: string, { count, kills, intervalMs, seed }: Options): Promise<readonly string[]> {
  const inputBytes = await writeOrders(join(where, 'data'), { seed, count })
  const expected = expectedOf(seed, count)
  const megabytes = [...inputBytes.values()].reduce((sum, bytes) => sum + bytes, 0) / 1e6
  console.log(`${count} orders of ${expected.totals.size} customers (seed ${seed}, ${megabytes.toFixed(1)} MB)`)
  for (let kill = 0; kill < kills; kill += 1) {
    const atShare = kill === 0 ? 0 : (LAST_KILL_SHARE * (kill + Math.random() - 0.5)) / kills
    const delayMs = Math.random() * intervalMs
    const run = await runJob({ directory: where, intervalMs, inputBytes, kill: { atShare, delayMs } })
    if (!run.wasKilled) {
      return [
        `run ${kill + 1} ended with code ${run.code} before it was killed; with a larger --count it lives longer\n${run.errors}`,
      ]
    }
    const verdict = await verify(join(where, 'out'), expected, false)
    console.log(`killed at ${percent(run.share)} confirmed: ${shown(verdict)} visible, ${judged(verdict)}`)
    if (verdict.problems.length > 0) return verdict.problems
  }
  return await finish(where, expected, { intervalMs, inputBytes, kills })
}

interface Finish {
  readonly intervalMs: number
  readonly inputBytes: ReadonlyMap<string, number>
  readonly kills: number
}

async function finish(
  where: string,
  expected: Expected,
  { intervalMs, inputBytes, kills }: Finish,
): Promise<readonly string[]> {
  const last = await runJob({ directory: where, intervalMs, inputBytes })
  if (last.code !== 0) return [`the last run ended with code ${last.code}\n${last.errors}`]
  const verdict = await verify(join(where, 'out'), expected, true)
  if (verdict.problems.length > 0) return verdict.problems
  const again = await runJob({ directory: where, intervalMs, inputBytes })
  if (again.code !== 0) return [`a run of the finished job ended with code ${again.code}\n${again.errors}`]
  const same = await verify(join(where, 'out'), expected, true)
  if (same.problems.length === 0) {
    console.log(`finished after ${kills} kills: ${shown(verdict)}, each exactly once, in order, every sum right`)
    console.log(
      `checked: ${expected.count} order ids, ${expected.totals.size} customers, nothing hidden left; a further run changes nothing`,
    )
  }
  return same.problems
}

function shown({ orders, totals }: Verdict): string {
  return `${orders} enriched orders and ${totals} running totals`
}

function judged({ problems: found }: Verdict): string {
  return found.length === 0 ? 'none twice, none wrong' : `${found.length} or more wrong`
}

function percent(share: number): string {
  return `${Math.round(share * 100)} %`
}
