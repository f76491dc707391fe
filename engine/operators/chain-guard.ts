/**
 * What all operators of a chain share: the first failure, and whether a sink edge wants to be flushed.
 *
 * The first failure is kept although it is thrown as well: a user's function may catch what `emit` throws, and a record would be
 * missing downstream without anybody noticing (T2). The task looks here before it hands anything to a writer.
 */
import { codeOf, CorruptCheckpointError, messageOf, TaskFailure, TerminalError } from '../api/index.ts'

export class ChainGuard {
  /** An edge holds as many records as a writer should get at once. */
  isFull = false
  #failure: Error | undefined
  readonly #onMisuse: (failure: Error) => void

  /** `onMisuse` hears of failures that happen when no record is being pushed. */
  constructor(onMisuse: (failure: Error) => void) {
    this.#onMisuse = onMisuse
  }

  get failure(): Error | undefined {
    return this.#failure
  }

  /** A user's function threw. The innermost operator is the one to blame: it comes here first (F21). */
  failed(operator: string, error: unknown): Error {
    this.#failure ??= failureOf(operator, error)
    return this.#failure
  }

  /** A user's function gave records at a time when nobody may be there to catch what is thrown. */
  emittedLate(operator: string): void {
    const what = 'it emitted after its function had returned; emit before returning'
    const failure = this.failed(operator, new TerminalError(what, { code: 'SLUICE_EMIT_TOO_LATE' }))
    this.#onMisuse(failure)
  }

  /** A function that must be synchronous gave a promise; what becomes of the promise does not matter any more. */
  refusePromise(operator: string, returned: unknown): void {
    if (!(returned instanceof Promise)) return
    returned.catch(() => undefined)
    throw this.failed(
      operator,
      new TerminalError(
        'its function returned a promise; it must be synchronous, as records are pushed one after another',
        { code: 'SLUICE_FUNCTION_ASYNC' },
      ),
    )
  }
}

function failureOf(operator: string, error: unknown): Error {
  const message = `operator "${operator}" failed: ${messageOf(error)}`
  if (error instanceof TerminalError) return new TerminalError(message, { cause: error })
  // State that was restored is decoded when its key is met; another attempt reads the same bytes.
  if (error instanceof CorruptCheckpointError) return new CorruptCheckpointError(message, { cause: error })
  return new TaskFailure(message, { code: codeOf(error) ?? 'SLUICE_FUNCTION_FAILED', cause: error })
}
