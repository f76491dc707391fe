/** What a user of the installed package writes. */

export const JOB = `import { defineJob, json, value } from 'sluice'
import { csv, fileSource } from 'sluice/sources/file'
import { fileSink } from 'sluice/sinks/file'

export default defineJob({
  id: 'installed',
  build(flow) {
    flow
      .source('rows', fileSource({ path: 'in.csv', decode: csv() }))
      .keyBy((row) => row['name'] ?? '')
      .process('count', {
        state: { seen: value(() => 0) },
        onRecord(row, { state, emit }) {
          state.seen.set(state.seen.get() + 1)
          emit({ ...row, seen: state.seen.get() })
        },
      })
      .sink('out', fileSink({ path: 'out', encode: json() }))
  },
})
`

export const SIMULATED = `import { defineJob } from 'sluice'
import { simulate } from 'sluice/simulation'

const tried = await simulate(({ source, sink }) =>
  defineJob({
    id: 'simulated',
    build: (flow) => flow.source('numbers', source([1, 2, 3])).map('twice', (one) => one * 2).sink('out', sink()),
  }),
)
console.log(tried.lives)
`

/** Behind {@link JOB}: all entries that it does not use. */
export const TYPED = `
import type { CheckpointStore, Sink, Source } from 'sluice'
import { diskStore } from 'sluice/checkpoint-store/disk'
import { memoryStore } from 'sluice/checkpoint-store/memory'
import { openStore } from 'sluice/checkpoint-store/open-store'
import { simulate, type Simulated } from 'sluice/simulation'
import { callbackSink } from 'sluice/sinks/callback'
import { discardSink } from 'sluice/sinks/discard'
import { generatorSource, type GeneratorPosition, type GeneratorSplit } from 'sluice/sources/generator'

export const stores: readonly CheckpointStore[] = [
  await diskStore({ directory: 'x' }),
  memoryStore(),
  await openStore('memory:'),
]
export const sinks: readonly Sink<number, never>[] = [callbackSink(({ values }) => void values), discardSink()]
export const numbers: Source<number, GeneratorSplit, GeneratorPosition> = generatorSource({
  seed: 1,
  generate: (index) => index,
})
export const tried: Promise<Simulated> = simulate(({ source, sink }) =>
  defineJob({ id: 'simulated', build: (flow) => flow.source('numbers', source([1])).sink('out', sink()) }),
)
`
