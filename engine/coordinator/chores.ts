/**
 * Work of a generation that nothing waits for: forgetting, deleting, aborting leftovers. Each is safe to leave undone (the next start
 * does it), and whom it asks may be gone: so it runs beside the job, one after another, with a limit on everything (C8).
 */
import { messageOf, type Runtime } from '../api/index.ts'
import { within } from './deadline.ts'

/** Repeatable. Throws when it is not done. */
export type Chore = () => Promise<void>

/** Half a minute in all: at the end of the input there is no next start that would do it. */
const TRIES = 10
const FIRST_PAUSE_MS = 50
const LONGEST_PAUSE_MS = 5_000
const LIMIT_MS = 20_000
/** Waiting ones; more are left undone. */
const MOST_WAITING = 1_000

export class Chores {
  readonly #runtime: Runtime
  readonly #signal: AbortSignal
  readonly #waiting: { readonly name: string; readonly chore: Chore }[] = []
  #working: Promise<void> | undefined

  /** `signal` ends it: what is waiting then stays undone. */
  constructor(runtime: Runtime, signal: AbortSignal) {
    this.#runtime = runtime
    this.#signal = signal
  }

  /** `name` is for people: what stays undone. */
  add(name: string, chore: Chore): void {
    if (this.#waiting.length >= MOST_WAITING) return this.#giveUp(name, 'too much is waiting before it')
    this.#waiting.push({ name, chore })
    this.#working ??= this.#work()
  }

  /** Resolves when all that was added is done or given up. */
  async finish(): Promise<void> {
    await this.#working
  }

  async #work(): Promise<void> {
    for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) {
      if (this.#signal.aborted) break
      await this.#tryOften(next.name, next.chore)
    }
    this.#working = undefined
  }

  async #tryOften(name: string, chore: Chore): Promise<void> {
    const { timers } = this.#runtime
    let cause: unknown
    for (let attempt = 1; attempt <= TRIES && !this.#signal.aborted; attempt += 1) {
      try {
        if (attempt > 1)
          await timers.sleep(Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 4 ** (attempt - 2)), this.#signal)
        if ((await within(timers, LIMIT_MS, chore())) !== undefined) return
        cause = `no answer within ${LIMIT_MS} ms`
      } catch (error) {
        cause = error
      }
    }
    this.#giveUp(name, messageOf(cause))
  }

  #giveUp(name: string, error: string): void {
    if (this.#signal.aborted) return
    this.#runtime.logger.warn(`${name}: not done, and left to the next start`, { error })
  }
}
