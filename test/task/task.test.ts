import { expect, test } from 'vitest'
import { NO_TIMESTAMP, TaskFailure, TerminalError, type Runtime } from '../../engine/api/index.ts'
import { value } from '../../engine/graph/descriptors.ts'
import type { Flow } from '../../engine/graph/stream.ts'
import { graphOf, runtime, TestAttempt, until } from './attempt.ts'
import { Gate, MemorySink, MemorySource } from './in-memory.ts'

const numbers = (count: number): number[] => Array.from({ length: count }, (_, index) => index)

async function started(
  build: (flow: Flow) => void,
  options: { readonly runtime?: Runtime } = {},
): Promise<TestAttempt> {
  const attempt = await TestAttempt.start(graphOf(build), options)
  await attempt.complete(1, null)
  return attempt
}

test('every kind of operator does its work, and a stream may branch', async () => {
  const [all, odd] = [new MemorySink(), new MemorySink()]
  await using attempt = await started((flow) => {
    const twice = flow.source('numbers', new MemorySource({ a: numbers(4) })).flatMap('twice', (one) => [one, one])
    twice.map('text', (one) => `n${String(one)}`).sink('all', all)
    twice.filter('odd', (one) => Number(one) % 2 === 1).sink('odds', odd)
  })
  await attempt.heard('input-ended')
  expect(all.written).toEqual(['n0', 'n0', 'n1', 'n1', 'n2', 'n2', 'n3', 'n3'])
  expect(odd.written).toEqual([1, 1, 3, 3])
})

test('closing output comes from the top down, once, and not again after a restore (F24)', async () => {
  const sink = new MemorySink()
  const build = (to: MemorySink) => (flow: Flow) => {
    const first = flow
      .source('numbers', new MemorySource({ a: numbers(3) }))
      .keyBy(() => 'all')
      .process('first', { state: {}, onRecord: () => undefined, onEnd: ({ emit }) => emit('end of first') })
    first
      .keyBy(() => 'all')
      .process('second', {
        state: {},
        onRecord: (one, { emit, timestamp }) => emit([one, timestamp]),
        onEnd: ({ emit }) => emit('end of second'),
      })
      .sink('out', to)
  }
  await using attempt = await started(build(sink))
  await attempt.heard('input-ended')
  expect(sink.written).toEqual([['end of first', NO_TIMESTAMP], 'end of second'])
  const manifest = await attempt.complete(2, 1)
  expect(manifest.operators.every((one) => one.ended)).toBe(true)
  expect(manifest.operators[0]?.splits).toEqual([{ split: { id: 'a' }, position: 3, ended: true }])
  const again = new MemorySink()
  await using second = await TestAttempt.start(graphOf(build(again)), {
    restored: manifest,
    blobs: attempt.blobs,
    generation: 2,
  })
  await second.heard('input-ended')
  await second.complete(3, 2)
  expect(again.written).toEqual([])
})

test('a function that throws ends the attempt, naming the operator nearest to the cause (F21)', async () => {
  await using attempt = await started((flow) => {
    flow
      .source('numbers', new MemorySource({ a: numbers(3) }))
      .keyBy(() => 1)
      .process('outer', { state: {}, onRecord: (one, { emit }) => emit(one) })
      .map('inner', (one) => {
        if (one === 2) throw new Error('no twos')
        return one
      })
      .sink('out', new MemorySink())
  })
  const { error } = await attempt.heard('failed')
  expect(error).toBeInstanceOf(TaskFailure)
  expect(error).toMatchObject({ message: 'operator "inner" failed: no twos', cause: new Error('no twos') })
})

test('a failure downstream that a function swallows ends the attempt all the same, before anything is written', async () => {
  const sink = new MemorySink()
  await using attempt = await started((flow) => {
    flow
      .source('numbers', new MemorySource({ a: numbers(3) }))
      .keyBy(() => 1)
      .process('careless', {
        state: {},
        onRecord(one, { emit }) {
          try {
            emit(one)
          } catch {
            // As a user might.
          }
        },
      })
      .map('inner', (one) => {
        if (one === 1) throw new Error('no ones')
        return one
      })
      .sink('out', sink)
  })
  expect((await attempt.heard('failed')).error).toMatchObject({ message: 'operator "inner" failed: no ones' })
  expect(sink.written).toEqual([])
})

test('functions that return promises are refused, whatever becomes of the promise', async () => {
  const cases: readonly [string, (flow: Flow) => void][] = [
    [
      'map',
      (flow) =>
        flow
          .source('s', new MemorySource({ a: [1] }))
          .map('map', async (one) => one)
          .sink('out', new MemorySink()),
    ],
    [
      'filter',
      (flow) =>
        flow
          .source('s', new MemorySource({ a: [1] }))
          .filter('filter', (async () => Promise.reject(new Error('late'))) as unknown as () => boolean)
          .sink('out', new MemorySink()),
    ],
    [
      'process',
      (flow) =>
        flow
          .source('s', new MemorySource({ a: [1] }))
          .keyBy(() => 1)
          .process('process', {
            state: {},
            async onRecord() {
              await Promise.reject(new Error('late'))
            },
          })
          .sink('out', new MemorySink()),
    ],
  ]
  for (const [operator, build] of cases) {
    await using attempt = await started(build)
    const { error } = await attempt.heard('failed')
    expect(error).toBeInstanceOf(TerminalError)
    expect(error).toMatchObject({
      message: expect.stringContaining(`operator "${operator}" failed: its function returned a promise`),
    })
  }
})

