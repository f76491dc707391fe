/** Errors between processes: their kind says what happens next, so it is kept. */
import { expect, test } from 'vitest'
import * as api from '../../engine/api/index.ts'
import { errorOf, PeerLost, plainError } from '../../engine/worker/error-codec.ts'

function there(error: unknown): Error {
  return errorOf(JSON.parse(JSON.stringify(plainError(error))) as ReturnType<typeof plainError>)
}

test.each([
  api.CorruptCheckpointError,
  api.FencedError,
  api.InDoubtError,
  api.InvariantViolation,
  api.RetryableError,
  api.TaskFailure,
  api.TerminalError,
])('%o keeps its kind, message, stack and cause', (Kind) => {
  const error = new Kind('what happened', { cause: new api.RetryableError('why', { cause: 'said' }) })
  const arrived = there(error)
  expect(arrived).toBeInstanceOf(Kind)
  expect(arrived).toMatchObject({ name: error.name, message: 'what happened', stack: error.stack })
  expect(arrived.cause).toBeInstanceOf(api.RetryableError)
  expect(arrived.cause).toMatchObject({ message: 'why', cause: { message: 'said' } })
})

test('what is none of our kinds keeps its name', () => {
  const arrived = there(new RangeError('too far'))
  expect(arrived).toMatchObject({ name: 'RangeError', message: 'too far' })
  expect(there('a text').message).toBe('a text')
})

test('a lost connection says which one', () => {
  const arrived = there(new PeerLost(3, 'gone'))
  expect(arrived).toBeInstanceOf(PeerLost)
  expect(arrived).toMatchObject({ peer: 3, message: 'gone' })
})

test('causes that hold each other come to an end', () => {
  const error = new Error('round')
  error.cause = error
  expect(there(error).message).toBe('round')
})
