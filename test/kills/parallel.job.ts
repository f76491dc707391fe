/**
 * The job of the kill tests at many subtasks: two file sources, union, rebalance, exchanges by key with keyed state of every kind, two
 * keyed streams that meet, a broadcast, operator state, a side output, six file sinks, some operators with a parallelism of their own.
 * What differs between two runs comes from the environment, and so do the edits (F22) and records that it throws at (F21).
 */
import { broadcastMap, defineJob, json, list, map, sideOutput, splitList, value, type Flow, type Stream } from 'sluice'
import { fileSink } from 'sluice/sinks/file'
import { fileSource } from 'sluice/sources/file'
import { dieHere } from './die.ts'
import { inLockstep } from './paced-source.ts'
import { isOdd, isRule, keyOf, nameOf, sharedKeyOf, type Numbered } from './parallel-input.ts'

function setting(name: string, fallback: number): number {
  return Number(process.env[`KILLS_${name}`] ?? fallback)
}

const edit = process.env['KILLS_EDIT'] ?? 'none'
const poison = process.env['KILLS_POISON']
const diesAt = process.env['KILLS_DIES_AT']
/** Each of them once in the life of this process. */
const throwsAt = new Set((process.env['KILLS_THROWS'] ?? '').split(',').filter((name) => name !== ''))
const odd = sideOutput<string>('odd')

function out(path: string, parallelism?: number) {
  return [path, fileSink<unknown>({ path, encode: json() }), parallelism === undefined ? {} : { parallelism }] as const
}

function files(flow: Flow, id: 'a' | 'b'): Stream<Numbered> {
  const source = fileSource({ path: `in/${id}`, decode: json<Numbered>(), blockBytes: setting('BLOCK', 200) })
  return flow.source(id, inLockstep(source, setting('BATCHES', 2)))
}

function checked(record: Numbered): Numbered {
  const name = nameOf(record)
  if (name === diesAt) dieHere()
  if (name === poison) throw new Error(`cannot take ${name}`)
  if (throwsAt.delete(name)) throw new Error(`stumbles at ${name}`)
  return record
}

/** Records wait in operator state until there are four of them. */
function held(records: Stream<Numbered>): Stream<string> {
  if (edit === 'removed operator') return records.map('names', nameOf)
  return records.process(edit === 'renamed operator' ? 'kept' : 'held', {
    state: { waiting: splitList<string>() },
    onRecord(record, { state, emit }) {
      state.waiting.add(nameOf(record))
      const waiting = [...state.waiting.get()]
      if (waiting.length < 4) return
      state.waiting.clear()
      for (const name of waiting) emit(name)
    },
  }) as Stream<string>
}

function keyed(records: Stream<Numbered>) {
  return records.keyBy(keyOf).process(
    'keyed',
    {
      state: { count: value(() => ({ of: 0 })), last: list<number>(), kinds: map<string, number>() },
      onRecord(record, { state, key, emit, emitTo }) {
        const { index } = checked(record)
        // Changed in place, as a user may who casts the readonly away (F31).
        const count = state.count.get() as { of: number }
        count.of += 1
        state.count.set(count)
        state.last.set([...state.last.get(), index].slice(-3))
        const kind = isOdd(record) ? 'odd' : 'even'
        state.kinds.set(kind, (state.kinds.get(kind) ?? 0) + 1)
        emit({ key, index, count: count.of, last: state.last.get(), odd: state.kinds.get('odd') ?? 0 })
        if (isOdd(record)) emitTo(odd, nameOf(record))
      },
      onEnd: ({ emit }) => emit({ key: 'the end' }),
    },
    setting('KEYED', 0) > 0 ? { parallelism: setting('KEYED', 1) } : {},
  )
}

/** How many of a key came from either side. */
function joined(first: Stream<Numbered>, second: Stream<Numbered>) {
  return first
    .keyBy(sharedKeyOf)
    .connect(second.keyBy(sharedKeyOf))
    .process(
      'join',
      {
        state: { first: value(() => 0), second: value(() => 0) },
        onFirst(_record, { state, key, emit }) {
          state.first.set(state.first.get() + 1)
          emit(['a', key, state.first.get()])
        },
        onSecond(_record, { state, key, emit }) {
          state.second.set(state.second.get() + 1)
          emit(['b', key, state.second.get()])
        },
        onEnd: ({ emit }) => emit(['the end']),
      },
      { parallelism: setting('JOINED', 4) },
    )
}

export default defineJob({
  id: 'kills',
  checkpoint: {
    intervalMs: setting('INTERVAL_MS', 10),
    timeoutMs: setting('TIMEOUT_MS', 60_000),
    toleratedFailures: setting('TOLERATED', 3),
  },
  restart: { kind: 'fixed-delay', attempts: setting('RESTARTS', 20), delayMs: setting('RESTART_MS', 10) },
  build(flow) {
    const [a, b] = [files(flow, 'a'), files(flow, 'b')]
    a.map('names-of-a', nameOf).sink(...out('direct'))
    const both = a.union(b)
    const rebalanced = both.rebalance()
    held(edit === 'added operator' ? rebalanced.map('same', (record) => record) : rebalanced).sink(...out('plain', 2))
    const ordered = keyed(both)
    ordered.sink(...out('ordered'))
    ordered.side(odd).sink(...out('odd', 2))
    joined(a, b).sink(...out('joined'))
    a.connect(b.filter('rules', isRule).broadcast())
      .process('ruled', {
        broadcast: { rules: broadcastMap<string, number>() },
        onRecord: (record, { emit }) => emit(nameOf(record)),
        onBroadcast: (rule, { broadcast }) => broadcast.rules.set(nameOf(rule), rule.index),
      })
      .sink(...out('ruled-out', 1))
  },
})
