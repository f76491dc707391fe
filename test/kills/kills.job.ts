/**
 * The job of the kill tests: a paced source whose records depend only on their index, a keyed running count, two file sinks. Batch sizes,
 * pace and interval come from settings, so that a replay differs from the first run.
 */
import { defineJob, json, value, type Polled, type Source } from 'sluice'
import { fileSink } from 'sluice/sinks/file'

interface Split {
  readonly id: string
}

function pacedSource(count: number, batch: number, paceMs: number): Source<number, Split, number> {
  const split = { id: 'numbers' }
  return {
    kind: 'paced',
    guarantee: 'exactly-once',
    validate: () => Promise.resolve(),
    discover: () => Promise.resolve([{ split, start: 0 }]),
    createReader: () => {
      let next = 0
      return Promise.resolve({
        assign: (splits) => {
          next = splits[0]?.position ?? count
          return Promise.resolve()
        },
        poll: async (): Promise<Polled<number, Split, number>> => {
          if (next >= count) return { kind: 'ended' }
          await new Promise((resolve) => {
            setTimeout(resolve, paceMs)
          })
          const values = Array.from({ length: Math.min(batch, count - next) }, (_, index) => next + index)
          next += values.length
          return { kind: 'records', split, records: { values }, after: next }
        },
        [Symbol.asyncDispose]: () => Promise.resolve(),
      })
    },
  }
}

export default defineJob({
  id: 'kills',
  checkpoint: { intervalMs: Number(process.env['KILLS_INTERVAL_MS'] ?? 10) },
  build(flow) {
    const setting = (name: string, fallback: number): number => Number(process.env[`KILLS_${name}`] ?? fallback)
    const numbers = flow.source(
      'numbers',
      pacedSource(setting('COUNT', 600), setting('BATCH', 20), setting('PACE_MS', 3)),
    )
    numbers
      .keyBy((index) => `key-${index % 7}`)
      .process('count', {
        state: { seen: value(() => 0) },
        onRecord(index, { state, emit, key }) {
          const count = state.seen.get() + 1
          state.seen.set(count)
          emit({ index, key, count })
        },
        onEnd({ emit }) {
          emit({ index: -1, key: 'end', count: 1 })
        },
      })
      .sink('counts', fileSink({ path: 'counts', encode: json() }))
    numbers
      .filter('even', (index) => index % 2 === 0)
      .sink('evens', fileSink({ path: 'evens', encode: json(), maxPartBytes: 200 }))
  },
})
