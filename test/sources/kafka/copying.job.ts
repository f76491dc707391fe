/** A topic to files, each record with its place: for tests that kill it. `--set topic=… --set brokers=…`; `--set bounded=true` ends it. */
import { defineJob, json } from 'sluice'
import { fileSink } from 'sluice/sinks/file'
import { kafkaSource, stringValue } from 'sluice/sources/kafka'

export default defineJob({
  id: 'copying',
  checkpoint: { intervalMs: 30 },
  build(flow, settings) {
    const bounded = settings.flag('bounded')
    flow
      .source(
        'topic',
        kafkaSource({
          connect: { brokers: [settings.string('brokers')] },
          topics: settings.string('topic'),
          decode: stringValue(),
          emit: 'record',
          bounded,
          ...(bounded ? {} : { discoverEveryMs: 100 }),
          maxBatchRecords: settings.number('batch', { default: 50 }),
          maxPartitionBytes: 4_096,
        }),
        { parallelism: settings.number('parallelism', { default: 1 }) },
      )
      .map('flat', ({ partition, offset, value }) => ({ partition, offset, value }))
      .sink('files', fileSink({ path: 'out', encode: json() }))
  },
})
