import { expect, test } from 'vitest'
import { CorruptCheckpointError, TaskFailure } from '../../engine/api/index.ts'
import type { Manifest } from '../../engine/checkpoint/manifest.ts'
import { list, value } from '../../engine/graph/descriptors.ts'
import { graphOf, MemoryBlobs, positionIn, splitsOf, preparedIn, TestAttempt, until, valuesIn } from './attempt.ts'
import { Gate, MemorySink, MemorySource } from './in-memory.ts'

const numbers = (count: number, from = 0): number[] => Array.from({ length: count }, (_, index) => from + index)

/** Counts per key in an object that the function changes in place. */
function counting(source: MemorySource, sink: MemorySink, keys = 7) {
  return graphOf((flow) => {
    flow
      .source('numbers', source)
      .keyBy((one) => Number(one) % keys)
      .process('count', {
        state: { seen: value(() => ({ count: 0 })) },
        onRecord(_one, { state, key, emit }) {
          const seen = state.seen.get() as { count: number } // As a user might who casts the readonly away.
          seen.count += 1
          state.seen.set(seen)
          emit([key, seen.count])
        },
      })
      .sink('out', sink)
  })
}

test('positions, output and state of a checkpoint are of the same moment, and a poll under way does not count (C4, T2, F35)', async () => {
  const source = new MemorySource({ a: numbers(25) })
  const sink = new MemorySink()
  const gate = new Gate()
  source.beforeAnswer = () => (source.polls <= 2 ? undefined : gate.opened)
  await using attempt = await TestAttempt.start(counting(source, sink))
  await attempt.complete(1, null)
  await until(() => source.polls === 3)
  const manifest = await attempt.complete(2, 1)
  expect(source.readerPositions.get('a')).toBe(25)
  expect(positionIn(manifest.operators, 'numbers', 'a')).toBe(20)
  expect(valuesIn(manifest.operators, 'out')).toHaveLength(20)
  expect(manifest.operators.find((one) => one.operator === 'out')?.writerState?.entries).toEqual([
    Buffer.from('20').toString('base64'),
  ])
  expect(manifest.operators.map((one) => one.ended)).toEqual([false, false, false])
  gate.open()
  await until(() => sink.written.length === 25)
})

test('a source without positions polls only after a checkpoint that holds them has completed (F32)', async () => {
  const source = new MemorySource({ a: numbers(10) })
  source.starts = new Map([['a', 4]])
  const sink = new MemorySink()
  await using attempt = await TestAttempt.start(counting(source, sink))
  attempt.trigger(1, null)
  await attempt.heard('acknowledged', 1)
  attempt.trigger(2, null)
  const { operators } = await attempt.heard('acknowledged', 2)
  expect(source.polls).toBe(0)
  attempt.task.handle({ kind: 'completed', checkpoint: 2 })
  await attempt.heard('input-ended')
  expect(positionIn(operators, 'numbers', 'a')).toBe(4)
  expect(sink.written).toHaveLength(6)
  // The second start resolves "latest" anew; what counts is what was restored.
  const again = new MemorySource({ a: numbers(10) })
  again.starts = new Map([['a', 9]])
  await using second = await TestAttempt.start(counting(again, new MemorySink()), {
    restored: attempt.manifest(2, operators),
    blobs: attempt.blobs,
    generation: 2,
  })
  await second.heard('input-ended')
  expect(again.assigned).toEqual([{ split: { id: 'a' }, position: 4 }])
})

test('a split that appears later waits for a checkpoint too; an ended one that is gone is forgotten, one that has not ended is not', async () => {
  const source = new MemorySource({ a: numbers(3), b: numbers(3), c: numbers(3) })
  await using attempt = await TestAttempt.start(counting(source, new MemorySink()))
  const first = await attempt.complete(1, null)
  const restored = {
    ...first,
    operators: first.operators.map((one) => ({
      ...one,
      ...(one.splits && { splits: one.splits.map((split) => ({ ...split, ended: split.split.id === 'a' })) }),
    })),
  }
  const later = new MemorySource({ b: numbers(3), d: numbers(3) })
  await using second = await TestAttempt.start(counting(later, new MemorySink()), {
    restored,
    blobs: attempt.blobs,
    generation: 2,
  })
  expect(later.assigned.map((one) => one.split.id)).toEqual(['b', 'd', 'c'])
  second.trigger(2, 1)
  await second.heard('acknowledged', 2)
  expect(later.polls).toBe(0)
})

