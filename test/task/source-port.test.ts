import { expect, test } from 'vitest'
import type { SourceReader, SplitLike } from '../../engine/api/index.ts'
import type { SourceNode } from '../../engine/graph/job-graph.ts'
import { SourcePort } from '../../engine/task/source-port.ts'
import { graphOf, runtime } from './attempt.ts'
import { MemorySource } from './in-memory.ts'

function portOf(poll: SourceReader<unknown, SplitLike, unknown>['poll']): SourcePort {
  const [node] = graphOf((flow) => void flow.source('s', new MemorySource({ a: [] }))).nodes
  const reader = { assign: async () => undefined, poll, [Symbol.asyncDispose]: async () => undefined }
  const splits = new Map([['a', { split: { id: 'a' }, position: { line: 0 } as unknown, ended: false }]])
  return new SourcePort(node as SourceNode, reader, { splits, logger: runtime.logger })
}

const { signal } = new AbortController()

test('a position is as it was when the batch arrived, although the reader goes on with the same object (F35)', () => {
  const after = { line: 0 }
  const port = portOf(() => {
    after.line += 10
    return { kind: 'records', split: { id: 'a' }, records: { values: [] }, after }
  })
  const polled = port.poll(signal, () => undefined)
  if (polled !== undefined) port.passed(polled)
  const snapshot = port.snapshot()
  port.poll(signal, () => undefined)
  expect(snapshot.splits).toEqual([{ split: { id: 'a' }, position: { line: 10 }, ended: false }])
  expect(port.snapshot().splits).toEqual(snapshot.splits)
})

test('records of a split that was not assigned are refused', () => {
  const port = portOf(() => ({ kind: 'records', split: { id: 'z' }, records: { values: [1] }, after: 1 }))
  expect(() => port.poll(signal, () => undefined)).toThrow('split "z", but it was not assigned')
})

test('timestamps that do not belong to the values are refused', () => {
  const records = { values: [1, 2], timestamps: [1] }
  const port = portOf(() => ({ kind: 'records', split: { id: 'a' }, records, after: 1 }))
  expect(() => port.poll(signal, () => undefined)).toThrow('2 records of split "a" with 1 timestamps')
})
