/**
 * A sign of life in the log: a holder silent for too long appends `alive`, so that a sink that is down, a long restore or a long pause
 * before a restart does not look like death to those who can only watch the log.
 */
import { assert, type Runtime } from '../api/index.ts'
import type { Entries } from './entries.ts'
import type { JobLog } from './job-log.ts'

const ALIVE_MS = 1_500
const LEAST_PAUSE_MS = 50

export class Pulse implements AsyncDisposable {
  readonly #log: JobLog
  readonly #entries: Entries
  readonly #runtime: Runtime
  readonly #stop = new AbortController()
  #beating: Promise<void> | undefined
  #onFailure: (error: unknown) => void = () => undefined
  #failure: { readonly error: unknown } | undefined

  constructor(log: JobLog, entries: Entries, runtime: Runtime) {
    this.#log = log
    this.#entries = entries
    this.#runtime = runtime
  }

  /** Once an entry of ours is in the log; idempotent. */
  start(): void {
    this.#beating ??= this.#beat()
  }

  /** Appends at once. */
  async now(): Promise<void> {
    if (this.#beating === undefined) return
    await this.#log.append((seq, newest) => {
      assert(newest !== undefined, () => 'a pulse without an entry of ours')
      return this.#entries.extend(seq, newest, { kind: 'alive' })
    })
  }

  /** Hears that nothing can be appended any more: fenced, or in doubt. Replaces the listener before. */
  listen(onFailure: (error: unknown) => void): void {
    this.#onFailure = onFailure
    if (this.#failure !== undefined) onFailure(this.#failure.error)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort(new Error('the run is over'))
    await this.#beating
  }

  async #beat(): Promise<void> {
    const { signal } = this.#stop
    try {
      while (!signal.aborted) {
        const pauseMs = Math.max(LEAST_PAUSE_MS, ALIVE_MS - this.#log.silentMs())
        await this.#runtime.timers.sleep(pauseMs, signal).catch(() => undefined)
        if (!signal.aborted && this.#log.silentMs() >= ALIVE_MS) await this.now()
      }
    } catch (error) {
      this.#failure = { error }
      this.#onFailure(error)
    }
  }
}