test('a checkpoint whose blob cannot be stored is declined, and its commits and state ride in the next one (F12, F16)', async () => {
  const source = new MemorySource({ a: numbers(20) })
  const blobs = new MemoryBlobs()
  await using attempt = await TestAttempt.start(counting(source, new MemorySink()), { blobs })
  await attempt.complete(1, null)
  await attempt.heard('input-ended')
  blobs.beforePut = () => Promise.reject(new Error('disk full'))
  attempt.trigger(2, 1)
  expect((await attempt.heard('declined', 2)).error).toMatchObject({ message: 'disk full' })
  blobs.beforePut = () => Promise.resolve()
  const manifest = await attempt.complete(3, 1)
  expect(valuesIn(manifest.operators, 'out')).toHaveLength(20)
  expect(manifest.operators.find((one) => one.operator === 'out')?.committables?.map((one) => one.checkpoint)).toEqual([
    2,
  ])
  expect((await attempt.complete(4, 3)).operators.flatMap((one) => one.committables ?? [])).toEqual([])
  await expectCounts(manifest, attempt.blobs, 20)
})

test('an abandoned checkpoint that prepares late is carried by the next one, never acknowledged (F12, F30)', async () => {
  const source = new MemorySource({ a: numbers(20), b: numbers(10) })
  const sink = new MemorySink()
  const late = new Gate()
  const more = new Gate()
  source.beforeAnswer = () => (source.polls <= 1 ? undefined : more.opened)
  await using attempt = await TestAttempt.start(counting(source, sink))
  await attempt.complete(1, null)
  await until(() => sink.written.length === 10)
  sink.beforePrepared = () => late.opened
  attempt.trigger(2, 1)
  await until(() => sink.preparing === 1)
  more.open()
  await attempt.heard('input-ended')
  attempt.trigger(3, 1)
  attempt.trigger(4, 1)
  await until(() => source.polls > 4)
  expect(sink.preparing).toBe(1)
  late.open()
  const { operators } = await attempt.heard('acknowledged', 4)
  expect(preparedIn(operators, 'out').map((one) => one.values.length)).toEqual([10, 20])
  expect(attempt.said.map((one) => one.kind)).toEqual([
    'acknowledged',
    'source-exhausted',
    'input-ended',
    'acknowledged',
  ])
  await expectCounts(attempt.manifest(4, operators), attempt.blobs, 30)
})

test('a checkpoint acknowledged in vain is held by the next one too, and released with it (C2)', async () => {
  const source = new MemorySource({ a: numbers(10) })
  await using attempt = await TestAttempt.start(counting(source, new MemorySink()))
  await attempt.complete(1, null)
  await attempt.heard('input-ended')
  attempt.trigger(2, 1)
  await attempt.heard('acknowledged', 2)
  const third = await attempt.complete(3, 1)
  expect(valuesIn(third.operators, 'out')).toHaveLength(10)
  expect(valuesIn((await attempt.complete(4, 3)).operators, 'out')).toEqual([])
})

test('a prepare that fails ends the attempt and is no declined checkpoint', async () => {
  const sink = new MemorySink()
  sink.beforePrepared = () => Promise.reject(new Error('no connection'))
  await using attempt = await TestAttempt.start(counting(new MemorySource({ a: [1] }), sink))
  attempt.trigger(1, null)
  const { error } = await attempt.heard('failed')
  expect(error).toBeInstanceOf(TaskFailure)
  expect(error).toMatchObject({ message: 'sink "out" could not prepare checkpoint 1: no connection' })
  expect(attempt.said).toHaveLength(1)
})

test('nothing is written to a sink that does not overlap while it prepares', async () => {
  const sink = new MemorySink(false)
  const source = new MemorySource({ a: numbers(200) })
  const gate = new Gate()
  await using attempt = await TestAttempt.start(counting(source, sink))
  sink.beforePrepared = () => gate.opened
  attempt.trigger(1, null)
  await until(() => sink.preparing === 1)
  gate.open()
  await attempt.heard('acknowledged', 1)
  attempt.task.handle({ kind: 'completed', checkpoint: 1 })
  const second = new Gate()
  sink.beforePrepared = () => second.opened
  attempt.trigger(2, 1)
  await until(() => sink.preparing === 1)
  const writtenBefore = sink.written.length
  second.open()
  await attempt.heard('input-ended')
  expect(writtenBefore).toBeLessThan(200)
  expect(sink.written).toHaveLength(200)
})

test('state is as of the barrier although records change it while it is being encoded (F31)', async () => {
  const keys = 10_000
  const source = new MemorySource({ a: numbers(3 * keys) })
  const sink = new MemorySink()
  const hold = new Gate()
  source.batchSize = () => keys
  source.beforeAnswer = () => (source.polls <= 1 ? undefined : hold.opened)
  await using attempt = await TestAttempt.start(counting(source, sink, keys))
  await attempt.complete(1, null)
  await until(() => source.polls === 2)
  attempt.trigger(2, 1)
  hold.open()
  const { operators } = await attempt.heard('acknowledged', 2)
  await attempt.heard('input-ended')
  const position = Number(positionIn(operators, 'numbers', 'a'))
  expect(position).toBeLessThan(3 * keys)
  expect(sink.written).toHaveLength(3 * keys)
  await expectCounts(attempt.manifest(2, operators), attempt.blobs, 3 * keys, keys)
})

