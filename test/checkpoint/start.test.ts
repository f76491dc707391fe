import { expect, test } from 'vitest'
import { cleanableBelow } from '../../engine/checkpoint/retention.ts'
import { decideAfterStarted, markAfterStart } from '../../engine/checkpoint/start.ts'

const started = { seq: 11, kind: 'started' } as const

test('a start on top of what the preflight saw recovers', () => {
  expect(decideAfterStarted({ started, markExists: false, preflightSeq: 10 })).toEqual({ kind: 'recover' })
})

test('a start on top of something newer asks the preflight again', () => {
  expect(decideAfterStarted({ started, markExists: false, preflightSeq: 9 })).toEqual({ kind: 'recheck' })
})

test('a start that finds the mark is fenced, whatever else is true', () => {
  for (const preflightSeq of [9, 10])
    expect(decideAfterStarted({ started, markExists: true, preflightSeq })).toEqual({ kind: 'fenced' })
})

test('the mark it looks for exists whenever its number may have been cleaned away, and never for the next number of the log', () => {
  for (const distance of [1, 2, 7, 1_000]) {
    for (let newest = 0; newest < distance * 6; newest += Math.max(1, Math.floor(distance / 50))) {
      const newestMark = Math.floor(newest / distance)
      const unnoticed = Array.from({ length: cleanableBelow(newestMark, distance) }, (_, seq) => seq).filter(
        (seq) => markAfterStart(seq, distance) > newestMark,
      )
      expect(unnoticed).toEqual([])
      expect(markAfterStart(newest + 1, distance)).toBeGreaterThan(newestMark)
    }
  }
})
