/**
 * Six kinds of error, told apart by what the caller does next. Expected outcomes are values, not errors. A message says what
 * happened, with ids and values, and what to do; `cause` keeps the original.
 */

export type ErrorOptions = { readonly cause?: unknown }

/** The same call may succeed later: call again, with backoff. */
export class RetryableError extends Error {
  override readonly name = 'RetryableError'
}

/** The attempt is lost, the job is not: restart from the last completed checkpoint. */
export class TaskFailure extends Error {
  override readonly name = 'TaskFailure'
}

/** A newer generation of the job lives: stop, delete nothing, commit nothing new. Exit code 3. */
export class FencedError extends Error {
  override readonly name = 'FencedError'
}

/** Cannot succeed by trying again: configuration, user code, lost data. The job is FAILED (or refused, before it started). */
export class TerminalError extends Error {
  override readonly name = 'TerminalError'
}

/** A log entry, manifest or blob is not what was written. Nothing older is used instead of it on our own. */
export class CorruptCheckpointError extends Error {
  override readonly name = 'CorruptCheckpointError'
}

/** A bug of ours: the process must not go on. */
export class InvariantViolation extends Error {
  override readonly name = 'InvariantViolation'
}

/** On in production. `message` is only called on failure. */
export function assert(condition: boolean, message: () => string): asserts condition {
  if (!condition) throw new InvariantViolation(message())
}

/** Ends every exhaustive switch. */
export function unreachable(value: never): never {
  throw new InvariantViolation(`unexpected value ${JSON.stringify(value)}`)
}

/** The message of anything thrown, for texts and logs. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
