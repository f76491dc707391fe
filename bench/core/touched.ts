/**
 * `node bench/core/touched.ts <json options>`: a million keys, one per cent of them touched per checkpoint, until every key group has been
 * written whole twice after the first time. Prints one JSON line. Holds are CPU time of the main thread between two turns of the event
 * loop, so that other processes do not count; what garbage collection took of one is said apart.
 */
import { PerformanceObserver } from 'node:perf_hooks'
import { setTimeout } from 'node:timers/promises'
import { defineJob, value, type CheckpointStore } from '../../engine/index.ts'
import type { Manifest } from '../../engine/checkpoint/manifest.ts'
import { discardSink } from '../../sinks/discard/sink.ts'
import { rounded } from './figures.ts'
import { hash } from './input.ts'
import { memorySource } from './memory-source.ts'
import { runHere } from './run-here.ts'

export interface TouchedOptions {
  readonly keys: number
  readonly touched: number
  readonly bases: number
}

const BATCH = 1_000
const INTERVAL_MS = 50
const KEY_GROUPS = 128
const NOTED_MS = 2

const [, , text] = process.argv
const options = JSON.parse(text ?? '{"keys":1000000,"touched":10000,"bases":2}') as TouchedOptions

let allowed = options.keys
let rebased = 0
let checkpoints = 0
let stateBytes = 0
let bases = new Map<number, string>()
let isEnough = false
const written = { bytes: 0, blobs: 0 }
/** Turns of some length only: there are a million. */
const turns: { readonly startedAt: number; readonly endedAt: number; readonly cpuMs: number }[] = []
let turnCount = 0
const collections: { readonly startedAt: number; readonly durationMs: number }[] = []

/** Every key once, then as many at random as are allowed. */
function keysFrom(from: number): readonly number[] | 'idle' | 'ended' {
  if (isEnough) return 'ended'
  if (from >= allowed) return 'idle'
  return Array.from({ length: Math.min(allowed - from, BATCH) }, (_, index) => {
    const number = from + index
    return number < options.keys ? number : hash(number, 1) % options.keys
  })
}

const job = defineJob({
  id: 'touched',
  checkpoint: { intervalMs: INTERVAL_MS },
  build(flow) {
    flow
      .source('keys', memorySource(keysFrom))
      .keyBy((key) => `key-${String(key).padStart(8, '0')}`)
      .process('count', {
        state: { count: value(() => 0) },
        onRecord(_key, { state, emit }) {
          const count = state.count.get() + 1
          state.count.set(count)
          emit(count)
        },
      })
      .sink('discard', discardSink())
  },
})

/** Groups whose base lies elsewhere than in the checkpoint before. */
function completed(manifest: Manifest): void {
  checkpoints += 1
  const state = manifest.operators.find(({ operator }) => operator === 'count')?.state
  const now = new Map<number, string>()
  stateBytes = 0
  for (const { keyGroup, segments } of state?.keyGroups ?? []) {
    const [blob, offset] = segments[0] ?? []
    now.set(keyGroup, `${blob === undefined ? '' : state?.blobs[blob]?.key} ${offset}`)
    stateBytes += segments[0]?.[2] ?? 0
  }
  const position = Number(manifest.operators.find(({ operator }) => operator === 'keys')?.splits?.[0]?.position)
  // The keys come first: bases count once all are there.
  if (position < options.keys) return
  for (const [keyGroup, base] of now) if (bases.size > 0 && bases.get(keyGroup) !== base) rebased += 1
  bases = now
  isEnough = rebased >= options.bases * KEY_GROUPS
  // One per cent for the next checkpoint, however late it comes.
  if (position >= allowed) allowed = position + options.touched
}

function counted(store: CheckpointStore): CheckpointStore {
  return {
    uri: store.uri,
    create: (key, bytes) => {
      written.bytes += bytes.byteLength
      return store.create(key, bytes)
    },
    put: (key, bytes) => {
      written.bytes += bytes.byteLength
      written.blobs += 1
      return store.put(key, bytes)
    },
    get: (key) => store.get(key),
    delete: (key) => store.delete(key),
    list: (prefix) => store.list(prefix),
    [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
  }
}

/** One look per turn of the event loop. */
function watchTurns(): () => void {
  let before = process.threadCpuUsage()
  let startedAt = performance.now()
  let next: NodeJS.Immediate
  const turn = (): void => {
    const now = process.threadCpuUsage()
    const endedAt = performance.now()
    const cpuMs = (now.user + now.system - before.user - before.system) / 1_000
    if (cpuMs >= NOTED_MS) turns.push({ startedAt, endedAt, cpuMs })
    turnCount += 1
    before = now
    startedAt = endedAt
    next = setImmediate(turn)
  }
  next = setImmediate(turn)
  return () => clearImmediate(next)
}

/** CPU time of a turn, less the garbage collections that fell into it. */
function holdOf({ startedAt, endedAt, cpuMs }: (typeof turns)[number]): number {
  const within = collections.filter((one) => one.startedAt >= startedAt && one.startedAt <= endedAt)
  return Math.max(0, cpuMs - within.reduce((sum, { durationMs }) => sum + durationMs, 0))
}

new PerformanceObserver((list) => {
  for (const { startTime, duration } of list.getEntries())
    collections.push({ startedAt: startTime, durationMs: duration })
}).observe({ entryTypes: ['gc'] })
const stop = watchTurns()
await runHere(job, {
  wrap: counted,
  onEvent: (event) => {
    if (event.kind === 'completed') completed(event.manifest)
  },
})
stop()
// Collections are told some time after they were.
await setTimeout(100)
const holds = turns.map(holdOf).toSorted((one, other) => other - one)
console.log(
  JSON.stringify({
    checkpoints,
    basesPerGroup: rounded(rebased / KEY_GROUPS),
    bytesWritten: written.bytes,
    stateBytes,
    bytesPerCheckpoint: Math.round(written.bytes / checkpoints),
    longestHoldMs: rounded(holds[0] ?? 0),
    holdsAbove10Ms: holds.filter((ms) => ms > 10).length,
    turns: turnCount,
    longestGcMs: rounded(Math.max(...collections.map(({ durationMs }) => durationMs))),
    collections: collections.length,
    rssMb: Math.round(process.resourceUsage().maxRSS / 1_024),
  }),
)