test('lists grow across a checkpoint that was abandoned (F30)', async () => {
  const source = new MemorySource({ a: numbers(30) })
  const graph = (from: MemorySource, to: MemorySink) =>
    graphOf((flow) => {
      flow
        .source('numbers', from)
        .keyBy(() => 'all')
        .process('gather', {
          state: { all: list<number>() },
          onRecord(one, { state, emit }) {
            state.all.add(Number(one))
            emit(state.all.get().length)
          },
        })
        .sink('out', to)
    })
  await using attempt = await TestAttempt.start(graph(source, new MemorySink()))
  await attempt.complete(1, null)
  await attempt.heard('input-ended')
  attempt.trigger(2, 1)
  const third = await attempt.complete(3, 1)
  const sink = new MemorySink()
  const restored = { ...third, operators: third.operators.map((one) => ({ ...one, ended: false })) }
  const reopened = restored.operators.map((one) => ({
    ...one,
    ...(one.splits && { splits: one.splits.map((split) => ({ ...split, ended: false })) }),
  }))
  await using second = await TestAttempt.start(graph(new MemorySource({ a: numbers(31) }), sink), {
    restored: { ...restored, operators: reopened },
    blobs: attempt.blobs,
    generation: 2,
  })
  await second.heard('input-ended')
  expect(sink.written).toEqual([31])
})

test('restored state that cannot be read is that, also when a record is the first to need it (F15)', async () => {
  const source = new MemorySource({ a: numbers(10) })
  source.endless = true
  const sink = new MemorySink()
  await using attempt = await TestAttempt.start(counting(source, sink), {})
  await attempt.complete(1, null)
  await until(() => sink.written.length === 10)
  const restored = await attempt.complete(2, 1)
  // As of a later version of the format.
  for (const bytes of attempt.blobs.blobs.values()) bytes.fill(0xc1)
  const more = new MemorySource({ a: numbers(20) })
  await using again = await TestAttempt.start(counting(more, new MemorySink()), {
    restored,
    blobs: attempt.blobs,
    generation: 2,
  })
  const { error } = await again.heard('failed')
  expect(error).toBeInstanceOf(CorruptCheckpointError)
  expect(String(error)).toMatch(/operator "count" failed: key group \d+ in count-\d+ cannot be read/)
})

test('acknowledges to the source what the oldest retained checkpoint holds, and restores writer state', async () => {
  const source = new MemorySource({ a: numbers(10) })
  await using attempt = await TestAttempt.start(counting(source, new MemorySink()))
  const first = await attempt.complete(1, null)
  await attempt.heard('input-ended')
  const second = await attempt.complete(2, 1)
  attempt.task.handle({ kind: 'retained', splits: splitsOf(second) })
  await until(() => source.acknowledged.length > 0)
  expect(source.acknowledged).toEqual([{ split: { id: 'a' }, position: 10 }])
  const sink = new MemorySink()
  await using again = await TestAttempt.start(counting(source, sink), {
    restored: first,
    blobs: attempt.blobs,
    generation: 2,
  })
  expect(sink.restored).toEqual([0])
  await again.heard('input-ended')
})

/** Restores and reads on: the counts must go on where the position says. */
async function expectCounts(manifest: Manifest, blobs: MemoryBlobs, total: number, keys = 7): Promise<void> {
  const perSplit = new Map<string, number>()
  for (const { split, position } of manifest.operators.find((one) => one.splits !== undefined)?.splits ?? [])
    perSplit.set(split.id, Number(position))
  const probe = new MemorySource(Object.fromEntries([...perSplit].map(([id, at]) => [id, numbers(at)])))
  // One more record per key shows how many the restored state has seen.
  probe.splits.set('probe', numbers(keys))
  const sink = new MemorySink()
  const operators = manifest.operators.map((one) => ({ ...one, ended: false }))
  await using attempt = await TestAttempt.start(counting(probe, sink, keys), {
    restored: { ...manifest, operators },
    blobs,
    generation: 9,
  })
  await attempt.complete(manifest.checkpoint + 1, manifest.checkpoint)
  await attempt.heard('input-ended')
  const pushed = [...perSplit.values()].reduce((sum, at) => sum + at, 0)
  const seen = sink.written.reduce<number>((sum, one) => sum + Number((one as [unknown, number])[1]) - 1, 0)
  expect(pushed).toBeLessThanOrEqual(total)
  expect(seen).toBe(pushed)
}
