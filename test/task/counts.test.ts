/** How many records a checkpoint says that there were: a part of its cut, so each record counts once, whatever was read and written again. */
import { expect, test } from 'vitest'
import { NO_TIMESTAMP, type Source } from '../../engine/api/index.ts'
import type { Manifest } from '../../engine/checkpoint/manifest.ts'
import { recordsOf } from '../../engine/coordinator/run-figures.ts'
import { graphOf, TestAttempt, until } from './attempt.ts'
import { Gate, MemorySink, MemorySource } from './in-memory.ts'

const numbers = (count: number, from = 0): number[] => Array.from({ length: count }, (_, index) => from + index)

function countsOf(manifest: Manifest): readonly number[] {
  return [recordsOf(manifest, 'numbers'), recordsOf(manifest, 'out')]
}

test('the counts of a checkpoint are those of its positions, and an attempt goes on from them (C4)', async () => {
  const source = new MemorySource({ a: numbers(25) })
  const sink = new MemorySink()
  const gate = new Gate()
  source.beforeAnswer = () => (source.polls <= 2 ? undefined : gate.opened)
  const graph = graphOf((flow) => {
    flow
      .source('numbers', source)
      .flatMap('twice', (one) => [one, one])
      .sink('out', sink)
  })
  await using first = await TestAttempt.start(graph)
  await first.complete(1, null)
  await until(() => source.polls === 3)
  const manifest = await first.complete(2, 1)
  expect(countsOf(manifest)).toEqual([20, 40])
  // What the attempt does behind its last checkpoint is done again.
  gate.open()
  await until(() => sink.written.length === 50)
  await using second = await TestAttempt.start(graph, { restored: manifest, generation: 2 })
  await second.heard('input-ended')
  expect(countsOf(await second.complete(3, 2))).toEqual([25, 50])
})

test('at another parallelism the sums stay what they are; a checkpoint of an older release counts from then on', async () => {
  const source = new MemorySource({ a: numbers(30), b: numbers(20), c: numbers(10) })
  source.endless = true
  const sink = new MemorySink()
  const graph = graphOf((flow) => {
    flow.source('numbers', source).sink('out', sink)
  })
  let restored: Manifest | null = null
  let checkpoint = 0
  for (const parallelism of [3, 2, 4, 1]) {
    await using attempt: TestAttempt = await TestAttempt.start(graph, {
      restored,
      parallelism,
      generation: checkpoint + 1,
    })
    const base = checkpoint === 0 ? null : checkpoint
    await attempt.complete(checkpoint + 1, base)
    await until(() => sink.written.length === 60)
    restored = await attempt.complete(checkpoint + 2, checkpoint + 1)
    checkpoint += 2
    expect({ parallelism, counts: countsOf(restored) }).toEqual({ parallelism, counts: [60, 60] })
  }
  if (restored === null) throw new Error('nothing was restored')
  const older = { ...restored, operators: restored.operators.map(({ records: _, ...operator }) => operator) }
  source.splits.set('a', numbers(35))
  await using last = await TestAttempt.start(graph, { restored: older, generation: checkpoint + 1 })
  await until(() => sink.written.length === 65)
  expect(countsOf(await last.complete(checkpoint + 1, checkpoint))).toEqual([5, 5])
})

test('a sink tells the newest event time that it was given; records without one do not hide it', async () => {
  const source = new MemorySource({ a: [5, 9, 7, NO_TIMESTAMP, 3], b: [NO_TIMESTAMP, NO_TIMESTAMP] })
  source.batchSize = () => 3
  const timed: Source<unknown, { readonly id: string }, number> = {
    kind: source.kind,
    guarantee: source.guarantee,
    validate: () => source.validate(),
    discover: () => source.discover(),
    createReader: async () => {
      const reader = await source.createReader()
      return {
        assign: (splits) => reader.assign(splits),
        poll: async (signal) => {
          const polled = await reader.poll(signal)
          if (polled.kind !== 'records') return polled
          const timestamps = polled.records.values.map(Number)
          return { ...polled, records: { ...polled.records, timestamps } }
        },
        [Symbol.asyncDispose]: () => reader[Symbol.asyncDispose](),
      }
    },
  }
  const graph = graphOf((flow) => {
    const all = flow.source('numbers', timed)
    all.sink('out', new MemorySink())
    all.filter('none', (one) => Number(one) === NO_TIMESTAMP).sink('untimed', new MemorySink())
  })
  await using attempt = await TestAttempt.start(graph)
  await attempt.complete(1, null)
  await attempt.heard('input-ended')
  const { operators } = await attempt.complete(2, 1)
  const newestOf = (sink: string): unknown => operators.find(({ operator }) => operator === sink)?.newestEventAt
  expect(newestOf('out')).toBe(9)
  expect(newestOf('untimed')).toBeUndefined()
  await using next = await TestAttempt.start(graph, { restored: attempt.manifest(2, operators), generation: 2 })
  const later = await next.complete(3, 2)
  expect(later.operators.find(({ operator }) => operator === 'out')?.newestEventAt).toBe(9)
})
