/** A connect by itself: which function sees which state, for each kind of pair. */
import { expect, test } from 'vitest'
import {
  NO_TIMESTAMP,
  sideOutput,
  value,
  type Emitter,
  type ListState,
  type MapState,
  type ValueState,
} from '../../engine/index.ts'
import { parseOperatorId } from '../../engine/api/index.ts'
import type { ConnectNode } from '../../engine/graph/job-graph.ts'
import { connectOperator } from '../../engine/operators/connect.ts'
import { failureOf, FakeParts, memoryList, memoryMap } from './fakes.ts'

const late = sideOutput<unknown>('late')
const count = value(() => 0)
const limits = { kind: 'broadcast-map' } as const

interface Context extends Emitter<unknown> {
  readonly key: unknown
  readonly timestamp: number
  readonly state: { readonly count: ValueState<number>; readonly seen: ListState<unknown> }
  readonly broadcast: { readonly limits: MapState<unknown, unknown> }
}
type Call = (record: unknown, context: Context) => unknown

function connectNode(rest: Partial<ConnectNode>, onFirst: Call, onSecond: Call): ConnectNode {
  return {
    kind: 'connect',
    id: parseOperatorId('c'),
    inputs: [parseOperatorId('a'), parseOperatorId('b')],
    state: {},
    operatorState: {},
    onFirst: (record, context) => onFirst(record, context as Context) as undefined,
    onSecond: (record, context) => onSecond(record, context as Context) as undefined,
    ...rest,
  }
}

/** What a context has, besides timestamp and ways to emit. */
const shape: Call = (_, context) =>
  context.emit(['state', 'key', 'broadcast'].filter((name) => name in context).join(' ') || 'nothing')

test('two keyed inputs share the state of a key', () => {
  const parts = new FakeParts({ state: { count } })
  const add =
    (by: number): Call =>
    (record, { key, state, emit }) => {
      state.count.set(state.count.get() + by)
      emit(`${String(record)} ${String(key)} ${state.count.get()}`)
    }
  const { first, second } = connectOperator(connectNode({ state: { count } }, add(1), add(10)), parts)
  first('x', 'k', 1)
  second('y', 'k', 2)
  first('x', 'l', 3)
  second('y', 'l', NO_TIMESTAMP)
  expect(parts.sent).toEqual(['x k 1@1', 'y k 11@2', 'x l 1@3', `y l 11@${NO_TIMESTAMP}`])
})

test('two plain inputs share the state of the subtask', () => {
  const parts = new FakeParts({ operatorState: { seen: memoryList() } })
  const note: Call = (record, { state, emit }) => {
    state.seen.add(record)
    emit(state.seen.get().join())
  }
  const node = connectNode({ operatorState: { seen: { kind: 'split-list' } } }, note, note)
  const { first, second } = connectOperator(node, parts)
  first('x', undefined, 1)
  second('y', undefined, 2)
  expect(parts.sent).toEqual(['x@1', 'x,y@2'])
})

test.each([
  ['two keyed', { state: { count } }, {}, ['state key@1', 'state key@2']],
  ['two plain', {}, {}, ['state@1', 'state@2']],
  ['a plain one and a broadcast', {}, { operatorState: { limits } }, ['broadcast@1', 'broadcast@2']],
  [
    'a keyed one and a broadcast',
    { state: { count } },
    { operatorState: { limits } },
    ['state key broadcast@1', 'broadcast@2'],
  ],
])('the contexts of %s show what there is, and no more', (_, options, rest, expected) => {
  const parts = new FakeParts({ ...options, operatorState: { limits: memoryMap() } })
  const { first, second } = connectOperator(connectNode(rest, shape, shape), parts)
  first('x', 'k', 1)
  second('y', 'k', 2)
  expect(parts.sent).toEqual(expected)
})

