/** Barrier alignment by itself: who waits for whom, and what makes an end of that. */
import { expect, test } from 'vitest'
import { Alignment } from '../../engine/task/alignment.ts'

const barrier = (checkpoint: number) => ({ checkpoint, base: null })

test('an input that delivered the barrier is blocked until all others have, or ended (T2)', () => {
  const alignment = new Alignment(3)
  alignment.deliver(0, barrier(1))
  expect([0, 1, 2].map((input) => alignment.isBlocked(input))).toEqual([true, false, false])
  alignment.end(1)
  expect(alignment.ready).toBeUndefined()
  alignment.deliver(2, barrier(1))
  expect(alignment.ready).toEqual(barrier(1))
  alignment.release(1)
  expect([0, 1, 2].map((input) => alignment.isBlocked(input))).toEqual([false, false, false])
})

test('a newer barrier cancels the alignment of an older one, whose barriers are passed over from then on (F12, C5)', () => {
  const alignment = new Alignment(2)
  alignment.deliver(0, barrier(1))
  alignment.deliver(1, barrier(2))
  expect([alignment.ready, alignment.isBlocked(0), alignment.isBlocked(1)]).toEqual([undefined, false, true])
  alignment.deliver(0, barrier(2))
  expect(alignment.ready).toEqual(barrier(2))
  alignment.release(2)
  alignment.deliver(1, barrier(1))
  expect([alignment.isAligning, alignment.isBlocked(1)]).toEqual([false, false])
})

test('a checkpoint that is given up blocks nobody, before and after its barriers have come (F12)', () => {
  const alignment = new Alignment(2)
  alignment.deliver(0, barrier(1))
  alignment.release(1)
  expect(alignment.isBlocked(0)).toBe(false)
  alignment.release(2)
  alignment.deliver(0, barrier(2))
  expect(alignment.isAligning).toBe(false)
})
