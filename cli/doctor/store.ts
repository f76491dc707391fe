/**
 * The checkpoint store: does it keep what the protocol rests on, how long does a durable write take, does its clock agree with ours.
 */
import { rmdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { CheckpointStore, Runtime } from '../../engine/api/index.ts'
import { probeStore } from '../../engine/coordinator/probe.ts'
import { ok, warn, type Finding } from './finding.ts'

const TIMES = 5
/** A checkpoint waits for two or three of these. */
const SLOW_MS = 200
const CLOCK_TOLERANCE_MS = 2_000
const SMALL = new TextEncoder().encode('sluice doctor')
/** Probes of no job in particular lie here. */
const NOBODY = 'sluice-doctor'

/** Writes throw-away keys and removes them. `job`: whose keys they are beside. */
export async function storeFindings(
  store: CheckpointStore,
  job: string | undefined,
  runtime: Runtime,
): Promise<readonly Finding[]> {
  const owner = job ?? NOBODY
  await probeStore(store, owner, runtime)
  const findings: Finding[] = [ok('store probe', `${store.uri} keeps conditional creates apart`)]
  const { creates, gets, ageMs } = await measured(store, owner, runtime)
  const create = median(creates)
  const message = `a durable create takes ${create.toFixed(1)} ms, a get ${median(gets).toFixed(1)} ms`
  findings.push(
    create > SLOW_MS
      ? warn(
          'store speed',
          message,
          'use a faster disk, or a longer checkpoint interval: each checkpoint waits for a few of them',
        )
      : ok('store speed', message),
  )
  if (ageMs !== undefined) findings.push(clockFinding(ageMs))
  if (job === undefined) await removeEmpty(store, owner)
  return findings
}

interface Measured {
  readonly creates: readonly number[]
  readonly gets: readonly number[]
  /** How much older than our clock a file just written is said to be; undefined: no file. */
  readonly ageMs: number | undefined
}

async function measured(store: CheckpointStore, job: string, { clock, random }: Runtime): Promise<Measured> {
  const [creates, gets]: readonly [number[], number[]] = [[], []]
  let ageMs: number | undefined
  for (let times = 0; times < TIMES; times += 1) {
    const key = `${job}/probe/${random.token(16)}`
    try {
      creates.push(await timed(clock, () => store.create(key, SMALL)))
      ageMs = await ageOf(store, key, clock)
      gets.push(await timed(clock, () => store.get(key)))
    } finally {
      await store.delete(key)
    }
  }
  return { creates, gets, ageMs }
}

async function timed(clock: Runtime['clock'], act: () => Promise<unknown>): Promise<number> {
  const fromMs = clock.monotonicMs()
  await act()
  return clock.monotonicMs() - fromMs
}

async function ageOf(store: CheckpointStore, key: string, clock: Runtime['clock']): Promise<number | undefined> {
  const root = directoryOf(store)
  if (root === undefined) return undefined
  const info = await stat(join(root, key)).catch(() => undefined)
  return info === undefined ? undefined : clock.now() - info.mtimeMs
}

/** Where a store on a disk lies. */
export function directoryOf({ uri }: CheckpointStore): string | undefined {
  return uri.startsWith('file:') ? fileURLToPath(uri) : undefined
}

function clockFinding(ageMs: number): Finding {
  if (Math.abs(ageMs) <= CLOCK_TOLERANCE_MS) return ok('file clock', 'files of the store bear the time of this machine')
  const seconds = (Math.abs(ageMs) / 1000).toFixed(1)
  return warn(
    'file clock',
    `a file just written is said to be ${seconds} s ${ageMs > 0 ? 'old' : 'in the future'}`,
    'set the clocks of this machine and of the file server; nothing breaks, but times that are shown are wrong',
  )
}

/** The newest log entry against our clock. */
export function entryClockFinding(at: number, now: number): Finding {
  const aheadMs = at - now
  if (aheadMs <= CLOCK_TOLERANCE_MS) return ok('clock', 'not behind the newest log entry')
  const seconds = (aheadMs / 1000).toFixed(1)
  return warn(
    'clock',
    `the newest log entry is from ${seconds} s in the future (${new Date(at).toISOString()})`,
    'set the clock of this machine, or of the one that ran the job; order never rests on it, but shown times and ages do',
  )
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0
}

/** What the probe of no job has left in a directory. */
async function removeEmpty(store: CheckpointStore, owner: string): Promise<void> {
  const root = directoryOf(store)
  if (root === undefined) return
  for (const path of [join(root, owner, 'probe'), join(root, owner)]) await rmdir(path).catch(() => undefined)
}
