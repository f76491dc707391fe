/**
 * Barrier alignment over the inputs of a task: which of them are blocked, and when a checkpoint can be cut. Pure: no channel, no clock.
 *
 *   barrier N at one input ─▶ it is blocked ─▶ … ─▶ at all that have not ended ─▶ aligned ─▶ (the cut) ─▶ none is blocked
 *                                                └─▶ a newer barrier, or N given up ─▶ canceled: none of N is blocked
 *
 * - T2: an input that delivered barrier N is not read before N is cut.
 * - A barrier of a checkpoint that was aligned or canceled before is passed over; numbers only grow (C5).
 */
import { assert } from '../api/index.ts'
import type { Barrier } from './channel.ts'

export class Alignment {
  readonly #delivered: Set<number> = new Set()
  readonly #ended: Set<number> = new Set()
  readonly #inputs: number
  #barrier: Barrier | undefined
  /** Aligned or canceled. */
  #resolved = 0

  constructor(inputs: number) {
    assert(inputs > 0, () => 'an alignment needs an input')
    this.#inputs = inputs
  }

  /** All have: nothing but barriers comes any more. */
  get hasEnded(): boolean {
    return this.#ended.size === this.#inputs
  }

  isBlocked(input: number): boolean {
    return this.#delivered.has(input)
  }

  /** Some input waits for others. */
  get isAligning(): boolean {
    return this.#barrier !== undefined
  }

  /** The barrier to cut now: all inputs have delivered it, or ended. Until it is released. */
  get ready(): Barrier | undefined {
    if (this.#barrier === undefined) return undefined
    for (let input = 0; input < this.#inputs; input += 1) {
      if (!this.#delivered.has(input) && !this.#ended.has(input)) return undefined
    }
    return this.#barrier
  }

  deliver(input: number, barrier: Barrier): void {
    assert(!this.#delivered.has(input), () => `input ${input} was read while it was blocked (T2)`)
    if (barrier.checkpoint <= this.#resolved) return
    const current = this.#barrier
    if (current !== undefined && barrier.checkpoint < current.checkpoint) return
    if (current === undefined || barrier.checkpoint > current.checkpoint) this.#begin(barrier)
    this.#delivered.add(input)
  }

  /** It counts as aligned from now on. */
  end(input: number): void {
    this.#ended.add(input)
  }

  /** The coordinator has given up `checkpoint`, or it was cut: nothing waits for it any more. */
  release(checkpoint: number): void {
    this.#resolved = Math.max(this.#resolved, checkpoint)
    if (this.#barrier === undefined || this.#barrier.checkpoint > checkpoint) return
    this.#barrier = undefined
    this.#delivered.clear()
  }

  #begin(barrier: Barrier): void {
    if (this.#barrier !== undefined) this.release(this.#barrier.checkpoint)
    this.#barrier = barrier
  }
}
