/** A job that has nothing to do: its source never has a record. */
import { defineJob, json, type Source } from 'sluice'
import { fileSink } from 'sluice/sinks/file'

const split = { id: 'nothing' }

const nothing: Source<number, typeof split, number> = {
  kind: 'nothing',
  guarantee: 'exactly-once',
  validate: () => Promise.resolve(),
  discover: () => Promise.resolve([{ split, start: 0 }]),
  createReader: () =>
    Promise.resolve({
      assign: () => Promise.resolve(),
      poll: () => ({ kind: 'idle' as const, retryAfterMs: 100 }),
      [Symbol.asyncDispose]: () => Promise.resolve(),
    }),
}

export default defineJob({
  id: 'idle',
  build(flow, settings) {
    flow.source('nothing', nothing).sink('out', fileSink({ path: settings.string('output'), encode: json() }))
  },
})
