/**
 * From SIGKILL to the first new record that a reader sees: `sluice run` with checkpoints each 100 ms is killed while it counts keys, and
 * started again at once. What it wrote is checked at the end: each number once, in order, with the count it must have.
 */
import { mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { CHECKOUT_COMMAND, startRun, until, visibleFiles, type RunningCommand } from './command.ts'
import { median } from './figures.ts'
import { keyOf } from './recovery.job.ts'

const JOB = fileURLToPath(new URL('recovery.job.ts', import.meta.url))
const RATE = 20_000
const TIMEOUT_MS = 120_000
/** After all keys are there, and after each restart: a few checkpoints go by. */
const RUN_MS = 1_000

export interface Recovery {
  readonly medianMs: number
  readonly longestMs: number
  readonly kills: number
  /** Records compared. */
  readonly records: number
  readonly isRight: boolean
}

export async function measureRecovery(directory: string, keys: number, kills: number): Promise<Recovery> {
  mkdirSync(directory)
  const output = join(directory, 'out')
  const start = (): RunningCommand =>
    startRun(CHECKOUT_COMMAND, JOB, { store: join(directory, 'store'), settings: { keys, rate: RATE, output } })
  const times: number[] = []
  let running = start()
  await until(running, () => (lastNumber(output) >= keys ? true : undefined), TIMEOUT_MS)
  for (let kill = 0; kill < kills; kill += 1) {
    await pause(RUN_MS + 37 * kill)
    const before = generationOf(visibleFiles(output).at(-1) ?? '')
    const killedAt = performance.now()
    running.child.kill('SIGKILL')
    await running.ended
    running = start()
    await until(
      running,
      () => (generationOf(visibleFiles(output).at(-1) ?? '') > before ? true : undefined),
      TIMEOUT_MS,
    )
    times.push(performance.now() - killedAt)
  }
  running.child.kill('SIGTERM')
  await running.ended.catch(() => undefined)
  const records = recordsOf(output)
  return {
    medianMs: Math.round(median(times)),
    longestMs: Math.round(Math.max(...times)),
    kills,
    records: records.length,
    isRight: isRight(records, keys),
  }
}

export function lastNumber(output: string): number {
  const last = visibleFiles(output).at(-1)
  if (last === undefined) return -1
  const lines = readFileSync(join(output, last), 'utf8').trimEnd()
  return Number((JSON.parse(lines.slice(lines.lastIndexOf('\n') + 1)) as [number])[0])
}

export function generationOf(name: string): number {
  return Number(/^part-(\d+)-/.exec(name)?.[1] ?? 0)
}

export function recordsOf(output: string): readonly (readonly [number, number])[] {
  return visibleFiles(output).flatMap((name) =>
    readFileSync(join(output, name), 'utf8')
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as [number, number]),
  )
}

/** In the order of their numbers. */
export function isRight(records: readonly (readonly [number, number])[], keys: number): boolean {
  const counts = new Uint32Array(keys)
  return records.every(([number, count], index) => {
    const key = keyOf(number, keys)
    counts[key] = (counts[key] ?? 0) + 1
    return number === index && count === counts[key]
  })
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms)
  })
}
