/**
 * What is done again by a run that goes back: which records are read a second time, and what becomes of what was written of them.
 */
import { unreachable, type Guarantee } from '../api/index.ts'
import type { RestoreChoice } from './restore-choice.ts'
import type { Manifest } from './manifest.ts'

/** Of a checkpoint. */
export interface Point {
  readonly checkpoint: number
  /** Wall clock, for people. */
  readonly at: number
  /** Null: it cannot be read. */
  readonly manifest: Manifest | null
}

/** What a run that goes back does a second time. */
export interface Repetition {
  /** Where the run goes back to; null: to the beginning. */
  readonly from: { readonly checkpoint: number; readonly at: number } | null
  /** The newest checkpoint of the job: what came behind it was never visible. */
  readonly to: { readonly checkpoint: number; readonly at: number }
  /** Those that have moved between the two; null: their positions cannot be read. */
  readonly splits: readonly RepeatedSplit[] | null
  readonly sinks: readonly { readonly sink: string; readonly guarantee: Guarantee }[]
}

/** A split that is read again, from where to where. */
export interface RepeatedSplit {
  readonly operator: string
  readonly split: string
  /** Null: its beginning. */
  readonly from: unknown
  readonly to: unknown
}

export function repetitionOf(from: Point | null, to: Point, sinks: Repetition['sinks']): Repetition {
  const isKnown = to.manifest !== null && (from === null || from.manifest !== null)
  return {
    from: from === null ? null : { checkpoint: from.checkpoint, at: from.at },
    to: { checkpoint: to.checkpoint, at: to.at },
    splits: isKnown ? movedSplits(from?.manifest ?? null, to.manifest) : null,
    sinks,
  }
}

/** Splits of `to` that were elsewhere, or not there, in `from`. */
export function movedSplits(from: Manifest | null, to: Manifest | null): readonly RepeatedSplit[] {
  const before = positionsOf(from)
  return [...positionsOf(to).values()].flatMap((now) => {
    const then = before.get(keyOf(now))
    if (then !== undefined && JSON.stringify(then.position) === JSON.stringify(now.position)) return []
    return [{ operator: now.operator, split: now.split, from: then?.position ?? null, to: now.position }]
  })
}

/** Splits named one by one; of more, how many. */
const MOST_NAMED = 8

/** In one line, without a full stop; it goes on behind what goes back where. */
export function repetitionText({ from, to, splits, sinks }: Repetition): string {
  const since = from === null ? 'from the beginning' : `since checkpoint ${from.checkpoint} of ${timeOf(from.at)}`
  const again = `what was read ${since}, until ${timeOf(to.at)} at least, is read again (${splitsText(splits)})`
  return [again, ...sinks.map(({ sink, guarantee }) => sinkText(sink, guarantee))].join('; ')
}

function splitsText(splits: Repetition['splits']): string {
  if (splits === null) return 'positions cannot be read'
  if (splits.length === 0) return 'no source has moved'
  const named = splits.slice(0, MOST_NAMED).map(({ operator, split, from, to }) => {
    const start = from === null ? 'its beginning' : JSON.stringify(from)
    return `${operator} ${split} from ${start} to ${JSON.stringify(to)}`
  })
  const more = splits.length - named.length
  return [...named, ...(more > 0 ? [`and ${more} more splits`] : [])].join(', ')
}

function sinkText(sink: string, guarantee: Guarantee): string {
  switch (guarantee) {
    case 'exactly-once':
    case 'at-least-once':
      return `what sink "${sink}" (${guarantee}) made visible since then is written a second time`
    case 'idempotent':
      return `sink "${sink}" (idempotent) is brought back to older values first, then to the newest again`
    default:
      return unreachable(guarantee)
  }
}

/** Is this run to begin with anything but the job's newest checkpoint? */
export function goesBack(restore: RestoreChoice, newestCheckpoint: number | undefined, isNewest: boolean): boolean {
  return newestCheckpoint !== undefined && restore !== 'latest' && restore !== newestCheckpoint && !isNewest
}

interface Placed {
  readonly operator: string
  readonly split: string
  readonly position: unknown
}

function positionsOf(manifest: Manifest | null): ReadonlyMap<string, Placed> {
  const placed = (manifest?.operators ?? []).flatMap(({ operator, splits = [] }) =>
    splits.map(({ split, position }): Placed => ({ operator, split: split.id, position })),
  )
  return new Map(placed.map((one) => [keyOf(one), one]))
}

function keyOf({ operator, split }: Pick<Placed, 'operator' | 'split'>): string {
  return `${operator}\n${split}`
}

function timeOf(at: number): string {
  return new Date(at).toISOString()
}
