/**
 * The coordinator's inbox: messages of tasks, results of the commit phase and wishes of people, taken one at a time in order of
 * arrival, with a deadline for what must happen by itself.
 */
import type { Timers } from '../api/index.ts'

export class Mailbox<M> {
  readonly #queue: M[] = []
  #wake: (() => void) | undefined

  /** Adds a message; never blocks. */
  post(message: M): void {
    this.#queue.push(message)
    this.#wake?.()
  }

  /** The next message, or undefined when `timeoutMs` passed without one. One taker at a time. */
  async take(timers: Timers, timeoutMs: number): Promise<M | undefined> {
    const ready = this.#queue.shift()
    if (ready !== undefined) return ready
    const alarm = new AbortController()
    const arrived = new Promise<void>((resolve) => {
      this.#wake = resolve
    })
    try {
      const slept = timers.sleep(timeoutMs, alarm.signal).catch(() => undefined)
      await Promise.race([arrived, slept])
    } finally {
      this.#wake = undefined
      alarm.abort()
    }
    return this.#queue.shift()
  }
}
