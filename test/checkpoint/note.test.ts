import { expect, test } from 'vitest'
import { noteWaitMs } from '../../engine/checkpoint/note.ts'

const facts = { committedThrough: 4, durableThrough: 3, sinceCommittedMs: 100, inFlight: false, isLast: false }

test('a committed fact that the log holds is not noted again', () => {
  expect(noteWaitMs({ ...facts, durableThrough: 4, isLast: true })).toBe(Number.POSITIVE_INFINITY)
})

test('a committed fact rides in the next completed entry, but not for ever', () => {
  expect(noteWaitMs(facts)).toBe(400)
  expect(noteWaitMs({ ...facts, sinceCommittedMs: 501 })).toBe(0)
  expect(noteWaitMs({ ...facts, sinceCommittedMs: 501, inFlight: true })).toBe(999)
  expect(noteWaitMs({ ...facts, sinceCommittedMs: 1_500, inFlight: true })).toBe(0)
})

test('after the last checkpoint nothing comes to ride in', () => {
  expect(noteWaitMs({ ...facts, isLast: true })).toBe(0)
})
