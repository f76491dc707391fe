import { expect, test } from 'vitest'
import { goesBack, repetitionOf, repetitionText, type Point } from '../../engine/checkpoint/repetition.ts'
import { sampleManifest, sampleOperator } from './samples.ts'

const AT = Date.UTC(2026, 0, 2, 3, 4, 5)

function point(checkpoint: number, positions: Readonly<Record<string, number>>): Point {
  const splits = Object.entries(positions).map(([id, position]) => ({ split: { id }, position, ended: false }))
  return {
    checkpoint,
    at: AT + checkpoint,
    manifest: sampleManifest(checkpoint, { operators: [sampleOperator('in', { splits })] }),
  }
}

test('what is read again is said by split: from where to where, since when; what has not moved is left out', () => {
  const repetition = repetitionOf(point(3, { a: 10, b: 5 }), point(7, { a: 25, b: 5, c: 4 }), [
    { sink: 'out', guarantee: 'exactly-once' },
    { sink: 'cache', guarantee: 'idempotent' },
    { sink: 'hook', guarantee: 'at-least-once' },
  ])
  expect(repetition.splits).toEqual([
    { operator: 'in', split: 'a', from: 10, to: 25 },
    { operator: 'in', split: 'c', from: null, to: 4 },
  ])
  expect(repetitionText(repetition)).toBe(
    'what was read since checkpoint 3 of 2026-01-02T03:04:05.003Z, until ' +
      '2026-01-02T03:04:05.007Z at least, is read again (in a from 10 to 25, in c from its beginning to 4); ' +
      'what sink "out" (exactly-once) made visible since then is written a second time; ' +
      'sink "cache" (idempotent) is brought back to older values first, then to the newest again; ' +
      'what sink "hook" (at-least-once) made visible since then is written a second time',
  )
})

test('from the beginning, all is read again; of many splits some are named', () => {
  const positions = Object.fromEntries(Array.from({ length: 20 }, (_, index) => [`p${index}`, index + 1]))
  const text = repetitionText(repetitionOf(null, point(2, positions), []))
  expect(text).toContain('what was read from the beginning, until')
  expect(text).toContain('in p7 from its beginning to 8, and 12 more splits')
  expect(text).not.toContain('p8')
})

test('positions that cannot be read are said to be so: a damaged checkpoint may be why somebody goes back', () => {
  const damaged = { ...point(7, {}), manifest: null }
  const repetition = repetitionOf(point(3, { a: 1 }), damaged, [])
  expect(repetition.splits).toBe(null)
  expect(repetitionText(repetition)).toContain('(positions cannot be read)')
})

test.each([
  ['latest', 7, false, false],
  [7, 7, false, false],
  [6, 7, false, true],
  ['none', 7, false, true],
  ['none', undefined, false, false],
  ['savepoint', 7, false, true],
  ['savepoint', 7, true, false],
  ['savepoint', undefined, false, false],
] as const)(
  '--restore %s of a job at %s (the savepoint is its newest: %s) goes back: %s',
  (restore, newest, isNewest, back) => {
    expect(goesBack(restore, newest, isNewest)).toBe(back)
  },
)
