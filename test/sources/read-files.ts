/** Files of one directory through the file source, as a task would read them. */
import type { Source } from '../../engine/api/index.ts'
import type { FilePosition, FileSplit } from '../../sources/file/source.ts'
import { contextIn, copyOf } from '../conformance/source-run.ts'

export const never = new AbortController().signal
export const START: FilePosition = { byte: 0, head: '', tail: '' }

export type Files<T> = Source<T, FileSplit, FilePosition>

export interface FoundInFiles<T> {
  readonly values: T[]
  /** Records of side outputs, by name. */
  readonly sides: Record<string, unknown[]>
  readonly positions: Map<string, FilePosition>
  /** Behind each batch, with the number of values and of bad lines up to there. */
  readonly stops: { readonly split: string; readonly position: FilePosition; readonly upTo: number; bad: number }[]
  readonly ended: string[]
  skipped: number
}

export interface ReadWay {
  readonly from?: ReadonlyMap<string, FilePosition>
  /** At most so many. */
  readonly batches?: number
  /** Of a source without end: until this is true. */
  readonly until?: (found: FoundInFiles<unknown>) => boolean
}

const DEADLINE_MS = 10_000

export async function readFiles<T>(source: Files<T>, directory: string, way: ReadWay = {}): Promise<FoundInFiles<T>> {
  const { from, batches = Infinity, until = () => false } = way
  const context = contextIn(directory)
  await source.validate(context)
  const known = [...(from?.keys() ?? [])].map((id) => ({ id }))
  const splits = await source.discover(context, known)
  await using reader = await source.createReader(context)
  await reader.assign(splits.map(({ split, start }) => ({ split, position: from?.get(split.id) ?? start })))
  const found = nothingFound<T>()
  await pollUntil(reader, found, (soFar) => soFar.stops.length >= batches || until(soFar))
  return found
}

export function nothingFound<T>(): FoundInFiles<T> {
  return { values: [], sides: {}, positions: new Map(), stops: [], ended: [], skipped: 0 }
}

/** Polls until the end, or until `isEnough`; waits as long as the source asks for. */
export async function pollUntil<T>(
  reader: Awaited<ReturnType<Files<T>['createReader']>>,
  found: FoundInFiles<T>,
  isEnough: (found: FoundInFiles<unknown>) => boolean,
): Promise<void> {
  const deadline = performance.now() + DEADLINE_MS
  while (!isEnough(found)) {
    if (performance.now() > deadline) throw new Error(`after ${DEADLINE_MS} ms: ${JSON.stringify(found).slice(0, 500)}`)
    const polled = await reader.poll(never)
    if (polled.kind === 'ended') return
    if (polled.kind === 'idle') await pause(polled.retryAfterMs ?? 10)
    if (polled.kind === 'split-ended') found.ended.push(polled.split.id)
    if (polled.kind !== 'records') continue
    found.values.push(...polled.records.values)
    found.skipped += polled.records.skipped ?? 0
    for (const [name, records] of Object.entries(polled.records.sides ?? {})) {
      found.sides[name] = [...(found.sides[name] ?? []), ...records]
    }
    const position = copyOf(polled.after)
    found.positions.set(polled.split.id, position)
    const bad = Object.values(found.sides).flat().length
    found.stops.push({ split: polled.split.id, position, upTo: found.values.length, bad })
  }
}

async function pause(ms: number): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  setTimeout(resolve, ms)
  await promise
}
