/**
 * The last line of a terminal, rewritten in place; what is printed meanwhile goes above it.
 *
 * - It is never as wide as the terminal, so it never wraps by itself. A terminal that is made narrower may have wrapped the old one: what of
 *   it stands higher stays there, since not every terminal does so, and going up would erase what was printed before.
 * - Each change is one write, the new text over the old one, so that nothing flickers.
 */

export interface TextOutput {
  readonly isTTY?: boolean
  /** Of the terminal, now. */
  readonly columns?: number
  write(text: string): unknown
}

/** Gives the line as it is to be seen: `width` characters at most, colors apart. */
export type Line = (width: number) => string

const LEAST_MS = 250
const TO_BEGIN = '\r'
const ERASE_REST = '\u001b[K'
const DEFAULT_COLUMNS = 80

export class LiveLine {
  readonly #output: TextOutput
  readonly #monotonicMs: () => number
  #line: Line | undefined
  #shownAtMs = -Infinity

  constructor(output: TextOutput, monotonicMs: () => number) {
    this.#output = output
    this.#monotonicMs = monotonicMs
  }

  /** At most four times a second; what comes in between is shown with what comes next. */
  show(line: Line): void {
    this.#line = line
    const nowMs = this.#monotonicMs()
    if (nowMs - this.#shownAtMs < LEAST_MS) return
    this.#shownAtMs = nowMs
    this.#output.write(this.#text())
  }

  /** Above the line. */
  print(text: string): void {
    this.#output.write(`${this.#line === undefined ? '' : `${TO_BEGIN}${ERASE_REST}`}${text}\n${this.#text()}`)
  }

  /** Nothing of it is left. */
  clear(): void {
    if (this.#line !== undefined) this.#output.write(`${TO_BEGIN}${ERASE_REST}`)
    this.#line = undefined
  }

  #text(): string {
    if (this.#line === undefined) return ''
    const { columns = 0 } = this.#output
    // Some terminals do not know how wide they are and say 0.
    return `${TO_BEGIN}${this.#line((columns > 0 ? columns : DEFAULT_COLUMNS) - 1)}${ERASE_REST}`
  }
}
