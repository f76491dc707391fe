/** Counts keys: first each once, then at random, at a rate. What a record says of itself is checked by `recovery.ts`. */
import { defineJob, json, value, type Clock, type Source } from 'sluice'
import { fileSink } from 'sluice/sinks/file'
import { hash } from './input.ts'

const BATCH = 1_000
const SPLIT = { id: 'numbers' }

export function keyOf(number: number, keys: number): number {
  return number < keys ? number : hash(number, 1) % keys
}

/** The first `keys` numbers as fast as they are taken, the others at a rate from each start on. */
export function numbers(keys: number, ratePerSecond: number): Source<number, typeof SPLIT, number> {
  return {
    kind: 'numbers',
    guarantee: 'exactly-once',
    validate: () => Promise.resolve(),
    discover: () => Promise.resolve([{ split: SPLIT, start: 0 }]),
    createReader: ({ clock }) => Promise.resolve(new Numbers({ keys, ratePerSecond, clock })),
  }
}

class Numbers {
  readonly #options: { readonly keys: number; readonly ratePerSecond: number; readonly clock: Clock }
  #next = 0
  #paced: { readonly from: number; readonly atMs: number } | undefined

  constructor(options: { readonly keys: number; readonly ratePerSecond: number; readonly clock: Clock }) {
    this.#options = options
  }

  assign(splits: readonly { readonly position: number }[]): Promise<void> {
    this.#next = splits[0]?.position ?? 0
    return Promise.resolve()
  }

  poll() {
    const until = Math.min(this.#next + BATCH, this.#due())
    if (until <= this.#next) return { kind: 'idle' as const, retryAfterMs: 1 }
    const values = Array.from({ length: until - this.#next }, (_, index) => this.#next + index)
    this.#next = until
    return { kind: 'records' as const, split: SPLIT, records: { values }, after: until }
  }

  #due(): number {
    const { keys, ratePerSecond, clock } = this.#options
    if (this.#next < keys) return keys
    this.#paced ??= { from: this.#next, atMs: clock.monotonicMs() }
    return this.#paced.from + Math.floor(((clock.monotonicMs() - this.#paced.atMs) / 1_000) * ratePerSecond)
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve()
  }
}

export default defineJob({
  id: 'recovery',
  checkpoint: { intervalMs: 100 },
  build(flow, settings) {
    const keys = Number(settings.string('keys'))
    flow
      .source('numbers', numbers(keys, Number(settings.string('rate'))))
      .keyBy((number) => `key-${String(keyOf(number, keys)).padStart(8, '0')}`)
      .process('count', {
        state: { count: value(() => 0) },
        onRecord(number, { state, emit }) {
          const count = state.count.get() + 1
          state.count.set(count)
          emit([number, count])
        },
      })
      .sink('out', fileSink({ path: settings.string('output'), encode: json() }))
  },
})
