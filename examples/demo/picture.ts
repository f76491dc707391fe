/**
 * The demo as a picture of lines: a row per life, a bar of orders below.
 *
 *   2  ░░░░━━━━◆━━◆━━◆━━✗          0.48 s            6     41,204
 */
import { grouped, seconds, type Paint } from './paint.ts'
import { lengthMsOf, recoveryMsOf, type Life, type Timeline } from './timeline.ts'

export interface Frame {
  readonly timeline: Timeline
  readonly written: number
  readonly records: number
  readonly nowMs: number
  /** Of the terminal, in characters. */
  readonly width: number
  /** In lines. */
  readonly height: number
  readonly paint: Paint
}

const LEFT = 5
const COLUMNS = [10, 13, 12] as const
const RIGHT = COLUMNS.reduce((sum, width) => sum + width, 0)
const LEAST_MS_PER_CELL = 100
const NARROWEST = 10
/** Lines that are no life. */
const AROUND = 6

const ENDS = { killed: '✗', stopped: '■', finished: '✓' } as const

export function pictureOf(frame: Frame): readonly string[] {
  const { timeline, nowMs, width, height, paint } = frame
  const cells = Math.max(NARROWEST, width - LEFT - RIGHT - 1)
  const longestMs = Math.max(0, ...timeline.lives.map((life) => lengthMsOf(life, nowMs)))
  const msPerCell = Math.max(LEAST_MS_PER_CELL, longestMs / (cells - 1))
  const numbered = timeline.lives.map((life, index) => ({ life, number: index + 1 }))
  const rows = numbered.slice(-Math.max(1, height - AROUND)).map(({ life, number }) => {
    const { text, length } = barOf(life, { nowMs, msPerCell, paint })
    return `${String(number).padStart(LEFT - 2)}  ${text}${' '.repeat(Math.max(0, cells - length))}${figuresOf(life)}`
  })
  const titles = ['recovery', 'checkpoints', 'visible'].map((title, at) => title.padStart(COLUMNS[at] ?? 0)).join('')
  return [
    paint.faint(`${'life'.padStart(LEFT - 1).padEnd(LEFT + cells)}${titles}`),
    ...rows,
    '',
    ordersOf(frame),
    paint.faint('     ░ starting  ━ running  ◆ checkpoint  ✗ SIGKILL  ■ stopped  ✓ finished'.slice(0, width - 1)),
  ]
}

interface Scale {
  readonly nowMs: number
  readonly msPerCell: number
  readonly paint: Paint
}

/** `length`: in characters that are seen. */
function barOf(life: Life, { nowMs, msPerCell, paint }: Scale): { readonly text: string; readonly length: number } {
  const cellOf = (ms: number): number => Math.floor((ms - life.spawnedAtMs) / msPerCell)
  const until = cellOf(life.over?.atMs ?? nowMs)
  const firstSeen = life.firstSeenAtMs === undefined ? until : cellOf(life.firstSeenAtMs)
  const checkpoints = new Set(life.checkpointsAtMs.map(cellOf))
  const cells = Array.from({ length: until }, (_, cell) => {
    if (checkpoints.has(cell)) return paint.accent('◆')
    return cell < firstSeen ? paint.faint('░') : paint.good('━')
  })
  const { over } = life
  const end = over === undefined ? '' : (over.how === 'killed' ? paint.bad : paint.good)(ENDS[over.how])
  return { text: `${cells.join('')}${end}`, length: until + (over === undefined ? 0 : 1) }
}

function figuresOf(life: Life): string {
  const recoveryMs = recoveryMsOf(life)
  const figures = [
    recoveryMs === undefined ? '–' : seconds(recoveryMs),
    String(life.checkpointsAtMs.length),
    grouped(life.visible),
  ]
  return figures.map((figure, at) => figure.padStart(COLUMNS[at] ?? 0)).join('')
}

function ordersOf({ timeline, written, records, width, paint }: Frame): string {
  const { enriched } = timeline.visible
  const text = `  ${grouped(enriched)} visible, ${grouped(Math.max(0, written - enriched))} on their way`
  const cells = Math.max(NARROWEST, width - LEFT - text.length - 1)
  const seen = Math.min(cells, Math.round((cells * enriched) / records))
  const onTheWay = Math.max(0, Math.min(cells - seen, Math.round((cells * (written - enriched)) / records)))
  const rest = cells - seen - onTheWay
  const bar = paint.good('█'.repeat(seen)) + paint.accent('▒'.repeat(onTheWay)) + paint.faint('·'.repeat(rest))
  return `${' '.repeat(LEFT)}${bar}${text}`
}
