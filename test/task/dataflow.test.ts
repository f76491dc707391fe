/**
 * Whole lives of a job over many tasks: two sources, exchanges of every kind, side outputs, two inputs, operator state, each attempt at
 * another parallelism. Visible output must be what one uninterrupted run would give, in order per key.
 */
import { expect, test } from 'vitest'
import { sideOutput } from '../../engine/api/index.ts'
import { broadcastMap, splitList, value, type ListState } from '../../engine/graph/descriptors.ts'
import type { JobGraph } from '../../engine/graph/job-graph.ts'
import { OperatorStateBackend, restoreOperatorState } from '../../engine/state/operator-state.ts'
import { graphOf, TestAttempt, until } from './attempt.ts'
import { Gate, MemorySink, MemorySource } from './in-memory.ts'
import { live, NO_FAULTS, slowSink, turns, type Mutant, type World } from './lives.ts'

interface Event {
  readonly from: 'a' | 'b'
  readonly split: string
  readonly index: number
}

const LENGTHS = { a: [40, 25, 31, 7], b: [12, 9] } as const
const KEYS_PER_SPLIT = 3
const odd = sideOutput<readonly [string, number]>('odd')
const perKey = (event: Event): string => `${event.split}.${event.index % KEYS_PER_SPLIT}`
const shared = (event: Event): number => event.index % 5

function eventsOf(from: 'a' | 'b'): Readonly<Record<string, readonly Event[]>> {
  return Object.fromEntries(
    LENGTHS[from].map((length, number) => {
      const split = `${from}${number}`
      return [split, Array.from({ length }, (_, index): Event => ({ from, split, index }))]
    }),
  )
}

const ALL = [...Object.values(eventsOf('a')), ...Object.values(eventsOf('b'))].flat()

function createGraph(world: World): JobGraph {
  const { random } = world
  const [first, second] = world.sources
  if (first === undefined || second === undefined) throw new Error('two sources')
  const some = (): { parallelism?: number } => (random() < 0.3 ? { parallelism: 1 + Math.floor(random() * 4) } : {})
  return graphOf((flow) => {
    const a = flow.source('a', first, some()).map('as-event-a', (one) => one as Event)
    const b = flow.source('b', second, some()).map('as-event-b', (one) => one as Event)
    a.sink('direct', slowSink(world))
    const both = a.union(b)
    both
      .rebalance()
      .process(
        'seen',
        {
          state: { events: splitList<string>() },
          onRecord(event, { state, emit }) {
            state.events.add(`${event.split}.${event.index}`)
            emit(event)
          },
        },
        some(),
      )
      .sink('plain', slowSink(world), some())
    const ordered = both.keyBy(perKey).process(
      'ordered',
      {
        state: { count: value(() => 0) },
        onRecord(event, { state, key, emit, emitTo }) {
          state.count.set(state.count.get() + 1)
          emit([key, event.index, state.count.get()])
          if (event.index % 2 === 1) emitTo(odd, [key, event.index])
        },
        onEnd: ({ emit }) => emit('the end'),
      },
      some(),
    )
    ordered.sink('in-order', slowSink(world), some())
    ordered.side(odd).sink('odd', slowSink(world), some())
    a.keyBy(shared)
      .connect(b.keyBy(shared))
      .process(
        'joined',
        {
          state: { a: value(() => 0), b: value(() => 0) },
          onFirst(_event, { state, key, emit }) {
            state.a.set(state.a.get() + 1)
            emit(['a', key, state.a.get()])
          },
          onSecond(_event, { state, key, emit }) {
            state.b.set(state.b.get() + 1)
            emit(['b', key, state.b.get()])
          },
        },
        some(),
      )
      .sink('joined-out', slowSink(world), some())
    a.connect(b.broadcast())
      .process(
        'ruled',
        {
          broadcast: { rules: broadcastMap<string, number>() },
          onRecord: (event, { emit, broadcast }) => emit([event, broadcast.rules.get('b0') ?? -1]),
          onBroadcast: (event, { broadcast }) => broadcast.rules.set(event.split, event.index),
        },
        some(),
      )
      .sink('ruled-out', slowSink(world), some())
  })
}

