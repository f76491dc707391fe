/**
 * How the tasks of one thread share its event loop: one task goes on per turn, in the order in which they asked, and whoever holds the loop
 * looks here, not at how long it has been running itself.
 *
 * - T3: between two turns of the loop the tasks together take YIELD_AFTER_MS, and a slice each.
 */
import type { Runtime } from '../api/index.ts'

const YIELD_AFTER_MS = 4

export class Turns {
  readonly #runtime: Runtime
  readonly #waiting: (() => void)[] = []
  #isTurning = false
  #turnedAtMs: number

  constructor(runtime: Runtime) {
    this.#runtime = runtime
    this.#turnedAtMs = runtime.clock.monotonicMs()
  }

  /** The loop was held for so long that it should turn before anything else is pushed. */
  isDue(): boolean {
    return this.#runtime.clock.monotonicMs() - this.#turnedAtMs >= YIELD_AFTER_MS
  }

  /** Resolves when the loop has turned and it is the caller's turn. */
  async next(): Promise<void> {
    const turn = new Promise<void>((resolve) => this.#waiting.push(resolve))
    if (!this.#isTurning) void this.#turn()
    await turn
  }

  async #turn(): Promise<void> {
    this.#isTurning = true
    while (this.#waiting.length > 0) {
      await this.#runtime.timers.yieldToEventLoop()
      this.#turnedAtMs = this.#runtime.clock.monotonicMs()
      this.#waiting.shift()?.()
    }
    this.#isTurning = false
  }
}
