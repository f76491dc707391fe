/** Writes the input of a trial little by little, each life of the job its portion, so that every life has something to do. */
import { setTimeout as pause } from 'node:timers/promises'
import type { Arrival } from './example.ts'
import type { ConsoleProducer } from './topics.ts'

const STEP_MS = 20

export interface FeedOptions {
  readonly arrivals: readonly Arrival[]
  readonly portions: number
  /** How long a portion takes, at least. */
  readonly portionMs: number
}

export class Feed implements Disposable {
  /** Resolves when all is written, rejects when that fails. */
  readonly done: Promise<void>
  readonly #options: FeedOptions
  readonly #disposed = new AbortController()
  #allowed = 0

  constructor(producer: ConsoleProducer, options: FeedOptions) {
    this.#options = options
    this.done = this.#write(producer)
    this.done.catch(() => undefined)
  }

  /** One more portion. */
  allow(): void {
    const { arrivals, portions } = this.#options
    this.#allowed = Math.min(arrivals.length, this.#allowed + Math.ceil(arrivals.length / portions))
  }

  /** Writes no more. */
  [Symbol.dispose](): void {
    this.#disposed.abort()
  }

  async #write(producer: ConsoleProducer): Promise<void> {
    const { arrivals, portions, portionMs } = this.#options
    const perStep = Math.max(1, Math.ceil((arrivals.length * STEP_MS) / (portions * portionMs)))
    for (let written = 0; written < arrivals.length;) {
      const next = Math.min(this.#allowed, written + perStep)
      if (next > written) await producer.write(arrivals.slice(written, next))
      written = next
      await pause(STEP_MS, undefined, { signal: this.#disposed.signal })
    }
    await producer.end()
  }
}
