/**
 * The inputs of a task: takes one item after another from those that are not blocked, in turns, and says when a checkpoint is aligned.
 *
 * - T2: once a checkpoint is aligned nothing is taken before `release`.
 * - An input that has much to give does not keep others waiting: one batch each (fair).
 */
import { unreachable, type Clock } from '../api/index.ts'
import { Alignment } from './alignment.ts'
import type { Barrier, ChannelQueue, RecordBatch } from './channel.ts'

export interface TaskInput {
  /** Index of the exchange that it is a channel of. */
  readonly exchange: number
  readonly queue: ChannelQueue
}

export type Arrived =
  | { readonly kind: 'records'; readonly exchange: number; readonly batch: RecordBatch }
  /** To be cut before anything else is taken. */
  | { readonly kind: 'aligned'; readonly barrier: Barrier }
  /** All inputs; said once. */
  | { readonly kind: 'ended' }

export class TaskInputs {
  readonly #inputs: readonly TaskInput[]
  readonly #alignment: Alignment
  readonly #clock: Clock
  #turn = 0
  #ended = 0
  #isEndSaid = false
  #alignsSinceMs: number | undefined

  constructor(inputs: readonly TaskInput[], clock: Clock) {
    this.#inputs = inputs
    this.#alignment = new Alignment(inputs.length)
    this.#clock = clock
  }

  /** Undefined: nothing can be taken now. */
  next(): Arrived | undefined {
    if (this.#alignment.ready !== undefined) return this.#decided()
    for (let empty = 0; empty < this.#inputs.length;) {
      const taken = this.#take(this.#turn)
      this.#turn = (this.#turn + 1) % this.#inputs.length
      if (typeof taken === 'object') return taken
      const decided = this.#decided()
      if (decided !== undefined) return decided
      empty = taken === 'nothing' ? empty + 1 : 0
    }
    return undefined
  }

  /** `checkpoint` was cut, or given up. How long its alignment took. */
  release(checkpoint: number): number {
    this.#alignment.release(checkpoint)
    const sinceMs = this.#alignsSinceMs
    if (!this.#alignment.isAligning) this.#alignsSinceMs = undefined
    return sinceMs === undefined ? 0 : this.#clock.monotonicMs() - sinceMs
  }

  /** The end comes before a barrier that is aligned: closing output belongs to that checkpoint. */
  #decided(): Arrived | undefined {
    if (this.#ended === this.#inputs.length && !this.#isEndSaid) {
      this.#isEndSaid = true
      return { kind: 'ended' }
    }
    const barrier = this.#alignment.ready
    return barrier === undefined ? undefined : { kind: 'aligned', barrier }
  }

  #take(index: number): Extract<Arrived, { kind: 'records' }> | 'control' | 'nothing' {
    const input = this.#inputs[index]
    if (input === undefined || this.#alignment.isBlocked(index)) return 'nothing'
    const item = input.queue.take()
    if (item === undefined) return 'nothing'
    switch (item.kind) {
      case 'records':
        return { kind: 'records', exchange: input.exchange, batch: item }
      case 'barrier':
        this.#alignment.deliver(index, item)
        if (this.#alignment.isAligning) this.#alignsSinceMs ??= this.#clock.monotonicMs()
        return 'control'
      case 'ended':
        this.#ended += 1
        this.#alignment.end(index)
        return 'control'
      default:
        return unreachable(item)
    }
  }
}
