/**
 * What becomes of lines that cannot be decoded: the job fails at the first, or they are passed over and counted, or they go out as records
 * of a side output. None is lost silently: the log names the first of a file, and how many there were when it ends.
 */
import {
  sideOutput,
  TerminalError,
  type BadLine,
  type Batch,
  type Logger,
  type Metrics,
} from '../../engine/api/index.ts'

/** See `FileSourceOptions.onBadLine`. */
export type BadLinePolicy = 'fail' | 'skip' | 'side'

/** A line as it was found: in the order of their positions, the same ones from the same position on in each run. */
export interface BadFileLine {
  /** As the split is named: relative to the base directory. */
  readonly path: string
  /** Of its first byte; in a compressed file: of its decompressed content. */
  readonly byte: number
  /** The whole record, without its line end; bytes that are not UTF-8 are replaced (U+FFFD). */
  readonly text: string
  /** Why it could not be decoded. */
  readonly error: string
}

/** Bad lines under `onBadLine: 'side'`: `stream.side(badLines)`. */
export const badLines = sideOutput<BadFileLine>('bad-lines')

export interface FoundBad {
  readonly path: string
  /** What was decoded, `offset` of its first byte in the file. */
  readonly bytes: Buffer
  readonly offset: number
  readonly bad: readonly BadLine[]
}

const NEWLINE = 10
const LINE_END = /(?:\r?\n|\r)$/

/** Of one file, from its opening on. */
export class BadLines {
  readonly #policy: BadLinePolicy
  readonly #logger: Logger
  readonly #metrics: Metrics
  #count = 0

  constructor(policy: BadLinePolicy, { logger, metrics }: { readonly logger: Logger; readonly metrics: Metrics }) {
    this.#policy = policy
    this.#logger = logger
    this.#metrics = metrics
  }

  /** What a batch says of them. @throws TerminalError under the policy `fail` */
  take(found: FoundBad): Pick<Batch<never>, 'skipped' | 'sides'> {
    const [first] = found.bad
    if (first === undefined) return {}
    const place = placeOf(found, first)
    if (this.#policy === 'fail') {
      throw new TerminalError(
        `${place}. Mend the line, or pass over bad lines with onBadLine: 'skip', or take them apart with 'side'`,
        { code: 'SLUICE_BAD_LINE' },
      )
    }
    if (this.#count === 0) this.#logger.warn(`${place}: ${this.#policy === 'skip' ? 'skipped' : 'sent to bad-lines'}`)
    this.#count += found.bad.length
    if (this.#policy === 'skip') return { skipped: found.bad.length }
    this.#metrics.count('bad-lines', found.bad.length)
    return { sides: { [badLines.name]: found.bad.map((bad) => recordOf(found, bad)) } }
  }

  /** The file has ended, or is left. */
  end(path: string): void {
    if (this.#count > 1) {
      const what = this.#policy === 'skip' ? 'skipped' : 'sent to bad-lines'
      this.#logger.warn(`${path}: ${this.#count} bad lines were ${what}`)
    }
    this.#count = 0
  }
}

function placeOf({ path, offset }: FoundBad, bad: BadLine): string {
  return `${path}, byte ${offset + bad.offset}: ${bad.reason}: ${JSON.stringify(bad.excerpt)}`
}

function recordOf({ path, bytes, offset }: FoundBad, bad: BadLine): BadFileLine {
  const newline = bytes.indexOf(NEWLINE, bad.offset)
  const end = bad.length === undefined ? (newline < 0 ? bytes.length : newline) : bad.offset + bad.length
  const text = bytes.subarray(bad.offset, end).toString('utf8').replace(LINE_END, '')
  return { path, byte: offset + bad.offset, text, error: bad.reason }
}
