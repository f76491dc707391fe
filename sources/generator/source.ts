/**
 * Made-up records: for demonstrations, load tests and tests. One split; its position is the index of the next record.
 *
 * - A record depends on (seed, index) alone: not on batches, rate or restarts. So the source is exactly-once.
 */
import {
  assert,
  TerminalError,
  type Clock,
  type Polled,
  type Random,
  type Source,
  type SourceReader,
} from '../../engine/api/index.ts'
import { SeededRandom } from './seeded-random.ts'

/** Which records, how many, how fast. */
export interface GeneratorSourceOptions<T> {
  /** How many records there are; endless if left out. */
  readonly count?: number
  /** Records per second, from each start on; as fast as they are taken if left out. */
  readonly ratePerSecond?: number
  /** Which records: another seed, other records. Any integer. */
  readonly seed: number
  /** The record of this index (0, 1, …). `random` is valid during the call only. Must depend on nothing else. */
  readonly generate: (index: number, random: Random) => T
  /** Event time of a record, milliseconds since 1970. */
  readonly timestamp?: (record: T) => number
  /** At most this many records per poll, default 1,000. */
  readonly batchSize?: number
}

/** There is one. */
export interface GeneratorSplit {
  readonly id: 'generated'
}

/** How many records came before. */
export interface GeneratorPosition {
  /** Of the next record. */
  readonly index: number
}

type GeneratorPolled<T> = Polled<T, GeneratorSplit, GeneratorPosition>

const SPLIT: GeneratorSplit = { id: 'generated' }
const DEFAULT_BATCH_SIZE = 1_000
/** What a rate-limited source makes up for after a pause; more is let go. */
const CATCH_UP_MS = 1_000
const MAX_IDLE_MS = 1_000

/**
 * Records made up by a function of their index.
 * @throws TerminalError on options that are not numbers of the kind they should be
 */
export function generatorSource<T>(options: GeneratorSourceOptions<T>): Source<T, GeneratorSplit, GeneratorPosition> {
  const { count, ratePerSecond, batchSize } = options
  need(Number.isSafeInteger(options.seed), 'seed', options.seed, 'an integer')
  need(count === undefined || (Number.isSafeInteger(count) && count >= 0), 'count', count, 'a whole number')
  need(
    batchSize === undefined || (Number.isSafeInteger(batchSize) && batchSize > 0),
    'batchSize',
    batchSize,
    'a whole number above 0',
  )
  need(
    ratePerSecond === undefined || (Number.isFinite(ratePerSecond) && ratePerSecond > 0),
    'ratePerSecond',
    ratePerSecond,
    'a number above 0',
  )
  return {
    kind: 'generator',
    guarantee: 'exactly-once',
    validate: () => Promise.resolve(),
    discover: () => Promise.resolve([{ split: SPLIT, start: { index: 0 } }]),
    createReader: (context) => Promise.resolve(new GeneratorReader<T>(options, context.clock)),
  }
}

function need(holds: boolean, option: string, value: unknown, wanted: string): void {
  if (!holds)
    throw new TerminalError(`${option} of a generator source is ${String(value)}; give ${wanted}`, {
      code: 'SLUICE_CONNECTOR_OPTION_INVALID',
    })
}

class GeneratorReader<T> implements SourceReader<T, GeneratorSplit, GeneratorPosition> {
  readonly #options: GeneratorSourceOptions<T>
  readonly #clock: Clock
  readonly #random: SeededRandom
  readonly #count: number
  readonly #batchSize: number
  /** Of the next record; undefined: not assigned, or ended. */
  #index: number | undefined
  /** The rate counts from here: `#dueFrom` was due at `#dueSinceMs`. */
  #dueFrom = 0
  #dueSinceMs = 0

  constructor(options: GeneratorSourceOptions<T>, clock: Clock) {
    this.#options = options
    this.#clock = clock
    this.#random = new SeededRandom(options.seed)
    this.#count = options.count ?? Number.POSITIVE_INFINITY
    this.#batchSize = options.batchSize ?? DEFAULT_BATCH_SIZE
  }

  assign(splits: readonly { readonly split: GeneratorSplit; readonly position: GeneratorPosition }[]): Promise<void> {
    const [assigned] = splits
    this.#index = assigned?.position.index
    this.#dueFrom = this.#index ?? 0
    this.#dueSinceMs = this.#clock.monotonicMs()
    return Promise.resolve()
  }

  poll(): GeneratorPolled<T> {
    const first = this.#index
    if (first === undefined) return { kind: 'ended' }
    if (first >= this.#count) {
      this.#index = undefined
      return { kind: 'split-ended', split: SPLIT }
    }
    const due = this.#dueBelow()
    if (due <= first) return { kind: 'idle', retryAfterMs: this.#waitMs(first) }
    const end = Math.min(first + this.#batchSize, this.#count, due)
    const values: T[] = []
    for (let index = first; index < end; index += 1) {
      values.push(this.#options.generate(index, this.#random.restartAt(index)))
    }
    this.#index = end
    const { timestamp } = this.#options
    const records =
      timestamp === undefined ? { values } : { values, timestamps: values.map((value) => timestamp(value)) }
    return { kind: 'records', split: SPLIT, records, after: { index: end } }
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#index = undefined
    return Promise.resolve()
  }

  /** Records below this index may be given out now. */
  #dueBelow(): number {
    const rate = this.#options.ratePerSecond
    if (rate === undefined) return Number.POSITIVE_INFINITY
    const nowMs = this.#clock.monotonicMs()
    const next = this.#index ?? 0
    const behindMs = nowMs - this.#dueMs(next, rate)
    if (behindMs > CATCH_UP_MS) {
      this.#dueFrom = next
      this.#dueSinceMs = nowMs - CATCH_UP_MS
    }
    return this.#dueFrom + Math.floor(((nowMs - this.#dueSinceMs) * rate) / 1000 + ROUNDING)
  }

  #waitMs(index: number): number {
    const rate = this.#options.ratePerSecond
    assert(rate !== undefined, () => 'a generator without a rate waits')
    return Math.min(MAX_IDLE_MS, Math.max(1, Math.ceil(this.#dueMs(index, rate) - this.#clock.monotonicMs())))
  }

  /** When the record of this index is over with at this rate. */
  #dueMs(index: number, rate: number): number {
    return this.#dueSinceMs + ((index + 1 - this.#dueFrom) * 1000) / rate
  }
}

/** A thousandth of a record, so that one due at 3.3333 s is due then. */
const ROUNDING = 0.001
