/**
 * Counts the values of one field of anybody's NDJSON: for each input record, in order, `{"value": …, "count": …}`.
 *
 *   npx sluice run examples/quickstart/job.ts --set input='data/*.ndjson' --set field=name --set output=out
 */
import { defineJob, json, value } from 'sluice'
import { fileSink } from 'sluice/sinks/file'
import { fileSource } from 'sluice/sources/file'

export default defineJob({
  id: 'quickstart',
  build(flow, settings) {
    const field = settings.string('field')
    flow
      .source('records', fileSource({ path: settings.string('input'), decode: json<Record<string, unknown>>() }))
      .map('pick', (record) => record[field] ?? null)
      .keyBy((picked) => JSON.stringify(picked))
      .process('count', {
        state: { seen: value(() => 0) },
        onRecord(picked, { state, emit }) {
          const count = state.seen.get() + 1
          state.seen.set(count)
          emit({ value: picked, count })
        },
      })
      .sink('counts', fileSink({ path: settings.string('output'), encode: json() }))
  },
})
