/**
 * The job of the kill tests: a paced source, a keyed running count, two file sinks. Batch sizes, pace, interval and more come from the
 * environment, so that a replay differs from the first run, and so do the edits (F22) and the seeded mistakes of the checks.
 */
import { defineJob, json, list, value, type LineEncoder } from 'sluice'
import { fileSink } from 'sluice/sinks/file'
import { dieHere } from './die.ts'
import { mistakenSink, mistakenSource } from './mistakes.ts'
import { inLockstep, pacedSource } from './paced-source.ts'

function setting(name: string, fallback: number): number {
  return Number(process.env[`KILLS_${name}`] ?? fallback)
}

const edit = process.env['KILLS_EDIT'] ?? 'none'
const keys = setting('KEYS', 7)
const poison = setting('POISON', -1)
const diesAt = setting('DIES_AT', -1)

function countsSink(path: string) {
  const encode: LineEncoder<unknown> = json()
  return mistakenSink(fileSink<unknown>({ path, encode }))
}

export default defineJob({
  id: 'kills',
  checkpoint: {
    intervalMs: setting('INTERVAL_MS', 10),
    timeoutMs: setting('TIMEOUT_MS', 60_000),
    toleratedFailures: setting('TOLERATED', 3),
  },
  restart: { kind: 'fixed-delay', attempts: setting('RESTARTS', 20), delayMs: setting('RESTART_MS', 20) },
  build(flow) {
    const numbers = flow.source(
      'numbers',
      mistakenSource(
        inLockstep(
          pacedSource({
            count: setting('COUNT', 240),
            batch: setting('BATCH', 20),
            paceMs: setting('PACE_MS', 3),
            isEndless: setting('ENDLESS', 0) === 1,
          }),
          2,
        ),
      ),
    )
    const keyed = numbers.keyBy((index) => `key-${index % keys}`)
    const onEnd = ({ emit }: { readonly emit: (record: unknown) => void }): void =>
      emit({ index: -1, key: 'end', count: 1 })
    const counted =
      edit === 'changed state'
        ? keyed.process('count', { state: { seen: list<number>() }, onRecord: (index, { emit }) => emit(index), onEnd })
        : keyed.process(edit === 'renamed operator' ? 'counted' : 'count', {
            // The object is changed in place, as a user may who casts the readonly away (F31).
            state: { seen: value(() => ({ count: 0 })) },
            onRecord(index, { state, emit, key }) {
              if (index === diesAt) dieHere()
              if (index === poison) throw new Error(`cannot take ${index}`)
              const seen = state.seen.get() as { count: number }
              seen.count += 1
              state.seen.set(seen)
              emit({ index, key, count: seen.count })
            },
            onEnd,
          })
    counted.sink('counts', countsSink('counts'))
    if (edit === 'removed sink') return
    const even = numbers.filter('even', (index) => index % 2 === 0)
    const evens = edit === 'added operator' ? even.map('same', (index) => index) : even
    evens.sink('evens', mistakenSink(fileSink<number>({ path: 'evens', encode: json(), maxPartBytes: 40 })))
  },
})