/** In no order but what is promised. */
async function differences(world: World): Promise<readonly string[]> {
  const found: string[] = []
  const see = (sink: string): readonly unknown[] => world.visible.get(sink) ?? []
  const compare = (what: string, seen: readonly string[], expected: readonly string[]): void => {
    if (seen.toSorted().join() !== expected.toSorted().join())
      found.push(`${what}: ${seen.length} of ${expected.length}`)
  }
  const name = ({ split, index }: Event): string => `${split}.${index}`
  compare(
    'plain',
    see('plain').map((one) => name(one as Event)),
    ALL.map(name),
  )
  compare(
    'direct',
    see('direct').map((one) => name(one as Event)),
    ALL.filter(({ from }) => from === 'a').map(name),
  )
  compare('seen', await statesOf(world), ALL.map(name))
  compare(
    'odd',
    see('odd').map((one) => String(one)),
    ALL.filter(({ index }) => index % 2 === 1).map((one) => `${perKey(one)},${one.index}`),
  )
  compare(
    'ruled',
    see('ruled-out').map((one) => name((one as [Event])[0])),
    ALL.filter(({ from }) => from === 'a').map(name),
  )
  const ordered = see('in-order')
  if (ordered.filter((one) => one === 'the end').length !== 1) found.push('the end is not there once')
  for (const key of new Set(ALL.map(perKey))) {
    const mine = ordered.filter((one) => Array.isArray(one) && one[0] === key).map((one) => String(one))
    const expected = ALL.filter((one) => perKey(one) === key).map(({ index }, count) => `${key},${index},${count + 1}`)
    if (mine.join(' ') !== expected.join(' ')) found.push(`${key}: ${mine.join(' ')} instead of ${expected.join(' ')}`)
  }
  const joined = see('joined-out').map((one) => String(one))
  for (const key of new Set(ALL.map(shared))) {
    for (const from of ['a', 'b']) {
      const mine = joined.filter((one) => one.startsWith(`${from},${key},`))
      const count = ALL.filter((one) => one.from === from && shared(one) === key).length
      const expected = Array.from({ length: count }, (_, index) => `${from},${key},${index + 1}`)
      if (mine.join(' ') !== expected.join(' ')) found.push(`joined ${from} ${key}: ${mine.join(' ')}`)
    }
  }
  return found
}

/** What the split list of the final checkpoint holds, all subtasks together. */
async function statesOf({ last, blobs }: World): Promise<readonly string[]> {
  const backend = new OperatorStateBackend({ events: { kind: 'split-list' } })
  const parts = last?.operators.filter(({ operator }) => operator === 'seen') ?? []
  const me = { subtask: 0, parallelism: 1 }
  await restoreOperatorState(backend, { operator: 'seen', parts, me, getBlob: (blob) => blobs.getBlob(blob) })
  return (backend.handles['events'] as ListState<string>).get()
}

const job = {
  createSources: () => [new MemorySource(eventsOf('a')), new MemorySource(eventsOf('b'))],
  createGraph,
  parallelism: (random: () => number) => 1 + Math.floor(random() * 5),
}
const SEEDS = process.env['SLUICE_KILLS'] === 'all' ? 1_000 : 60

test('output is that of one uninterrupted run, in order per key, at changing parallelism (F2, F5, F12, F23, F24, F30)', async () => {
  const total = { ...NO_FAULTS }
  let facts = 0
  for (let seed = 1; seed <= SEEDS; seed += 1) {
    const world = await live({ seed, ...job })
    expect(await differences(world), `seed ${seed}`).toEqual([])
    facts += [...world.visible.values()].reduce((sum, values) => sum + values.length, 0)
    for (const name of Object.keys(total) as (keyof typeof total)[]) total[name] += world.faults[name]
  }
  expect(facts).toBeGreaterThan(SEEDS * 400)
  expect(Math.min(...Object.values(total))).toBeGreaterThanOrEqual(20)
})

const stateOfOneSubtaskLost: Mutant = (operators) =>
  operators.map((one) => {
    const { state: _, ...rest } = one
    return one.subtask > 0 ? rest : one
  })
const committablesOfOneSubtaskLost: Mutant = (operators) =>
  operators.map((one) => (one.subtask > 0 && one.committables ? { ...one, committables: [] } : one))
const splitsOfOneSubtaskLost: Mutant = (operators) =>
  operators.map((one) => (one.subtask > 0 && one.splits ? { ...one, splits: [] } : one))
test.each([
  ['keyed state of a subtask lost', stateOfOneSubtaskLost],
  ['committables of a subtask lost', committablesOfOneSubtaskLost],
  ['splits of a subtask lost', splitsOfOneSubtaskLost],
])('the check catches %s', async (_name, mutant) => {
  let caught = 0
  for (let seed = 1; seed <= 20; seed += 1) {
    const found = await live({ seed, ...job, mutant }).then(differences, (error: unknown) => [String(error)])
    if (found.length > 0) caught += 1
  }
  expect(caught).toBeGreaterThanOrEqual(3)
})

