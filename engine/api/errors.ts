/**
 * Six kinds of error, told apart by what the caller does next. Expected outcomes are values, not errors. A message says what
 * happened, with ids and values, and what to do; `cause` keeps the original.
 */

export interface SluiceErrorOptions {
  readonly cause?: unknown
  /**
   * `SLUICE_…`: under this name docs/errors.md says what it means and what to do; authors of sinks and sources may use names of their own.
   * Left out: that of the cause.
   */
  readonly code?: string
}

/** What all of ours have in common. */
export class SluiceError extends Error {
  /** Undefined: it has none. */
  readonly code: string | undefined

  constructor(message: string, options: SluiceErrorOptions = {}) {
    super(message, 'cause' in options ? { cause: options.cause } : undefined)
    this.code = options.code ?? codeOf(options.cause)
  }
}

/** The same call may succeed later: call again, with backoff. */
export class RetryableError extends SluiceError {
  override readonly name = 'RetryableError'
}

/** The attempt is lost, the job is not: restart from the last completed checkpoint. */
export class TaskFailure extends SluiceError {
  override readonly name = 'TaskFailure'
}

/** A newer generation of the job lives: stop, delete nothing, commit nothing new. Exit code 3. */
export class FencedError extends SluiceError {
  override readonly name = 'FencedError'
}

/** Cannot succeed by trying again: configuration, user code, lost data. The job is FAILED (or refused, before it started). */
export class TerminalError extends SluiceError {
  override readonly name = 'TerminalError'
}

/** A log entry, manifest or blob is not what was written. Nothing older is used instead of it on our own. */
export class CorruptCheckpointError extends SluiceError {
  override readonly name = 'CorruptCheckpointError'
}

/** A bug of ours: the process must not go on. */
export class InvariantViolation extends SluiceError {
  override readonly name = 'InvariantViolation'
}

/** On in production. `message` is only called on failure. */
export function assert(condition: boolean, message: () => string): asserts condition {
  if (!condition) throw new InvariantViolation(message(), { code: 'SLUICE_BUG' })
}

/** Ends every exhaustive switch. */
export function unreachable(value: never): never {
  throw new InvariantViolation(`unexpected value ${JSON.stringify(value)}`, { code: 'SLUICE_BUG' })
}

/** The message of anything thrown, for texts and logs. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

/** The `SLUICE_…` of anything thrown; undefined: it has none, nor has what caused it. */
export function codeOf(error: unknown): string | undefined {
  return error instanceof SluiceError ? error.code : undefined
}
