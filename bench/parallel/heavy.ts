/** `sluice run` of bench/parallel/heavy.job.ts, timed, and what it wrote compared with what it must have. */
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { CHECKOUT_COMMAND, visibleFiles } from '../core/command.ts'
import { EVERY, keyOf, type HeavyOptions } from './heavy.job.ts'

const JOB = fileURLToPath(new URL('heavy.job.ts', import.meta.url))

export interface HeavyRun extends HeavyOptions {
  readonly directory: string
  readonly workers: number
  readonly parallelism: number
}

export interface Heavy {
  /** From the tasks being open to the end. */
  readonly seconds: number
  readonly durationsMs: readonly number[]
  readonly alignedMs: readonly number[]
  readonly isRight: boolean
}

interface Event {
  readonly event: string
  readonly at: string
  readonly durationMs?: number
  readonly alignedMs?: number
}

export async function runHeavy(options: HeavyRun): Promise<Heavy> {
  const { directory, workers, parallelism, ...job } = options
  const output = join(directory, 'out')
  const settings = Object.entries({ ...job, output }).flatMap(([name, value]) => ['--set', `${name}=${value}`])
  const where = ['--workers', String(workers), '--parallelism', String(parallelism)]
  const told = await new Promise<readonly { readonly atMs: number; readonly line: string }[]>((resolve, reject) => {
    const lines: { readonly atMs: number; readonly line: string }[] = []
    const child = execFile(
      process.execPath,
      [CHECKOUT_COMMAND, 'run', JOB, '--store', join(directory, 'store'), ...where, ...settings, '--json'],
      (error, _stdout, stderr) => {
        lines.push({ atMs: performance.now(), line: '{"event":"exit"}' })
        if (error === null) resolve(lines)
        else reject(new Error(`${error.message}\n${stderr.slice(-2_000)}`))
      },
    )
    let rest = ''
    child.stdout?.on('data', (chunk: string) => {
      const [last = '', ...whole] = (rest + chunk).split('\n').toReversed()
      rest = last
      for (const line of whole.toReversed()) lines.push({ atMs: performance.now(), line })
    })
  })
  const events = told.map(({ atMs, line }) => ({ ...(JSON.parse(line) as Event), atMs }))
  const startMs = events.find(({ event }) => event === 'running')?.atMs ?? 0
  const completed = events.filter(({ event }) => event === 'completed')
  return {
    seconds: ((events.at(-1)?.atMs ?? 0) - startMs) / 1_000,
    durationsMs: completed.flatMap(({ durationMs }) => durationMs ?? []),
    alignedMs: completed.flatMap(({ alignedMs }) => alignedMs ?? []),
    isRight: isRight(output, job),
  }
}

function isRight(output: string, { first, splits, records, hot }: HeavyOptions): boolean {
  const expected = new Map<string, number>()
  for (let split = first; split < first + splits; split += 1) {
    for (let index = 0; index < records; index += 1) {
      const key = keyOf(split, index, hot)
      expected.set(key, (expected.get(key) ?? 0) + 1)
    }
  }
  const lines = visibleFiles(output).flatMap((name) => readFileSync(join(output, name), 'utf8').trim().split('\n'))
  const seen = new Set(lines.filter((line) => line !== ''))
  const due = [...expected].flatMap(([key, count]) =>
    Array.from({ length: Math.floor(count / EVERY) }, (_, index) => JSON.stringify([key, (index + 1) * EVERY])),
  )
  return (
    due.length > 0 && seen.size === due.length && lines.length === due.length && due.every((line) => seen.has(line))
  )
}
