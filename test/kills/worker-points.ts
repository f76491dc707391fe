/** Runs of parallel.job.ts in worker processes: their flags, where each process can be struck, and who is left of them. */
import { deepEqual, ok } from 'node:assert/strict'
import { IS_LONG, LOG, sampled, type Arena, type StartOptions, type Strike } from './harness.ts'
import { at, PARALLEL_SINKS, parallelArena } from './parallel-truth.ts'
import { until, type Run } from './run.ts'

export const job = 'parallel'
export const ENTRY = `link ${LOG}/`
export const OPENS_A_PART = `open (${PARALLEL_SINKS.join('|')})/\\.`
/** A worker that finds itself alone is to end within this. */
const GONE_MS = 5_000

/** So many subtasks in so many worker processes; 0: in the command itself. */
export function inWorkers(workers: number, parallelism: number): readonly string[] {
  return [...at(parallelism), ...(workers === 0 ? [] : ['--workers', String(workers)])]
}

export interface Point {
  readonly in: 'command' | number
  readonly nth: number
  readonly moment: 'before' | 'after'
}

export interface Points {
  readonly ofWorkers: readonly Point[]
  readonly ofCommand: readonly Point[]
}

/** How the first run of a test is started: worker 1 has the second of three subtasks. */
export const FIRST = inWorkers(2, 3)
let found: Promise<Points> | undefined

/** Of the first run: before and after every effect of one cycle in the middle, and from the last one on to the end. */
export function points(): Promise<Points> {
  found ??= findPoints()
  return found
}

async function findPoints(): Promise<Points> {
  using arena = parallelArena()
  const { together } = await arena.run(0, { job, flags: FIRST })
  const entries = together.flatMap((line, index) => (line.startsWith(ENTRY) ? [index] : []))
  const [from = 0, to = 0] = entries.slice(4)
  const last = entries.at(-4) ?? 0
  const seen = new Map<Point['in'], number>()
  const all = together.flatMap((line, index) => {
    const who = whoseOf(line)
    const nth = (seen.get(who) ?? 0) + 1
    seen.set(who, nth)
    const isMeant = (index > from && index <= to) || index > last
    return isMeant ? (['before', 'after'] as const).map((moment): Point => ({ in: who, nth, moment })) : []
  })
  const both = {
    ofWorkers: all.filter((point) => point.in !== 'command'),
    ofCommand: all.filter((point) => point.in === 'command'),
  }
  ok(both.ofWorkers.length > 200, `${both.ofWorkers.length} effects of workers`)
  ok(both.ofCommand.length > 80, `${both.ofCommand.length} effects of the command`)
  return both
}

function whoseOf(line: string): Point['in'] {
  const worker = /^(\d+)> /.exec(line)?.[1]
  return worker === undefined ? 'command' : Number(worker)
}

/** Of those at which a process sleeps: in CI `size`, with SLUICE_KILLS=all one of `distance` each. */
export function sleepingAt(all: readonly Point[], size: number, distance: number): readonly Point[] {
  return IS_LONG ? all.filter((_, index) => index % distance === 0) : sampled(all, size)
}

/** Strikes of all its processes. */
export function struckIn(run: Run): readonly string[] {
  return [...run.struck, ...run.workers.flatMap(({ struck }) => struck)]
}

/** A run that ends by itself although its workers die: each failed attempt is blamed on a death. */
export async function survived(arena: Arena, options: StartOptions): Promise<Run> {
  const run = await arena.run(0, { job, ...options })
  for (const { failure } of run.events('restarting'))
    ok(/^worker \d+ \(pid \d+\) died: signal SIGKILL$/.test(String(failure)), String(failure))
  deepEqual(remaining(run), [], 'workers of a command that has ended')
  return run
}

/** Numbers of its workers that are there. */
export function remaining(run: Run): readonly number[] {
  return run.workers.flatMap(({ isThere }, number) => (isThere ? [number] : []))
}

/** Without the one that is stopped. Returns after how many milliseconds. */
export async function untilGone(run: Run, stopped?: number): Promise<number> {
  const startMs = performance.now()
  await until(() => remaining(run).every((number) => number === stopped), 'workers to end', GONE_MS)
  return performance.now() - startMs
}

/** Effects of all processes since the last entry in the log. */
export function togetherSinceEntry({ together }: Run, pattern: RegExp): readonly string[] {
  const last = together.findLastIndex((line) => line.startsWith(ENTRY))
  return together.slice(last + 1).filter((line) => pattern.test(line))
}

/** Prepared, or half written. */
export function partsOf(arena: Arena): readonly string[] {
  return PARALLEL_SINKS.flatMap((sink) => arena.hidden(sink)).filter((name) => name.endsWith('.part'))
}

export function kill(who: Point['in'], match: string, nth: number, moment: Point['moment'] = 'before'): Strike {
  return { in: who, match, nth, moment, how: 'KILL' }
}