test.each([{ state: { count } }, {}])(
  'broadcast state is written by one function and read by the other (%o)',
  (options) => {
    const parts = new FakeParts({ ...options, operatorState: { limits: memoryMap() } })
    const read: Call = (record, { broadcast, emit }) =>
      emit(
        `${String(broadcast.limits.get(record))} ${broadcast.limits.has(record)} ${[...broadcast.limits.entries()].length}`,
      )
    const write: Call = (rule, { broadcast }) => broadcast.limits.set(rule, `limit of ${String(rule)}`)
    const { first, second } = connectOperator(connectNode({ operatorState: { limits } }, read, write), parts)
    first('x', 'k', 1)
    second('x', undefined, 2)
    second('y', undefined, 2)
    first('x', 'k', 3)
    expect(parts.sent).toEqual(['undefined false 0@1', 'limit of x true 2@3'])
  },
)

test.each<[string, Call]>([
  ['set', (_, { broadcast }) => broadcast.limits.set('x', 1)],
  ['delete', (_, { broadcast }) => broadcast.limits.delete('x')],
  ['clear', (_, { broadcast }) => broadcast.limits.clear()],
])('%s of broadcast state beside the other stream is refused, and changes nothing', (_, change) => {
  const map = memoryMap()
  map.set('x', 0)
  const parts = new FakeParts({ operatorState: { limits: map } })
  const { first } = connectOperator(connectNode({ operatorState: { limits } }, change, shape), parts)
  expect(failureOf(parts, () => first('x', undefined, 1))).toMatch(
    /^TerminalError: operator "c" failed: broadcast state "limits" can only be changed in onBroadcast/,
  )
  expect(map.get('x')).toBe(0)
})

test('side outputs work in both functions and at the end; what nobody reads is dropped', () => {
  const parts = new FakeParts({ state: {}, operatorState: { limits: memoryMap() }, read: ['late'] })
  const send: Call = (record, { emitTo }) => {
    emitTo(late, record)
    emitTo(sideOutput('unread'), record)
  }
  const node = connectNode(
    { operatorState: { limits }, onEnd: (context) => send('end', context as Context) as undefined },
    send,
    send,
  )
  const { first, second, end } = connectOperator(node, parts)
  first('x', 'k', 1)
  second('y', undefined, 2)
  end()
  expect(parts.sent).toEqual(['late: x@1', 'late: y@2', `late: end@${NO_TIMESTAMP}`])
})

test('what one function keeps is closed while the other runs', () => {
  const parts = new FakeParts({ state: {} })
  const kept: Emitter<unknown>[] = []
  const node = connectNode(
    {},
    (_, context) => void kept.push(context),
    () => kept[0]?.emit('x'),
  )
  const { first, second } = connectOperator(node, parts)
  first('x', 'k', 1)
  second('y', 'k', 2)
  expect(parts.sent).toEqual([])
  expect(parts.misuses.map(({ message }) => message)).toEqual([
    expect.stringMatching(/operator "c" failed: it emitted after/),
  ])
})

test('a throw and a promise of either function are told with the operator', () => {
  const fails: Call = () => {
    throw new RangeError('too big')
  }
  const promises: Call = () => Promise.reject(new Error('lost'))
  for (const port of ['first', 'second'] as const) {
    const thrower = new FakeParts({ state: {} })
    const failing = connectOperator(connectNode({}, fails, fails), thrower)
    expect(failureOf(thrower, () => failing[port]('x', 'k', 1))).toMatch(/^TaskFailure: operator "c" failed: too big$/)
    const promising = new FakeParts({})
    const asynchronous = connectOperator(connectNode({}, promises, promises), promising)
    expect(failureOf(promising, () => asynchronous[port]('x', 'k', 1))).toMatch(/^TerminalError: .*returned a promise/)
  }
})

test('broadcast state without a handle is a mistake of ours', () => {
  const parts = new FakeParts({})
  expect(() => connectOperator(connectNode({ operatorState: { limits } }, shape, shape), parts)).toThrow(
    /operator "c" has no handle of its state "limits"/,
  )
})
