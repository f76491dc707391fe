/**
 * A running count by key over several tasks; what they are to get wrong comes by settings: `count` records (endless if 0), `rate` per second
 * (0: as fast as it goes), `fault` at record 5,000, and `edit`: another graph in workers than in the run.
 */
import { defineJob, json, TerminalError, value, type Sink } from 'sluice'
import { fileSink } from 'sluice/sinks/file'
import { generatorSource } from 'sluice/sources/generator'

export interface Counted {
  readonly index: number
  readonly key: string
  readonly count: number
  /** Of the process that counted. */
  readonly pid: number
}

const KEYS = 101
const FAULTY = 5_000
const isWorker = process.argv[1]?.endsWith('worker.mjs') ?? false

const faults: Readonly<Record<string, () => unknown>> = {
  none: () => undefined,
  terminal: () => {
    throw new TerminalError('it can never be counted')
  },
  function: () => () => 'cannot leave the process',
  exit: () => process.exit(0),
  spin: () => {
    console.error('spinning')
    for (;;);
  },
}

/** Its writers never close. */
function clinging<T, C, W>(sink: Sink<T, C, W>): Sink<T, C, W> {
  return {
    ...sink,
    createWriter: async (context, restored) => {
      const writer = await sink.createWriter(context, restored)
      return {
        overlapsPrepare: writer.overlapsPrepare,
        write: (batch) => writer.write(batch),
        prepareCommit: (epoch) => writer.prepareCommit(epoch),
        [Symbol.asyncDispose]: () => new Promise(() => undefined),
      }
    },
  }
}

/** One of its writers is refused, the others never open. */
function unopened<T, C, W>(sink: Sink<T, C, W>): Sink<T, C, W> {
  return {
    ...sink,
    createWriter: ({ subtask }) =>
      subtask === 0 ? Promise.reject(new Error('the service refuses')) : new Promise(() => undefined),
  }
}

export default defineJob({
  id: 'counts',
  parallelism: 4,
  checkpoint: { intervalMs: 50 },
  restart: { kind: 'fixed-delay', attempts: 3, delayMs: 10 },
  build(flow, settings) {
    const count = settings.number('count', { default: 0 })
    const rate = settings.number('rate', { default: 0 })
    const isEdited = settings.flag('edit') && isWorker
    const fault = faults[settings.string('fault', { default: 'none' })]
    const change = { clinging, unopened }[settings.string('fault', { default: 'none' })]
    const file = fileSink<Counted>({ path: 'counts', encode: json() })
    const counts = change === undefined ? file : change(file)
    const numbers = flow.source(
      'numbers',
      generatorSource({
        seed: 1,
        ...(count === 0 ? {} : { count }),
        ...(rate === 0 ? {} : { ratePerSecond: rate }),
        generate: (index) => index,
      }),
    )
    const records = (isEdited ? numbers.map('other', (index) => index) : numbers).map('made', (index) => ({
      index,
      fault: index === FAULTY ? fault?.() : undefined,
    }))
    records
      .keyBy(({ index }) => `key-${index % KEYS}`)
      .process('count', {
        state: { seen: value(() => 0) },
        onRecord({ index }, { state, emit, key }) {
          const seen = state.seen.get() + 1
          state.seen.set(seen)
          emit({ index, key, count: seen, pid: process.pid })
        },
      })
      .sink('counts', counts)
  },
})
