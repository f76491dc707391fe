import { expect, test } from 'vitest'
import {
  CorruptCheckpointError,
  FencedError,
  InDoubtError,
  InvariantViolation,
  TaskFailure,
  TerminalError,
} from '../../../engine/api/index.ts'
import { exitCodeOf } from '../../../engine/host/exit-code.ts'
import { jsonLogger } from '../../../engine/host/json-logger.ts'
import { nodeRuntime } from '../../../engine/host/node-runtime.ts'
import { textLogger } from '../../../engine/host/text-logger.ts'

const { clock, random, timers } = nodeRuntime()

test('a sleep lasts as long as it says, and ends with the reason of its signal', async () => {
  const start = clock.monotonicMs()
  await timers.sleep(20)
  expect(clock.monotonicMs() - start).toBeGreaterThanOrEqual(19)

  const stop = new AbortController()
  const asleep = timers.sleep(Number.POSITIVE_INFINITY, stop.signal)
  stop.abort(new Error('stopped'))
  await expect(asleep).rejects.toThrow('stopped')
  await expect(timers.sleep(0, stop.signal)).rejects.toThrow('stopped')
})

test('a sleep of months does not end at once', async () => {
  const stop = new AbortController()
  let isAwake = false
  const asleep = timers.sleep(2 ** 33, stop.signal).finally(() => {
    isAwake = true
  })
  await timers.sleep(10)
  expect(isAwake).toBe(false)
  stop.abort(new Error('enough'))
  await expect(asleep).rejects.toThrow('enough')
})

test('randomness is in its range and tokens do not repeat', () => {
  const numbers = Array.from({ length: 10_000 }, () => random.next())
  expect(numbers.every((one) => one >= 0 && one < 1)).toBe(true)
  expect(numbers.reduce((sum, one) => sum + one, 0) / numbers.length).toBeCloseTo(0.5, 1)
  const tokens = new Set(Array.from({ length: 1_000 }, () => random.token(12)))
  expect(tokens.size).toBe(1_000)
  expect([...tokens].every((one) => /^[a-z0-9]{12}$/.test(one))).toBe(true)
  expect(new Set([...tokens].join('')).size).toBe(36)
})

test('a line of JSON survives whatever it is given, and its level cannot be forged by a field', () => {
  const lines: string[] = []
  const logger = jsonLogger({ write: (line) => lines.push(line), now: () => 0 })
  const cycle: Record<string, unknown> = { big: 12n, error: new Error('in it') }
  cycle['self'] = cycle
  logger.debug('not shown')
  logger.error('broke\nhere', { cycle, level: 'info', cause: new Error('outer', { cause: new Error('inner') }) })
  expect(lines).toHaveLength(1)
  expect(lines[0]?.trimEnd()).not.toContain('\n')
  expect(JSON.parse(lines[0] ?? '')).toMatchObject({
    time: '1970-01-01T00:00:00.000Z',
    level: 'error',
    message: 'broke\nhere',
    cycle: { big: '12', self: '[circular]' },
    cause: { message: 'outer', cause: { message: 'inner' } },
  })
})

test('a line of text shows level, message and fields', () => {
  const lines: string[] = []
  const logger = textLogger({ write: (line) => lines.push(line), now: () => 0, level: 'debug' })
  logger.debug('checkpoint completed', { checkpoint: 7, sink: 'totals', note: 'two words' })
  expect(lines).toEqual(['00:00:00.000 DEBUG checkpoint completed  checkpoint=7  sink=totals  note="two words"\n'])
})

test('an exit code says whether starting again can help', () => {
  expect(exitCodeOf(new TaskFailure('x'))).toBe(1)
  expect(exitCodeOf(new InvariantViolation('x'))).toBe(1)
  expect(exitCodeOf(new InDoubtError('x'))).toBe(1)
  expect(exitCodeOf('thrown text')).toBe(1)
  expect(exitCodeOf(new TerminalError('x'))).toBe(2)
  expect(exitCodeOf(new CorruptCheckpointError('x'))).toBe(2)
  expect(exitCodeOf(new TaskFailure('x', { cause: new TerminalError('y') }))).toBe(2)
  expect(exitCodeOf(new FencedError('x'))).toBe(3)
  expect(exitCodeOf(new TaskFailure('x', { cause: new FencedError('y') }))).toBe(3)
})
