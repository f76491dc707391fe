/**
 * A job on real files whose histories part: `{"n":0}` … from `in`, a running count per key, one file sink. Settings edit it: `shape` takes
 * the keyed operator or one of its states away, `commit=never` is a sink whose commits never get through, `pace` slows it down,
 * `rolling=when-full` keeps its parts open. HISTORY_ID is another id for the same job.
 */
import { defineJob, json, value, type Committer, type CommitOutcome, type Sink } from 'sluice'
import { fileSink } from 'sluice/sinks/file'
import { fileSource } from 'sluice/sources/file'

interface Numbered {
  readonly n: number
}

const lock = new Int32Array(new SharedArrayBuffer(4))

function waits<T>(ms: number, value: T): T {
  if (ms > 0) Atomics.wait(lock, 0, 0, ms)
  return value
}

/** Prepares, and never commits: as if the place were out of reach. */
function withoutCommits<In, C, W>(sink: Sink<In, C, W>): Sink<In, C, W> {
  const commit: Committer<C, W>['commit'] = (_permit, requests) =>
    Promise.resolve(requests.map((): CommitOutcome => ({ kind: 'retry', cause: 'out of reach' })))
  return {
    ...sink,
    createCommitter: async (context) => {
      const committer = await sink.createCommitter(context)
      return {
        commit,
        abortStale: (permit, stale) => committer.abortStale(permit, stale),
        [Symbol.asyncDispose]: () => committer[Symbol.asyncDispose](),
      }
    },
  }
}

export default defineJob({
  id: process.env['HISTORY_ID'] ?? 'history',
  checkpoint: {
    intervalMs: 20,
    minPauseMs: 0,
    retained: Number(process.env['HISTORY_RETAINED'] ?? 100),
    maxUncommittedEpochs: 3,
  },
  build(flow, settings) {
    const shape = settings.string('shape', { default: 'both' })
    const pace = settings.number('pace', { default: 0 })
    const rolling =
      settings.string('rolling', { default: 'each-checkpoint' }) === 'when-full' ? 'when-full' : 'each-checkpoint'
    const sink = fileSink({ path: 'out', encode: json(), rolling })
    const out = settings.string('commit', { default: 'at-once' }) === 'never' ? withoutCommits(sink) : sink
    const records = flow
      .source('records', fileSource({ path: 'in', decode: json<Numbered>(), blockBytes: 1 }))
      .map('slow', (record) => waits(pace, record))
    if (shape === 'without') records.sink('out', out)
    else if (shape === 'seen')
      records
        .keyBy(() => 'all')
        .process('count', {
          state: { seen: value(() => 0) },
          onRecord({ n }, { state, emit }) {
            state.seen.set(state.seen.get() + 1)
            emit({ n, seen: state.seen.get() })
          },
        })
        .sink('out', out)
    else
      records
        .keyBy(() => 'all')
        .process('count', {
          state: { seen: value(() => 0), sum: value(() => 0) },
          onRecord({ n }, { state, emit }) {
            state.seen.set(state.seen.get() + 1)
            state.sum.set(state.sum.get() + n)
            emit({ n, seen: state.seen.get(), sum: state.sum.get() })
          },
        })
        .sink('out', out)
  },
})