test('a barrier may come before the word that its base has completed: nothing of that is missing (F30)', async () => {
  const keys = 4_000
  const records = Array.from({ length: keys }, (_, index) => index)
  const source = new MemorySource({ a: [...records, ...records.slice(0, 10), ...records.slice(0, 10)] })
  source.batchSize = () => 1_000
  source.endless = true
  const gates = [new Gate(), new Gate()]
  let polls = 0
  const build = (from: MemorySource, sink: MemorySink): JobGraph =>
    graphOf((flow) => {
      flow
        .source('a', from, { parallelism: 1 })
        .keyBy((one) => Number(one))
        .process('count', {
          state: { count: value(() => 0) },
          onRecord(_one, { state, key, emit }) {
            state.count.set(state.count.get() + 1)
            emit([key, state.count.get()])
          },
        })
        .sink('out', sink)
    })
  source.batchSize = () => ((source.readerPositions.get('a') ?? 0) < keys ? 1_000 : 10)
  source.beforeAnswer = () => {
    polls += 1
    return polls <= 4 ? undefined : gates[polls - 5]?.opened
  }
  const sink = new MemorySink()
  await using attempt = await TestAttempt.start(build(source, sink), { parallelism: 2 })
  // Nothing is polled before (F32).
  await attempt.complete(1, null)
  await until(() => sink.written.length === keys)
  await attempt.complete(2, 1)
  gates[0]?.open()
  await until(() => sink.written.length === keys + 10)
  attempt.trigger(3, 2)
  await attempt.heard('acknowledged', 3)
  // It completed, but nobody here has heard so.
  gates[1]?.open()
  await until(() => sink.written.length === keys + 20)
  attempt.trigger(4, 3)
  const { operators } = await attempt.heard('acknowledged', 4)
  attempt.task.handle({ kind: 'completed', checkpoint: 3 })
  attempt.task.handle({ kind: 'completed', checkpoint: 4 })
  const again = new MemorySink()
  const more = new MemorySource({ a: [...records, ...records.slice(0, 10), ...records.slice(0, 10), ...records] })
  await using second = await TestAttempt.start(build(more, again), {
    blobs: attempt.blobs,
    restored: attempt.manifest(4, operators),
    generation: 2,
    parallelism: 3,
  })
  await second.heard('input-ended')
  const counts = new Map(again.written as [number, number][])
  expect(counts.size).toBe(keys)
  for (const [key, count] of counts) expect(count, `key ${key}`).toBe(key < 10 ? 4 : 2)
})

test('a checkpoint holds the end of all subtasks of a source, also where one of them is held up by the one before (F24)', async () => {
  const sink = new MemorySink()
  const gate = new Gate()
  let prepares = 0
  // Of the second checkpoint, in one of the two subtasks.
  sink.beforePrepared = () => (++prepares === 3 ? gate.opened : undefined)
  const job = graphOf((flow) => flow.source('a', new MemorySource({ one: [1], two: [2] })).sink('out', sink))
  await using attempt = await TestAttempt.start(job, { parallelism: 2, endsSources: false })
  await attempt.complete(1, null)
  await attempt.heard('source-exhausted')
  attempt.trigger(2, 1)
  await until(() => prepares === 4)
  attempt.task.handle({ kind: 'given-up', checkpoint: 2 })
  attempt.endSources()
  attempt.trigger(3, 1)
  await turns(5)
  gate.open()
  const { operators } = await attempt.heard('acknowledged', 3)
  expect(operators.map((one) => one.ended)).toEqual([true, true, true, true])
})

test('a slow reader holds up its writers; what waits in between is bounded (C8)', async () => {
  const sink = new MemorySink()
  const gate = new Gate()
  sink.onWrite = () => gate.opened
  const source = new MemorySource({ a: Array.from({ length: 100_000 }, (_, index) => index) })
  source.batchSize = () => 500
  await using attempt = await TestAttempt.start(
    graphOf((flow) => {
      flow
        .source('a', source)
        .rebalance()
        .map('same', (one) => one, { parallelism: 3 })
        .keyBy((one) => Number(one))
        .process('all', { onRecord: (one, { emit }) => emit(one) }, { parallelism: 2 })
        .sink('out', sink)
    }),
  )
  await attempt.complete(1, null)
  await turns(200)
  const polled = source.polls * 500
  // Channels of three and of two tasks, and what is on its way at each.
  expect(polled).toBeLessThan(5 * 4_096 + 10 * 1_024)
  gate.open()
  await attempt.heard('input-ended')
  expect(sink.written.length).toBe(100_000)
})
