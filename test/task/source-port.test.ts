import { expect, test } from 'vitest'
import type { SourceReader, SplitLike } from '../../engine/api/index.ts'
import type { SourceNode } from '../../engine/graph/job-graph.ts'
import { SourcePort } from '../../engine/task/source-port.ts'
import { graphOf, runtime } from './attempt.ts'
import { MemorySource } from './in-memory.ts'

type Reader = SourceReader<unknown, SplitLike, unknown>

function portOf(poll: Reader['poll'], addSplits: Reader['addSplits'] = async () => undefined): SourcePort {
  const [node] = graphOf((flow) => void flow.source('s', new MemorySource({ a: [] }))).nodes
  const reader = { assign: async () => undefined, addSplits, poll, [Symbol.asyncDispose]: async () => undefined }
  const splits = new Map([['a', { split: { id: 'a' }, position: { line: 0 } as unknown, ended: false }]])
  const counters = { read: { value: 0 }, skipped: { value: 0 } }
  return new SourcePort(node as SourceNode, reader, { splits, logger: runtime.logger, records: 0, counters })
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

const added = [{ split: { id: 'b' }, position: { line: 0 }, ended: false }]
const idsIn = (port: SourcePort): readonly string[] | undefined => port.snapshot().splits?.map(({ split }) => split.id)

test('a new split is taken between two polls, and is in the cut before its reader hears of it (F32)', async () => {
  const answer = Promise.withResolvers<{ readonly kind: 'idle' }>()
  const taking = Promise.withResolvers<void>()
  const seen: string[] = []
  const port: SourcePort = portOf(
    () => {
      seen.push('poll')
      return answer.promise
    },
    (splits) => {
      seen.push(`add ${splits.map(({ split }) => split.id).join()} to ${idsIn(port)?.join()}`)
      return taking.promise
    },
  )
  let woken = 0
  const wake = (): void => void (woken += 1)
  port.poll(signal, wake)
  port.add(added)
  expect(port.poll(signal, wake)).toBe(undefined)
  expect(idsIn(port)).toEqual(['a'])
  answer.resolve({ kind: 'idle' })
  await answer.promise
  await Promise.resolve()
  expect(port.poll(signal, wake)).toEqual({ kind: 'idle' })
  expect(port.poll(signal, wake)).toBe(undefined)
  expect(port.snapshot().splits?.[1]).toEqual(added[0])
  expect(port.poll(signal, wake)).toBe(undefined)
  expect(seen).toEqual(['poll', 'add b to a,b'])
  expect(port.isPolling).toBe(true)
  woken = 0
  taking.resolve()
  await new Promise(setImmediate)
  expect(woken).toBe(1)
  port.poll(signal, wake)
  expect(seen.at(-1)).toBe('poll')
})

test('a reader that cannot take new splits, or says that none can come, ends the attempt', async () => {
  const broken = portOf(
    () => ({ kind: 'idle' }),
    () => Promise.reject(new Error('full')),
  )
  broken.add(added)
  broken.poll(signal, () => undefined)
  await new Promise(setImmediate)
  expect(() => broken.poll(signal, () => undefined)).toThrow('source "s" could not take new splits: full')
  const ending = portOf(() => ({ kind: 'ended' }))
  const polled = ending.poll(signal, () => undefined)
  ending.add(added)
  expect(() => ending.passed(polled ?? { kind: 'idle' })).toThrow(/no split can come any more, and then there were b/)
})
