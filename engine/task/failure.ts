/**
 * What a failing source or sink makes of an attempt. The kind of an error says what happens next, so it is kept; the message gains the
 * operator.
 */
import {
  codeOf,
  CorruptCheckpointError,
  FencedError,
  InvariantViolation,
  messageOf,
  TaskFailure,
  TerminalError,
} from '../api/index.ts'

/** A TaskFailure naming `where` (`sink "totals"`), or an error of the same, graver kind. */
export function failureAt(where: string, error: unknown): Error {
  if (error instanceof InvariantViolation) return error
  const message = `${where}: ${messageOf(error)}`
  if (error instanceof TerminalError) return new TerminalError(message, { cause: error })
  if (error instanceof FencedError) return new FencedError(message, { cause: error })
  if (error instanceof CorruptCheckpointError) return new CorruptCheckpointError(message, { cause: error })
  return new TaskFailure(message, { code: codeOf(error) ?? 'SLUICE_CONNECTOR_FAILED', cause: error })
}

/** Takes failures from outside a call, also before anybody listens; only the first one counts. */
export class FailureSwitch {
  #listener: ((error: unknown) => void) | undefined
  #early: { readonly error: unknown } | undefined

  report(error: unknown): void {
    if (this.#listener === undefined) this.#early ??= { error }
    else this.#listener(error)
  }

  connect(listener: (error: unknown) => void): void {
    this.#listener = listener
    if (this.#early !== undefined) listener(this.#early.error)
  }
}
