/** A process by itself: its state, what it sends on and when it may. */
import { expect, test } from 'vitest'
import { NO_TIMESTAMP, sideOutput, value, type Emitter, type ListState, type ValueState } from '../../engine/index.ts'
import type { ProcessNode } from '../../engine/graph/job-graph.ts'
import { processOperator } from '../../engine/operators/process.ts'
import { parseOperatorId } from '../../engine/api/index.ts'
import { failureOf, FakeParts, memoryList } from './fakes.ts'

const late = sideOutput<unknown>('late')
const count = value(() => 0)

interface Context extends Emitter<unknown> {
  readonly key: unknown
  readonly timestamp: number
  readonly state: { readonly count: ValueState<number>; readonly seen: ListState<unknown> }
}

function processNode(
  onRecord: (record: unknown, context: Context) => unknown,
  onEnd?: (context: Emitter<unknown>) => unknown,
): ProcessNode {
  return {
    kind: 'process',
    id: parseOperatorId('p'),
    input: parseOperatorId('in'),
    state: {},
    operatorState: {},
    onRecord: (record, context) => onRecord(record, context as Context) as undefined,
    ...(onEnd === undefined ? {} : { onEnd: (context: unknown) => onEnd(context as Emitter<unknown>) as undefined }),
  }
}

test('with a key it has the state of that key, and emits with the time of the record', () => {
  const parts = new FakeParts({ state: { count } })
  const { push } = processOperator(
    processNode((record, { key, timestamp, state, emit }) => {
      state.count.set(state.count.get() + 1)
      emit(`${String(record)} of ${String(key)} at ${timestamp}: ${state.count.get()}`)
    }),
    parts,
  )
  push('x', 'a', 1)
  push('y', 'b', 2)
  push('z', 'a', NO_TIMESTAMP)
  expect(parts.sent).toEqual(['x of a at 1: 1@1', 'y of b at 2: 1@2', `z of a at ${NO_TIMESTAMP}: 2@${NO_TIMESTAMP}`])
})

test('with a key but no state it still has the key', () => {
  const parts = new FakeParts({ state: {} })
  const { push } = processOperator(
    processNode((_, { key, emit }) => emit(key)),
    parts,
  )
  push('x', 7n, 1)
  expect(parts.sent).toEqual(['7@1'])
})

test('without a key it has the state of the subtask, and no key', () => {
  const parts = new FakeParts({ operatorState: { seen: memoryList() } })
  const { push } = processOperator(
    processNode((record, context) => {
      context.state.seen.add(record)
      context.emit(`${context.state.seen.get().join()}${'key' in context ? ' with a key' : ''}`)
    }),
    parts,
  )
  push('x', 'ignored', 1)
  push('y', undefined, 2)
  expect(parts.sent).toEqual(['x@1', 'x,y@2'])
})

test.each([{ state: {} }, {}])('it has one context for all records (%o)', (options) => {
  const seen = new Set<unknown>()
  const { push } = processOperator(
    processNode((_, context) => void seen.add(context)),
    new FakeParts(options),
  )
  for (let index = 0; index < 10; index += 1) push(index, 'k', index)
  expect(seen.size).toBe(1)
})

test.each([{ state: {} }, {}])('a side output gets what is for it; what nobody reads is dropped (%o)', (options) => {
  const parts = new FakeParts({ ...options, read: ['late'] })
  const { push, end } = processOperator(
    processNode(
      (record, { emit, emitTo }) => {
        emitTo(late, record)
        emitTo(sideOutput('unread'), record)
        emit('on')
      },
      ({ emitTo }) => emitTo(late, 'end'),
    ),
    parts,
  )
  push('x', 'k', 5)
  end()
  expect(parts.sent).toEqual(['late: x@5', 'on@5', `late: end@${NO_TIMESTAMP}`])
})

test('its end emits without time and sees no state; without a function it is nothing', () => {
  const parts = new FakeParts({ state: { count } })
  const { push, end } = processOperator(
    processNode(
      () => undefined,
      (context) => context.emit(`end${'state' in context || 'key' in context ? ' with state' : ''}`),
    ),
    parts,
  )
  push('x', 'a', 1)
  end()
  processOperator(
    processNode(() => undefined),
    parts,
  ).end()
  expect(parts.sent).toEqual([`end@${NO_TIMESTAMP}`])
})

test.each([{ state: {} }, {}])('emitting after the function has returned is its failure (%o)', (options) => {
  const kept: Emitter<unknown>[] = []
  for (const use of [
    (emitter: Emitter<unknown>) => emitter.emit(1),
    (emitter: Emitter<unknown>) => emitter.emitTo(late, 1),
  ]) {
    const parts = new FakeParts({ ...options, read: ['late'] })
    const { push, end } = processOperator(
      processNode(
        (_, context) => void kept.push(context),
        (context) => void kept.push(context),
      ),
      parts,
    )
    push('x', 'a', 1)
    end()
    for (const emitter of kept.splice(0)) use(emitter)
    expect(parts.sent).toEqual([])
    expect(parts.misuses).toHaveLength(2)
    expect(parts.guard.failure?.message).toMatch(/operator "p" failed: it emitted after its function had returned/)
  }
})

test.each([{ state: {} }, {}])('a throw is told with the operator; a promise too (%o)', (options) => {
  const thrower = new FakeParts(options)
  const failing = processOperator(
    processNode(
      () => {
        throw new RangeError('too big')
      },
      () => {
        throw new RangeError('too late')
      },
    ),
    thrower,
  )
  expect(failureOf(thrower, () => failing.push('x', 'a', 1))).toMatch(/^TaskFailure: operator "p" failed: too big$/)
  const atEnd = new FakeParts(options)
  const ending = processOperator(
    processNode(
      () => undefined,
      () => Promise.reject(new Error('lost')),
    ),
    atEnd,
  )
  expect(failureOf(atEnd, ending.end)).toMatch(/^TerminalError: .*its function returned a promise/)
  const promising = new FakeParts(options)
  const asynchronous = processOperator(
    processNode(() => Promise.reject(new Error('lost'))),
    promising,
  )
  expect(failureOf(promising, () => asynchronous.push('x', 'a', 1))).toMatch(
    /^TerminalError: .*its function returned a promise/,
  )
})

test('what is no key is refused with the operator', () => {
  const parts = new FakeParts({ state: {} })
  const { push } = processOperator(
    processNode(() => undefined),
    parts,
  )
  expect(failureOf(parts, () => push('x', { not: 'a key' }, 1))).toMatch(/^TerminalError: operator "p" failed: /)
})
