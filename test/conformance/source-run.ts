/**
 * How the source checks drive a source: as a task would, with what a checkpoint would hold.
 */
import assert from 'node:assert/strict'
import {
  parseGeneration,
  parseJobId,
  parseLineageId,
  parseOperatorId,
  type Logger,
  type ReaderContext,
  type Source,
  type SourceContext,
  type SourceReader,
  type SplitLike,
} from '../../engine/api/index.ts'

export type AnySource = Source<unknown, SplitLike, unknown>
export type AnyReader = SourceReader<unknown, SplitLike, unknown>

export interface TakenBatch {
  readonly split: SplitLike
  readonly values: readonly unknown[]
  readonly timestamps: ArrayLike<number> | undefined
  readonly after: unknown
  /** `after` as JSON when it was given. */
  readonly afterThen: string
}

/** What a checkpoint holds of each split that has a position. */
export type Positions = Map<string, { readonly split: SplitLike; readonly position: unknown; readonly ended: boolean }>

export interface Take {
  /** Stop at this many records, or more. Default: at the end. */
  readonly records?: number
  /** Stop at this many batches. */
  readonly batches?: number
  /** Stop after this many polls, whatever they gave. */
  readonly polls?: number
  /** Noted here as the engine would, once a batch is through. */
  readonly positions?: Positions
  readonly onBatch?: (batch: TakenBatch) => void
  /** Each poll is aborted, in one of several ways, before it is asked again in earnest. */
  readonly abortFirst?: boolean
}

export interface Start {
  /** Read on from what a checkpoint holds. */
  readonly positions?: Positions
  /** This split alone. */
  readonly only?: { readonly split: SplitLike; readonly position: unknown }
  /** No split at all. */
  readonly none?: boolean
}

const DEADLINE_MS = 20_000
const ABORT_ANSWER_MS = 2_000
const silent = (): void => undefined
const logger: Logger = { debug: silent, info: silent, warn: silent, error: silent }

export async function withReader<T>(
  source: AnySource,
  options: { readonly baseDirectory?: string; readonly start?: Start },
  use: (reader: AnyReader) => Promise<T>,
): Promise<T> {
  await using reader = await openReader(source, options)
  return await use(reader)
}

export async function openReader(
  source: AnySource,
  { baseDirectory = process.cwd(), start = {} }: { readonly baseDirectory?: string; readonly start?: Start },
): Promise<AnyReader> {
  const context = contextIn(baseDirectory)
  await source.validate(context)
  const { positions } = start
  const known = [...(positions?.values() ?? [])]
  const discovered = await source.discover(
    { ...context, isFirst: positions === undefined },
    known.map(({ split }) => copyOf(split)),
  )
  const assigned = discovered.flatMap((found) => {
    const held = start.positions?.get(found.split.id)
    if (held?.ended === true) return []
    return [{ split: found.split, position: copyOf(held === undefined ? found.start : held.position) }]
  })
  const reader = await source.createReader(context)
  await reader.assign(start.none === true ? [] : start.only === undefined ? assigned : [start.only])
  return reader
}

/** Of a reader, and of a first discovery. */
export function contextIn(baseDirectory: string): ReaderContext & SourceContext {
  return {
    isFirst: true,
    job: parseJobId('conformance'),
    lineage: parseLineageId('conformance0'),
    generation: parseGeneration(1),
    operator: parseOperatorId('source'),
    subtask: 0,
    parallelism: 1,
    maxParallelism: 128,
    baseDirectory,
    clock: { now: () => Date.now(), monotonicMs: () => performance.now() },
    random: { next: () => Math.random(), token: (length) => 'x'.repeat(length) },
    logger,
    metrics: { count: silent, gauge: silent },
    signal: new AbortController().signal,
    fail: (error) => {
      throw error
    },
  }
}

export async function takeBatches(reader: AnyReader, take: Take = {}): Promise<TakenBatch[]> {
  const { records = Number.POSITIVE_INFINITY, batches = Number.POSITIVE_INFINITY, positions } = take
  const deadline = performance.now() + DEADLINE_MS
  const taken: TakenBatch[] = []
  for (let found = 0, polls = 0; found < records && taken.length < batches && polls < (take.polls ?? Infinity);) {
    polls += 1
    assert.ok(performance.now() < deadline, `${found} records within ${DEADLINE_MS} ms, and no end`)
    const polled =
      (take.abortFirst === true ? await pollAborted(reader, taken.length) : undefined) ?? (await pollOf(reader))
    if (polled.kind === 'ended') break
    if (polled.kind === 'idle') await pause(polled.retryAfterMs)
    if (polled.kind === 'split-ended') endOf(polled.split, positions)
    if (polled.kind !== 'records') continue
    const { values, timestamps } = polled.records
    const afterThen = JSON.stringify(polled.after)
    const batch = { split: polled.split, values, timestamps, after: polled.after, afterThen }
    found += values.length
    taken.push(batch)
    positions?.set(batch.split.id, { split: copyOf(batch.split), position: copyOf(batch.after), ended: false })
    take.onBatch?.(batch)
  }
  return taken
}

type AnyPolled = Awaited<ReturnType<AnyReader['poll']>>

async function pollOf(reader: AnyReader): Promise<AnyPolled> {
  return await reader.poll(new AbortController().signal)
}

/** What it gave all the same; undefined if it gave nothing. */
async function pollAborted(reader: AnyReader, round: number): Promise<AnyPolled | undefined> {
  const abort = new AbortController()
  if (round % 3 === 0) abort.abort()
  const pending = Promise.resolve(reader.poll(abort.signal)).then(
    (polled) => polled,
    (error: unknown) => {
      if (abort.signal.aborted) return undefined
      throw error
    },
  )
  if (round % 3 === 2) await Promise.resolve()
  abort.abort()
  const late = Symbol('late')
  const deadline = Promise.withResolvers<typeof late>()
  const timer = setTimeout(() => deadline.resolve(late), ABORT_ANSWER_MS)
  const answer = await Promise.race([pending, deadline.promise])
  clearTimeout(timer)
  if (answer === late) assert.fail(`an aborted poll has not answered within ${ABORT_ANSWER_MS} ms`)
  return answer === undefined || answer.kind === 'idle' ? undefined : answer
}

function endOf(split: SplitLike, positions: Positions | undefined): void {
  const held = positions?.get(split.id)
  positions?.set(split.id, { split: copyOf(split), position: held?.position ?? null, ended: true })
}

export function copyOf<T>(value: T): T {
  return JSON.parse(JSON.stringify(value)) as T
}

export async function pause(ms = 10): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  setTimeout(resolve, ms)
  await promise
}
