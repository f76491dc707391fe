/**
 * The progress of a run as people read it: one line that fits, and what it all came to in the end.
 */
import type { JobState } from '../engine/checkpoint/job-state.ts'
import type { Progress } from '../engine/coordinator/progress.ts'
import { countText, durationText, pluralText } from './amounts.ts'

/** Puts color around a text, or not. */
export type Paint = (text: string, color: 'good' | 'odd' | 'faint') => string

interface Part {
  readonly text: string
  readonly color?: 'good' | 'odd'
  /** The highest goes first when there is no room. */
  readonly rank: number
}

const GAP = ' · '
const CUT = '…'

/** At most `width` characters that are seen. */
export function progressLine(progress: Progress, width: number, paint: Paint): string {
  let parts = partsOf(progress)
  while (parts.length > 1 && lengthOf(parts) > width) {
    const last = Math.max(...parts.map(({ rank }) => rank))
    parts = parts.filter(({ rank }) => rank !== last)
  }
  const [first] = parts
  if (first !== undefined && lengthOf(parts) > width) return `${first.text.slice(0, Math.max(0, width - 1))}${CUT}`
  return parts.map(({ text, color }) => (color === undefined ? text : paint(text, color))).join(paint(GAP, 'faint'))
}

/** What the run has done. */
export function summaryText(progress: Progress): string {
  const { checkpoints, restarts, commits, uptimeMs } = progress
  const { read, written, skipped } = sumsOf(progress)
  return [
    `read ${pluralText(read, 'record')}, wrote ${countText(written)}`,
    ...(skipped === 0 ? [] : [`${countText(skipped)} skipped`]),
    pluralText(checkpoints.completed, 'checkpoint'),
    ...(restarts === 0 ? [] : [pluralText(restarts, 'restart')]),
    ...(commits.alreadyCommitted === 0 ? [] : [`${pluralText(commits.alreadyCommitted, 'commit')} repeated`]),
    `in ${durationText(uptimeMs)}`,
  ].join(', ')
}

function partsOf(progress: Progress): readonly Part[] {
  const { state, uptimeMs, checkpoints, visible, restarts } = progress
  const { read, written, skipped, readPerSecond, writtenPerSecond } = sumsOf(progress)
  const { last, uncommitted } = checkpoints
  const lag = visible.lagMs === null ? 'nothing visible yet' : `visible lag ${durationText(visible.lagMs)}`
  return [
    { text: `${state.toLowerCase()} ${durationText(uptimeMs)}`, color: COLORS[state], rank: 0 },
    { text: `read ${countText(readPerSecond)}/s, ${countText(read)}`, rank: 2 },
    { text: `wrote ${countText(writtenPerSecond)}/s, ${countText(written)}`, rank: 3 },
    ...(last === null ? [] : [{ text: checkpointText(last), rank: 4 }]),
    { text: lag, rank: 1 },
    ...(uncommitted <= 1 ? [] : [{ text: `${uncommitted} checkpoints uncommitted`, color: 'odd' as const, rank: 5 }]),
    ...(restarts === 0 ? [] : [{ text: pluralText(restarts, 'restart'), color: 'odd' as const, rank: 6 }]),
    ...(skipped === 0 ? [] : [{ text: `${countText(skipped)} skipped`, color: 'odd' as const, rank: 7 }]),
  ]
}

const COLORS: Readonly<Record<JobState, 'good' | 'odd'>> = {
  STARTING: 'odd',
  RUNNING: 'good',
  RESTARTING: 'odd',
  STOPPING: 'odd',
  FINISHED: 'good',
  STOPPED: 'good',
  CANCELED: 'odd',
  FAILED: 'odd',
}

function checkpointText(last: NonNullable<Progress['checkpoints']['last']>): string {
  return `checkpoint ${last.checkpoint} (${durationText(last.durationMs)}, ${durationText(last.sinceMs)} ago)`
}

interface Sums {
  readonly read: number
  readonly written: number
  readonly skipped: number
  readonly readPerSecond: number
  readonly writtenPerSecond: number
}

function sumsOf({ sources, sinks }: Progress): Sums {
  return {
    read: sum(sources.map((one) => one.read)),
    written: sum(sinks.map((one) => one.written)),
    skipped: sum(sources.map((one) => one.skipped)),
    readPerSecond: sum(sources.map((one) => one.readPerSecond)),
    writtenPerSecond: sum(sinks.map((one) => one.writtenPerSecond)),
  }
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((all, one) => all + one, 0)
}

function lengthOf(parts: readonly Part[]): number {
  return parts.reduce((all, { text }) => all + text.length, 0) + GAP.length * (parts.length - 1)
}
