/**
 * Work for many cores: numbers out of several splits, some thousand instructions for each, counted per key behind an exchange. Of each key
 * only every fiftieth count is written.
 */
import { defineJob, json, value, type Settings, type Source } from '../../engine/index.ts'
import { fileSink } from '../../sinks/file/sink.ts'

const KEYS = 1_000
/** What `count` emits. */
export const EVERY = 50
const BATCH = 512

export interface HeavyOptions {
  /** Splits `first` to `first + splits - 1`. */
  readonly first: number
  readonly splits: number
  /** Of each split. */
  readonly records: number
  /** Rounds of a hash in front of the exchange, and behind it. */
  readonly before: number
  readonly behind: number
  /** Share of records that have one key. */
  readonly hot: number
}

/** The key of record `index` of a split. */
export function keyOf(split: number, index: number, hot: number): string {
  if (((index * 2_654_435_761) >>> 0) / 2 ** 32 < hot) return 'hot'
  return `key-${(index * 7_919 + split) % KEYS}`
}

export default defineJob({
  id: 'heavy',
  checkpoint: { intervalMs: 500 },
  build(flow, settings) {
    const options = optionsOf(settings)
    flow
      .source('numbers', splitNumbers(options))
      .map('work', ({ split, index }) => {
        const mixed = burn(index, options.before)
        return { key: keyOf(split, index, options.hot), mixed }
      })
      .keyBy(({ key }) => key)
      .process('count', {
        state: { count: value(() => 0) },
        onRecord({ mixed }, { key, state, emit }) {
          burn(mixed, options.behind)
          const count = state.count.get() + 1
          state.count.set(count)
          if (count % EVERY === 0) emit([key, count])
        },
      })
      .sink('counts', fileSink({ path: settings.string('output'), encode: json() }))
  },
})

function optionsOf(settings: Settings): HeavyOptions {
  return {
    first: settings.number('first', { default: 0 }),
    splits: settings.number('splits'),
    records: settings.number('records'),
    before: settings.number('before'),
    behind: settings.number('behind'),
    hot: settings.number('hot', { default: 0 }),
  }
}

function burn(seed: number, rounds: number): number {
  let hash = seed | 0
  for (let round = 0; round < rounds; round += 1) {
    hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d) + round
    hash ^= hash >>> 12
  }
  return hash
}

interface NumberSplit {
  readonly id: string
}

type Numbered = { readonly split: number; readonly index: number }

function splitNumbers({ first, splits, records }: HeavyOptions): Source<Numbered, NumberSplit, number> {
  return {
    kind: 'numbers',
    guarantee: 'exactly-once',
    validate: () => Promise.resolve(),
    discover: () =>
      Promise.resolve(
        Array.from({ length: splits }, (_, number) => ({ split: { id: String(first + number) }, start: 0 })),
      ),
    createReader: () => {
      const open: { readonly split: NumberSplit; next: number }[] = []
      return Promise.resolve({
        assign: (assigned) => {
          for (const { split, position } of assigned) open.push({ split, next: position })
          return Promise.resolve()
        },
        poll: () => {
          const [current] = open
          if (current === undefined) return { kind: 'ended' as const }
          const { split, next } = current
          if (next >= records) {
            open.shift()
            return { kind: 'split-ended' as const, split }
          }
          const until = Math.min(records, next + BATCH)
          const number = Number(split.id)
          const values = Array.from({ length: until - next }, (_, offset) => ({ split: number, index: next + offset }))
          current.next = until
          return { kind: 'records' as const, split, records: { values }, after: until }
        },
        [Symbol.asyncDispose]: () => Promise.resolve(),
      })
    },
  }
}
