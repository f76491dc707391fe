import { expect, test } from 'vitest'
import { callbackSink } from '../../sinks/callback/sink.ts'
import { discardSink } from '../../sinks/discard/sink.ts'
import { SinkGeneration } from '../conformance/sink-generation.ts'

const outside = {
  record: (number: number) => number,
  readVisible: () => Promise.resolve([]),
  [Symbol.asyncDispose]: () => Promise.resolve(),
}

test('the discarding sink takes every batch and prepares nothing', async () => {
  await using job = new SinkGeneration({ ...outside, createSink: () => discardSink<number>() }, { generation: 1 })
  await job.open()
  await job.write([1, 2, 3])
  expect(await job.prepare({ endOfInput: true })).toEqual([])
  expect(await job.abortStale()).toEqual({ aborted: 0, clean: true })
  expect(job.sink.guarantee).toBe('exactly-once')
})

test('the callback sink hands over every batch in order, with its origin, and waits for what it returns', async () => {
  const seen: unknown[] = []
  const gate = Promise.withResolvers<void>()
  const createSink = () =>
    callbackSink<number>((batch, { operator, subtask, generation }) => {
      seen.push([...batch.values, operator, subtask, generation])
      return batch.values.includes(2) ? gate.promise : undefined
    })
  await using job = new SinkGeneration({ ...outside, createSink }, { generation: 7 })
  await job.open()
  await job.write([1])
  let isWritten = false
  const writing = job.write([2, 3]).then(() => {
    isWritten = true
  })
  await Promise.resolve()
  expect(isWritten).toBe(false)
  gate.resolve()
  await writing
  expect(await job.prepare()).toEqual([])
  expect(seen).toEqual([
    [1, 'out', 0, 7],
    [2, 3, 'out', 0, 7],
  ])
  expect(job.sink.guarantee).toBe('at-least-once')
})

test('what the callback throws ends the attempt', async () => {
  const createSink = () =>
    callbackSink<number>(() => {
      throw new Error('the callback said no')
    })
  await using job = new SinkGeneration({ ...outside, createSink }, { generation: 1 })
  await job.open()
  await expect(job.write([1])).rejects.toThrow('the callback said no')
})
