import { expect, test } from 'vitest'
import type { SinkWriter, WriterContext } from '../../engine/api/index.ts'
import { DEFAULT_CHECKPOINT_POLICY } from '../../engine/checkpoint/trigger.ts'
import { graphOf, TestAttempt } from './attempt.ts'
import { MemorySink, MemorySource, type Prepared } from './in-memory.ts'

class CuriousSink extends MemorySink {
  readonly contexts: WriterContext[] = []

  override createWriter(
    context: WriterContext,
    restored: readonly number[],
  ): Promise<SinkWriter<unknown, Prepared, number>> {
    this.contexts.push(context)
    return super.createWriter(context, restored)
  }
}

test('a writer knows how its names begin and the bounds of checkpoints', async () => {
  const sink = new CuriousSink()
  const graph = graphOf((flow) => flow.source('numbers', new MemorySource({ a: [1] })).sink('out', sink))
  await using attempt = await TestAttempt.start(graph, { generation: 7 })
  await attempt.complete(1, null)
  const [context] = sink.contexts
  expect(context?.namePrefix).toBe('job--abcdefgh--00000007--out--')
  expect(context?.nextName().startsWith(context.namePrefix)).toBe(true)
  expect(context?.checkpoint).toEqual(DEFAULT_CHECKPOINT_POLICY)
})

test('a write that waits for settled is let go when the attempt ends, and then everything is closed', async () => {
  const sink = new CuriousSink()
  sink.onWrite = () =>
    new Promise((_, reject) => {
      sink.contexts[0]?.signal.addEventListener('abort', () => reject(new Error('the attempt is over')), { once: true })
    })
  const graph = graphOf((flow) => flow.source('numbers', new MemorySource({ a: [1, 2] })).sink('out', sink))
  {
    await using attempt = await TestAttempt.start(graph)
    await attempt.complete(1, null)
    while (sink.written.length === 0) await new Promise(setImmediate)
  }
  expect(sink.disposed).toBe(1)
})

test('a failure in the background is told with the kind and the name of its operator', async () => {
  const sink = new CuriousSink()
  const graph = graphOf((flow) => flow.source('numbers', new MemorySource({ a: [1] })).sink('out', sink))
  await using attempt = await TestAttempt.start(graph)
  sink.contexts[0]?.fail(new Error('no connection'))
  expect((await attempt.heard('failed')).error).toMatchObject({ message: 'sink "out" failed: no connection' })
})
