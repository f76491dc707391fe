/** Files in any format to files in any format: good records numbered per file, bad lines by the side. What, comes from the environment. */
import { defineJob, json, value } from 'sluice'
import { encodeCsv, fileSink } from 'sluice/sinks/file'
import { badLines, csv, fileSource } from 'sluice/sources/file'
import type { GoodRecord } from './file-arena.ts'
import { mistakenFileSink, mistakenFileSource } from './file-mistakes.ts'
import { inLockstep } from './paced-source.ts'

interface InputRecord {
  readonly file: string
  readonly index: string | number
  readonly text: string
}

const setting = (name: string, fallback: string): string => process.env[`KILLS_${name}`] ?? fallback
const number = (name: string, fallback: number): number => Number(setting(name, String(fallback)))
const isCsv = setting('FORMAT', 'json') === 'csv'
const isFollowing = setting('FOLLOW', '0') === '1'
const compression = setting('COMPRESSION', 'none')
const rolling = setting('ROLLING', 'each-checkpoint') === 'when-full' ? 'when-full' : 'each-checkpoint'

export default defineJob({
  id: 'files',
  checkpoint: { intervalMs: number('INTERVAL_MS', 5) },
  restart: { kind: 'none' },
  build(flow) {
    const input = flow.source(
      'input',
      inLockstep(
        mistakenFileSource(
          fileSource<InputRecord>({
            path: 'in/*',
            decode: isCsv ? csv({ schema: asInput }) : json<InputRecord>(),
            onBadLine: 'side',
            blockBytes: number('BLOCK_BYTES', 150),
            ...(isFollowing ? { follow: true, discoverEveryMs: 10 } : {}),
          }),
        ),
        number('LOCKSTEP', 3),
      ),
    )
    input
      .keyBy(({ file }) => file)
      .process('numbered', {
        state: { count: value(() => 0) },
        onRecord({ file, index, text }, { state, emit }) {
          const count = state.count.get() + 1
          state.count.set(count)
          emit({ file, index: Number(index), count, text })
        },
      })
      .sink(
        'good',
        mistakenFileSink(
          fileSink<GoodRecord>({
            path: 'good',
            encode: isCsv ? encodeCsv<GoodRecord>({ columns: ['file', 'index', 'count', 'text'] }) : json(),
            extension: isCsv ? '.csv' : '.ndjson',
            rolling,
            maxPartBytes: number('PART_BYTES', 2_000),
            ...(compression === 'none' ? {} : { compression: compression === 'gzip' ? 'gzip' : 'zstd' }),
          }),
        ),
      )
    input.side(badLines).sink('bad', fileSink({ path: 'bad', encode: json() }))
  },
})

/** Of texts only; what makes a record is checked by the test. */
const asInput = {
  '~standard': {
    version: 1,
    vendor: 'test',
    validate: (record: unknown) => ({ value: record as InputRecord }),
  },
} as const
