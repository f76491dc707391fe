/**
 * `node bench/parallel/restart.ts <json options>`: from a throw of a user function in one subtask to the first new record that a reader
 * sees, in a process that lives on. The restart strategy waits for nothing: its delay would be added. Prints one JSON line.
 *
 *   throw ─▶ the old attempt has let go, `restarting` ─▶ state and tasks are open, `running` ─▶ `completed` ─▶ visible
 */
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import type { RunEvent } from '../../engine/coordinator/run-job.ts'
import { defineJob, json, value } from '../../engine/index.ts'
import { fileSink } from '../../sinks/file/sink.ts'
import { median } from '../core/figures.ts'
import { generationOf, isRight, recordsOf } from '../core/recovery.ts'
import { keyOf, numbers } from '../core/recovery.job.ts'
import { runHere } from '../core/run-here.ts'

export interface RestartOptions {
  readonly keys: number
  readonly parallelism: number
  readonly failures: number
}

export interface RestartResult {
  readonly medianMs: number
  readonly longestMs: number
  readonly failures: number
  /** Medians of what passed until then, since the throw. */
  readonly untilMs: Readonly<Record<Step, number>>
  /** Records compared. */
  readonly records: number
  readonly isRight: boolean
}

type Step = 'restarting' | 'running' | 'completed'

const RATE = 20_000
const INTERVAL_MS = 100
/** After all keys are there, and after each restart: a few checkpoints go by. */
const RUN_MS = 1_000
const TIMEOUT_MS = 120_000

const [, , text] = process.argv
const options = JSON.parse(text ?? '{"keys":100000,"parallelism":2,"failures":3}') as RestartOptions
const { keys, parallelism, failures } = options

const directory = mkdtempSync(join(tmpdir(), 'sluice-bench-restart-'))
const output = join(directory, 'out')
let seen = 0
let fails = false
let thrownAtMs = 0
/** First event of each kind since the throw. */
let events = new Map<RunEvent['kind'], number>()

const job = defineJob({
  id: 'restart',
  checkpoint: { intervalMs: INTERVAL_MS },
  restart: { kind: 'fixed-delay', attempts: failures, delayMs: 0 },
  build(flow) {
    flow
      .source('numbers', numbers(keys, RATE), { parallelism: 1 })
      .keyBy((number) => `key-${String(keyOf(number, keys)).padStart(8, '0')}`)
      .process('count', {
        state: { count: value(() => 0) },
        onRecord(number, { state, emit }) {
          if (fails) throwNow()
          const count = state.count.get() + 1
          state.count.set(count)
          seen = Math.max(seen, number + 1)
          emit([number, count])
        },
      })
      .sink('out', fileSink({ path: output, encode: json() }))
  },
})

function throwNow(): never {
  fails = false
  events = new Map()
  thrownAtMs = performance.now()
  throw new Error('told to fail')
}

function newestGeneration(): number {
  if (!existsSync(output)) return 0
  return Math.max(0, ...readdirSync(output).map(generationOf))
}

/** Asks again every millisecond. */
async function until(isTrue: () => boolean): Promise<void> {
  const giveUpAtMs = performance.now() + TIMEOUT_MS
  while (!isTrue()) {
    if (performance.now() > giveUpAtMs) throw new Error(`nothing came within ${TIMEOUT_MS} ms`)
    await setTimeout(1)
  }
}

async function measure(): Promise<RestartResult> {
  const stop = new AbortController()
  const running = runHere(job, {
    parallelism,
    stopSignal: stop.signal,
    onEvent: ({ kind }) => {
      // One that the old attempt had under way does not count.
      if (kind === 'running') events.delete('completed')
      if (!events.has(kind)) events.set(kind, performance.now())
    },
  })
  await Promise.race([running, until(() => seen > keys)])
  const times: number[] = []
  const steps: Record<Step, number[]> = { restarting: [], running: [], completed: [] }
  for (let failure = 0; failure < failures; failure += 1) {
    await setTimeout(RUN_MS + 37 * failure)
    const before = newestGeneration()
    fails = true
    await until(() => newestGeneration() > before)
    times.push(performance.now() - thrownAtMs)
    for (const step of ['restarting', 'running', 'completed'] as const)
      steps[step].push((events.get(step) ?? Number.NaN) - thrownAtMs)
  }
  stop.abort()
  await running
  const records = recordsOf(output).toSorted(([one], [other]) => one - other)
  const medianOf = (step: Step): number => Math.round(median(steps[step]))
  return {
    medianMs: Math.round(median(times)),
    longestMs: Math.round(Math.max(...times)),
    failures,
    untilMs: {
      restarting: medianOf('restarting'),
      running: medianOf('running'),
      completed: medianOf('completed'),
    },
    records: records.length,
    isRight: isRight(records, keys),
  }
}

try {
  console.log(JSON.stringify(await measure()))
} finally {
  rmSync(directory, { recursive: true, force: true })
}
