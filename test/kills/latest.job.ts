/** Numbers that are appended to a file, from the latest on when it starts for the first time (F32); a line `end` ends it. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { defineJob, json, type Polled, type Source } from 'sluice'
import { fileSink } from 'sluice/sinks/file'

const split = { id: 'tail' }

function linesIn(directory: string): readonly string[] {
  return readFileSync(join(directory, 'tail'), 'utf8').split('\n').slice(0, -1)
}

const tail: Source<number, typeof split, number> = {
  kind: 'tail',
  guarantee: 'exactly-once',
  validate: () => Promise.resolve(),
  discover: ({ baseDirectory }) => Promise.resolve([{ split, start: linesIn(baseDirectory).length }]),
  createReader: ({ baseDirectory }) => {
    let next = 0
    return Promise.resolve({
      assign: (splits) => {
        next = splits[0]?.position ?? 0
        return Promise.resolve()
      },
      poll: (): Polled<number, typeof split, number> => {
        const line = linesIn(baseDirectory)[next]
        if (line === undefined) return { kind: 'idle', retryAfterMs: 2 }
        if (line === 'end') return { kind: 'ended' }
        next += 1
        return { kind: 'records', split, records: { values: [Number(line)] }, after: next }
      },
      [Symbol.asyncDispose]: () => Promise.resolve(),
    })
  },
}

export default defineJob({
  id: 'latest',
  checkpoint: { intervalMs: 5 },
  build(flow) {
    flow.source('tail', tail).sink('out', fileSink({ path: 'out', encode: json() }))
  },
})
