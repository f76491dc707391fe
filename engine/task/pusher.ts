/**
 * Pushes batches through the chain of a task in slices, and hands what gathers at its edges to writers and channels.
 *
 * - T3: after a slice the event loop turns, if it was held for long. Tasks of one process share it: each has its turn.
 * - T2: what one slice caused is handed on before the next one; the first failure of the chain ends it.
 */
import { NO_TIMESTAMP, type Batch } from '../api/index.ts'
import type { ChainGuard } from '../operators/chain-guard.ts'
import type { Push } from '../operators/push.ts'
import type { OutputPort } from './output-port.ts'
import type { SinkPort } from './sink-port.ts'
import type { Turns } from './turns.ts'

export interface PusherOptions {
  readonly guard: ChainGuard
  readonly sinks: readonly SinkPort[]
  readonly outputs: readonly OutputPort[]
  readonly turns: Turns
  /** Aborted when the task is halted. */
  readonly signal: AbortSignal
}

/** Between two looks at the clock. */
const SLICE_RECORDS = 128

export class Pusher {
  readonly #options: PusherOptions
  readonly #halted: Promise<void>

  constructor(options: PusherOptions) {
    this.#options = options
    const { signal } = options
    // It may have been while the task was being opened.
    this.#halted = signal.aborted
      ? Promise.resolve()
      : new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
  }

  /** Everything of it is handed to the writers when it resolves, unless the task was halted; a little of it may wait for its channel. */
  async push(records: Batch<unknown>, push: Push): Promise<void> {
    const { turns } = this.#options
    const count = records.values.length
    for (let from = 0; ;) {
      from = this.#pushSome(records, from, push)
      const pending = this.flush(turns.isDue())
      if (pending !== undefined) await pending
      if (turns.isDue()) await turns.next()
      if (this.#options.signal.aborted || from >= count) return
    }
  }

  /** To all writers and channels, side by side; a little may wait for its channel, unless `all`. A promise is backpressure. */
  flush(all: boolean): void | Promise<void> {
    const { guard, sinks, outputs } = this.#options
    guard.isFull = false
    if (guard.failure !== undefined) throw guard.failure
    let pending: Promise<void>[] | undefined
    for (const sink of sinks) {
      const written = sink.flush()
      if (written === undefined) continue
      written.catch(() => undefined)
      pending ??= []
      pending.push(written)
    }
    for (const output of outputs) {
      const sent = output.flush(all)
      if (sent === undefined) continue
      pending ??= []
      // Whoever should make room may be gone.
      pending.push(Promise.race([sent, this.#halted]))
    }
    if (pending === undefined) return undefined
    return pending.length === 1 ? pending[0] : Promise.all(pending).then(() => undefined)
  }

  /** Pushes until the batch is through, an edge is full, or the event loop is due. */
  #pushSome(records: Batch<unknown>, from: number, push: Push): number {
    const { guard, turns } = this.#options
    let next = from
    do next = pushSlice(records, next, push, guard)
    while (next < records.values.length && !guard.isFull && !turns.isDue())
    return next
  }
}

/** Pushes records from `from` on, until a slice is through or an edge is full; where it stopped. */
function pushSlice({ values, timestamps }: Batch<unknown>, from: number, push: Push, guard: ChainGuard): number {
  const until = Math.min(values.length, from + SLICE_RECORDS)
  let index = from
  while (index < until) {
    push(values[index], timestamps?.[index] ?? NO_TIMESTAMP)
    index += 1
    if (guard.isFull) break
  }
  return index
}
