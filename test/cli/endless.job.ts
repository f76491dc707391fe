/** A job without an end: ten numbers, then nothing more. With `--set stuck=true` its sink never prepares, so that a stop hangs. */
import { defineJob, json, type Polled, type Sink, type Source } from 'sluice'
import { fileSink } from 'sluice/sinks/file'

const split = { id: 'numbers' }
const COUNT = 10

const numbers: Source<number, typeof split, number> = {
  kind: 'endless',
  guarantee: 'exactly-once',
  validate: () => Promise.resolve(),
  discover: () => Promise.resolve([{ split, start: 0 }]),
  createReader: () => {
    let next = COUNT
    return Promise.resolve({
      assign: (splits) => {
        next = splits[0]?.position ?? COUNT
        return Promise.resolve()
      },
      poll: (): Polled<number, typeof split, number> => {
        if (next >= COUNT) return { kind: 'idle', retryAfterMs: 5 }
        next += 1
        return { kind: 'records', split, records: { values: [next - 1] }, after: next }
      },
      [Symbol.asyncDispose]: () => Promise.resolve(),
    })
  },
}

function stuckAfterwards<T, C, W>(sink: Sink<T, C, W>): Sink<T, C, W> {
  return {
    ...sink,
    createWriter: async (context, restored) => {
      const writer = await sink.createWriter(context, restored)
      let isFirst = true
      return {
        overlapsPrepare: writer.overlapsPrepare,
        write: (batch) => writer.write(batch),
        prepareCommit: (epoch) => {
          if (!isFirst) return new Promise(() => undefined)
          isFirst = false
          return writer.prepareCommit(epoch)
        },
        [Symbol.asyncDispose]: () => writer[Symbol.asyncDispose](),
      }
    },
  }
}

export default defineJob({
  id: 'endless',
  checkpoint: { intervalMs: 20 },
  build(flow, settings) {
    const sink = fileSink<number>({ path: 'out', encode: json() })
    flow.source('numbers', numbers).sink('out', settings.flag('stuck') ? stuckAfterwards(sink) : sink)
  },
})