test('emitting after the function has returned ends the attempt with a clear error', async () => {
  let emitLate: (() => void) | undefined
  const sink = new MemorySink()
  await using attempt = await started((flow) => {
    flow
      .source('s', new MemorySource({ a: [1] }))
      .keyBy(() => 1)
      .process('late', {
        state: {},
        onRecord(_one, { emit }) {
          emitLate = () => emit('too late')
        },
      })
      .sink('out', sink)
  })
  await attempt.heard('input-ended')
  emitLate?.()
  expect((await attempt.heard('failed')).error).toMatchObject({
    message: 'operator "late" failed: it emitted after its function had returned; emit before returning',
  })
  expect(sink.written).toEqual([])
})

test('a writer that waits for settled hears it while it pushes back', async () => {
  const sink = new MemorySink()
  const gate = new Gate()
  let waiting = false
  sink.onWrite = () => {
    waiting = true
    return gate.opened
  }
  sink.onSettled = () => gate.open()
  await using attempt = await started((flow) => {
    flow.source('s', new MemorySource({ a: numbers(3) })).sink('out', sink)
  })
  await until(() => waiting)
  attempt.task.handle({ kind: 'settled', through: 1 })
  await attempt.heard('input-ended')
  expect(sink.written).toHaveLength(3)
})

test('what writers get at once is bounded however much a record multiplies (C8)', async () => {
  const sizes: number[] = []
  const sink = new MemorySink()
  sink.onWrite = (batch) => void sizes.push(batch.values.length)
  const source = new MemorySource({ a: numbers(2_000) })
  source.batchSize = () => 2_000
  await using attempt = await started((flow) => {
    flow
      .source('s', source)
      .flatMap('many', (one) => numbers(100).map((index) => [one, index]))
      .sink('out', sink)
  })
  await attempt.heard('input-ended')
  expect(sink.written).toHaveLength(200_000)
  expect(sink.written.at(-1)).toEqual([1_999, 99])
  expect(Math.max(...sizes)).toBeLessThanOrEqual(1_024 + 99)
})

test('a batch that takes long lets the event loop turn every few milliseconds (T3)', async () => {
  let nowMs = 0
  let longestMs = 0
  let turnedAtMs = 0
  const slow: Runtime = {
    ...runtime,
    clock: { now: () => 0, monotonicMs: () => nowMs },
    timers: {
      ...runtime.timers,
      yieldToEventLoop: () => {
        longestMs = Math.max(longestMs, nowMs - turnedAtMs)
        turnedAtMs = nowMs
        return runtime.timers.yieldToEventLoop()
      },
    },
  }
  const source = new MemorySource({ a: numbers(10_000) })
  source.batchSize = () => 10_000
  const sink = new MemorySink()
  await using attempt = await started(
    (flow) => {
      flow
        .source('s', source)
        .map('slow', (one) => {
          nowMs += 0.02
          return one
        })
        .sink('out', sink)
    },
    { runtime: slow },
  )
  await attempt.heard('input-ended')
  expect(sink.written).toEqual(numbers(10_000))
  expect(nowMs).toBeGreaterThan(150)
  expect(longestMs).toBeLessThan(10)
})

test('an idle source is asked again after its delay, and a barrier does not wait for it', async () => {
  const source = new MemorySource({ a: [] })
  source.endless = true
  await using attempt = await started((flow) => {
    flow.source('s', source).sink('out', new MemorySink())
  })
  await until(() => source.polls > 2)
  expect((await attempt.complete(2, 1)).operators.map((one) => one.ended)).toEqual([false, false])
})

test('a failing source, writer or background task ends the attempt and is named', async () => {
  const source = new MemorySource({ a: [1] })
  source.beforeAnswer = () => Promise.reject(new TerminalError('records before 100 are gone'))
  await using first = await started((flow) => flow.source('s', source).sink('out', new MemorySink()))
  const { error } = await first.heard('failed')
  expect(error).toBeInstanceOf(TerminalError)
  expect(error).toMatchObject({ message: 'source "s" could not be polled: records before 100 are gone' })
  for (const onWrite of [() => Promise.reject(new Error('full')), () => raise(new Error('full'))]) {
    const sink = new MemorySink()
    sink.onWrite = onWrite
    await using attempt = await started((flow) => flow.source('s', new MemorySource({ a: [1] })).sink('out', sink))
    const failed = await attempt.heard('failed')
    expect(failed.error).toBeInstanceOf(TaskFailure)
    expect(failed.error).toMatchObject({ message: 'sink "out" could not write: full' })
  }
})

test('dispose closes everything once, also while a poll hangs, and after it nothing is said (T1)', async () => {
  const source = new MemorySource({ a: numbers(3) })
  source.beforeAnswer = () => new Promise(() => undefined)
  const sink = new MemorySink()
  const attempt = await started((flow) => flow.source('s', source).sink('out', sink))
  await until(() => source.polls === 1)
  await Promise.all([attempt.task.dispose(), attempt.task.dispose()])
  await attempt[Symbol.asyncDispose]()
  expect([source.disposed, sink.disposed]).toEqual([1, 1])
  attempt.trigger(2, 1)
  expect(attempt.said.map((one) => one.kind)).toEqual(['acknowledged'])
})

test('a task that cannot be opened closes what it had opened', async () => {
  const source = new MemorySource({ a: numbers(3) })
  const [first, second] = [new MemorySink(), new MemorySink()]
  second.createWriter = () => Promise.reject(new Error('refused'))
  const graph = graphOf((flow) => {
    const stream = flow
      .source('s', source)
      .keyBy(() => 1)
      .process('p', { state: { n: value(() => 0) }, onRecord: () => undefined })
    stream.sink('first', first)
    stream.sink('second', second)
  })
  await expect(TestAttempt.start(graph)).rejects.toThrow('sink "second" could not create its writer: refused')
  expect(first.disposed).toBe(1)
})

function raise(error: Error): never {
  throw error
}
