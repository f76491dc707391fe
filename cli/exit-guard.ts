/**
 * Code of the job can end the process: by `process.exit`, or by an error that nobody catches. Either must not look like a job that has
 * ended, and is told like every other end of a run. It is a crash, and as safe as one.
 */
import { codeOf, messageOf, TaskFailure } from '../engine/api/index.ts'
import type { Reporter } from './reporter.ts'

export class ExitGuard implements Disposable {
  readonly #reporter: Reporter
  #isExpected = false

  constructor(reporter: Reporter) {
    this.#reporter = reporter
    process.on('exit', this.#onExit).on('uncaughtException', this.#onUncaught)
  }

  /** We end the process ourselves, and have said why. */
  exit(code: number): never {
    this.#isExpected = true
    process.exit(code)
  }

  [Symbol.dispose](): void {
    process.off('exit', this.#onExit).off('uncaughtException', this.#onUncaught)
  }

  readonly #onExit = (code: number): void => {
    if (this.#isExpected) return
    const ended = `something in the job ended the process with exit code ${code}; the job goes on with the next run`
    this.#reporter.refused(new TaskFailure(ended, { code: 'SLUICE_PROCESS_ENDED' }), 1)
    // Whatever it was, it is none of the codes by which a run tells how it ended.
    process.exitCode = 1
  }

  readonly #onUncaught = (error: unknown): void => {
    const thrown = `nobody caught an error of the job: ${messageOf(error)}; the process ends, the job goes on with the next run`
    this.#reporter.refused(
      new TaskFailure(thrown, { code: codeOf(error) ?? 'SLUICE_ERROR_NOT_CAUGHT', cause: error }),
      1,
    )
    this.exit(1)
  }
}
