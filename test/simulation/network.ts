/**
 * What lies between processes: messages that take their time, in order within one connection and in any order between them; channels of
 * records with credit.
 *
 * - C8: records are sent with credit only, and no more wait at a reader than its capacity and one batch.
 */
import { ChannelQueue, type ChannelItem, type ChannelWriter } from '../../engine/task/channel.ts'
import type { SimulatedProcess } from './process.ts'
import type { Truth } from './truth.ts'

/** One direction of a connection. */
export class Link {
  readonly #to: SimulatedProcess
  #lastMs = 0

  constructor(to: SimulatedProcess) {
    this.#to = to
  }

  /** Behind all that was sent before. A reader that is paused takes it when it is woken. */
  send(delayMs: number, act: () => void): void {
    this.#lastMs = this.#to.time.after(delayMs, this.#timer(act), this.#lastMs)
  }

  /** Some time later, in no order: what a host that had no answer says again. */
  repeat(delayMs: number, act: () => void): void {
    this.#to.time.after(delayMs, this.#timer(act), this.#lastMs)
  }

  #timer(act: () => void): Parameters<SimulatedProcess['time']['after']>[1] {
    return { state: () => this.#to.timerState, fire: act }
  }
}

export interface ChannelEnds {
  readonly from: SimulatedProcess
  readonly to: SimulatedProcess
  readonly capacity: number
  readonly truth: Truth
}

/** A channel between two processes. */
export class SimulatedChannel implements ChannelWriter {
  readonly queue: ChannelQueue
  readonly #ends: ChannelEnds
  readonly #there: Link
  readonly #back: Link
  /** Sent, and not taken as far as the writer knows. */
  #unanswered = 0
  #credit: PromiseWithResolvers<void> | undefined

  constructor(ends: ChannelEnds) {
    this.#ends = ends
    this.#there = new Link(ends.to)
    this.#back = new Link(ends.from)
    this.queue = new ChannelQueue(ends.capacity, (records) => this.#taken(records))
  }

  get hasCredit(): boolean {
    return this.#unanswered < this.#ends.capacity
  }

  whenCredit(): Promise<void> {
    if (this.hasCredit) return Promise.resolve()
    this.#credit ??= Promise.withResolvers()
    return this.#credit.promise
  }

  send(item: ChannelItem): void {
    const { from, truth, capacity } = this.#ends
    if (from.state === 'dead') return
    if (item.kind === 'records') {
      truth.expect(this.hasCredit, () => `${this.#unanswered} records are sent beyond a credit of ${capacity} (C8)`)
      this.#unanswered += item.values.length
    }
    const sent = structuredClone(item)
    this.#there.send(this.#delayMs(), () => {
      const { records } = this.queue
      truth.expect(
        item.kind !== 'records' || records < capacity,
        () => `${records} records wait for a reader, ${capacity} may (C8)`,
      )
      this.queue.send(sent)
    })
  }

  #taken(records: number): void {
    this.#back.send(this.#delayMs(), () => {
      this.#unanswered -= records
      if (!this.hasCredit) return
      this.#credit?.resolve()
      this.#credit = undefined
    })
  }

  #delayMs(): number {
    const { from } = this.#ends
    return from.chance() * from.rates.dataMs
  }
}
