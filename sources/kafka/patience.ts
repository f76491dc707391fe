/** Waiting for brokers: what fails for a moment is tried again with growing pauses. */
import { setTimeout as sleep } from 'node:timers/promises'
import { RetryableError } from '../../engine/api/index.ts'

const FIRST_PAUSE_MS = 20
const LONGEST_PAUSE_MS = 1_000

/** @param failures so far, in a row */
export function pauseMs(failures: number): number {
  return Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** Math.max(0, failures - 1))
}

/** False: the signal aborted meanwhile. */
export async function pause(ms: number, signal: AbortSignal): Promise<boolean> {
  await sleep(ms, undefined, { signal }).catch(() => undefined)
  return !signal.aborted
}

export interface Patience {
  readonly deadlineMs: number
  readonly signal: AbortSignal
}

/** Again after each RetryableError. @throws the last one at the deadline, every other one at once */
export async function persistently<T>(run: () => Promise<T>, { deadlineMs, signal }: Patience): Promise<T> {
  const deadline = performance.now() + deadlineMs
  for (let failures = 1; ; failures += 1) {
    try {
      return await run()
    } catch (error) {
      const waitMs = pauseMs(failures)
      if (!(error instanceof RetryableError) || performance.now() + waitMs > deadline) throw error
      if (!(await pause(waitMs, signal))) throw error
    }
  }
}

/** Many may wait for one thing to happen; it happens again and again. */
export class Wakeup {
  #next = Promise.withResolvers<void>()

  /** Taken before looking whether there is anything to wait for. */
  get next(): Promise<void> {
    return this.#next.promise
  }

  wake(): void {
    const { resolve } = this.#next
    this.#next = Promise.withResolvers<void>()
    resolve()
  }
}
