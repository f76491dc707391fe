/**
 * Counts the values of one field of anybody's NDJSON: for each input record, in order, `{"value": …, "count": …}`, where count says how
 * often the value has been seen so far. Any JSON value will do, numbers of any size too; a record without the field counts as null.
 *
 *   npx sluice run examples/quickstart/job.ts --set input='data/*.ndjson' --set field=name --set output=out
 */
import { defineJob, json, type, value } from 'sluice'
import { fileSink } from 'sluice/sinks/file'
import { fileSource } from 'sluice/sources/file'
import { exactJson, isRawJSON } from './exact-json.ts'

export default defineJob({
  id: 'quickstart',
  build(flow, settings) {
    const field = settings.string('field')
    flow
      .source('records', fileSource({ path: settings.string('input'), decode: exactJson() }))
      .map('pick', (record) => fieldOf(record, field))
      .keyBy((picked) => canonical(picked))
      .process('count', {
        state: { seen: value(() => 0) },
        emits: type<{ value: unknown; count: number }>(),
        onRecord(picked, { state, emit }) {
          const count = state.seen.get() + 1
          state.seen.set(count)
          emit({ value: picked, count })
        },
      })
      .sink('counts', fileSink({ path: settings.string('output'), encode: json() }))
  },
})

function fieldOf(record: unknown, field: string): unknown {
  if (typeof record !== 'object' || record === null || !Object.hasOwn(record, field)) return null
  return (record as Readonly<Record<string, unknown>>)[field]
}

/** Equal JSON values have equal texts, whatever the order of their members. */
function canonical(json: unknown): string {
  if (typeof json !== 'object' || json === null || isRawJSON(json)) return JSON.stringify(json)
  if (Array.isArray(json)) return `[${json.map(canonical).join(',')}]`
  const members = Object.entries(json).toSorted(([a], [b]) => (a < b ? -1 : 1))
  return `{${members.map(([name, member]) => `${JSON.stringify(name)}:${canonical(member)}`).join(',')}}`
}
