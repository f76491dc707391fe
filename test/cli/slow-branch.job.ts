/** Records part, go through a branch that is slow and one that is not, and meet again. */
import { defineJob, json, value } from 'sluice'
import { fileSink } from 'sluice/sinks/file'
import { fileSource } from 'sluice/sources/file'

interface Numbered {
  readonly n: number
}

const SLOW_MS = 0.1

function slowly(record: Numbered): Numbered {
  const until = performance.now() + SLOW_MS
  while (performance.now() < until);
  return record
}

export default defineJob({
  id: 'slow-branch',
  checkpoint: { intervalMs: 30 },
  build(flow) {
    const records = flow.source('in', fileSource({ path: 'in.ndjson', decode: json<Numbered>() }))
    const fast = records.rebalance().map('fast', (record) => record)
    const slow = records.rebalance().map('slow', slowly, { parallelism: 1 })
    fast
      .union(slow)
      .keyBy(({ n }) => n)
      .process('count', {
        state: { count: value(() => 0) },
        onRecord({ n }, { state, emit }) {
          state.count.set(state.count.get() + 1)
          emit([n, state.count.get()])
        },
      })
      .sink('out', fileSink({ path: 'out', encode: json() }))
  },
})
