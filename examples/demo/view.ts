/** Shows a demo while it runs: a picture that is drawn again and again on a terminal, a line per event elsewhere. */
import type { DemoEvent } from './demo-event.ts'
import { grouped, seconds, type Paint } from './paint.ts'
import { pictureOf, type Frame } from './picture.ts'
import { recoveryMsOf, type Timeline } from './timeline.ts'

export interface View extends Disposable {
  event(event: DemoEvent): void
}

export interface Shown {
  /** As it is now. */
  readonly timeline: () => Timeline
  readonly written: () => number
  readonly records: number
  readonly paint: Paint
}

export interface Terminal {
  readonly columns: number
  readonly rows: number
  write(text: string): unknown
}

const REDRAW_MS = 80
const HIDE_CURSOR = '\u001b[?25l'
const SHOW_CURSOR = '\u001b[?25h'

/** Its last picture stays. */
export class PictureView implements View {
  readonly #shown: Shown
  readonly #terminal: Terminal
  readonly #timer: NodeJS.Timeout
  #drawnLines = 0

  constructor(shown: Shown, terminal: Terminal) {
    this.#shown = shown
    this.#terminal = terminal
    terminal.write(HIDE_CURSOR)
    this.#timer = setInterval(() => this.#draw(), REDRAW_MS)
  }

  event(event: DemoEvent): void {
    const text = noteOf(event, this.#shown.paint)
    if (text !== undefined) this.#print(text)
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer)
    this.#draw()
    this.#terminal.write(SHOW_CURSOR)
  }

  /** Above the picture, for good. */
  #print(text: string): void {
    this.#terminal.write(`${this.#erase()}${text}\n`)
    this.#drawnLines = 0
    this.#draw()
  }

  #draw(): void {
    const { timeline, written, records, paint } = this.#shown
    const { columns, rows } = this.#terminal
    const nowMs = performance.timeOrigin + performance.now()
    const frame: Frame = {
      timeline: timeline(),
      written: written(),
      records,
      nowMs,
      width: columns,
      height: rows,
      paint,
    }
    const lines = pictureOf(frame)
    this.#terminal.write(`${this.#erase()}${lines.map((line) => `${line}\n`).join('')}`)
    this.#drawnLines = lines.length
  }

  #erase(): string {
    return this.#drawnLines === 0 ? '' : `\u001b[${this.#drawnLines}A\r\u001b[0J`
  }
}

export class LineView implements View {
  readonly #shown: Shown
  readonly #write: (line: string) => void
  /** Lives whose first output has been told. */
  #told = 0

  constructor(shown: Shown, write: (line: string) => void) {
    this.#shown = shown
    this.#write = write
  }

  event(event: DemoEvent): void {
    const { timeline, paint } = this.#shown
    const { beganAtMs, lives } = timeline()
    if (event.kind === 'seen' && this.#told === lives.length) return
    if (event.kind === 'seen') this.#told = lives.length
    const text = noteOf(event, paint) ?? lineOf(event, timeline())
    if (text === undefined) return
    this.#write(`${seconds(event.atMs - beganAtMs).padStart(8)}  life ${lives.length}  ${text}`)
  }

  [Symbol.dispose](): void {
    // Each line stands already.
  }
}

/** What is told in words, also beside a picture. */
function noteOf(event: DemoEvent, paint: Paint): string | undefined {
  if (event.kind === 'sabotaged') return paint.accent(`sabotage  ${event.text}`)
  return event.kind === 'wrong' ? paint.bad(`wrong  ${event.text}`) : undefined
}

/** Undefined: nothing to tell. */
function lineOf(event: DemoEvent, { lives }: Timeline): string | undefined {
  const life = lives.at(-1)
  if (event.kind === 'running') {
    return event.restored === null ? 'runs' : `runs again, from checkpoint ${event.restored}`
  }
  if (event.kind === 'seen' && life !== undefined) {
    return `its first new output is visible ${seconds(recoveryMsOf(life) ?? 0)} after its start`
  }
  if (event.kind !== 'over' || life === undefined) return undefined
  const how = { killed: 'killed (SIGKILL)', stopped: 'stopped (SIGTERM)', finished: 'finished' }[event.how]
  return `${how} after ${life.checkpointsAtMs.length} checkpoints; ${grouped(life.visible)} orders are visible`
}
