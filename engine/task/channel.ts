/**
 * A channel: records, barriers and the end, in order, from one task to another. Bounded by credit: who writes looks for it before records;
 * barriers and the end need none, since there is one of each at a time.
 *
 *   task ─▶ ChannelWriter ─▶ (socket) ─▶ ChannelQueue ─▶ task
 *                 ◀───────── credit ─────────
 *
 * - C8: what its capacity says, and one batch, are in a channel; a barrier that waits behind them is not kept for long.
 * - T2: a barrier has its place among the records. A task writes the barrier of a checkpoint to all of its channels in one synchronous
 *   stretch, so no reader that waits for one of them can keep another one from getting it.
 */

/** Both arrays are the reader's from then on, and others' too (a broadcast): never changed. */
export interface RecordBatch {
  readonly values: readonly unknown[]
  /** Same length. */
  readonly timestamps: readonly number[]
}

/** Numbers a checkpoint, and the newest completed one before it: deltas are everything since. */
export interface Barrier {
  readonly checkpoint: number
  readonly base: number | null
}

export type ChannelItem =
  | ({ readonly kind: 'records' } & RecordBatch)
  | ({ readonly kind: 'barrier' } & Barrier)
  /** No more records, ever; barriers go on. */
  | { readonly kind: 'ended' }

/** Records that the channels to one task hold before their writers have to wait; each has its share. */
const INPUT_RECORDS = 4_096
const LEAST_CHANNEL_RECORDS = 64

/** Records that each of so many channels to one task holds before its writer has to wait; `inputRecords` are those of all of them. */
export function channelCapacity(channels: number, inputRecords: number = INPUT_RECORDS): number {
  return Math.max(Math.min(LEAST_CHANNEL_RECORDS, inputRecords), Math.floor(inputRecords / channels))
}

/** The writing end. */
export interface ChannelWriter {
  /** May records be sent? */
  readonly hasCredit: boolean
  /** Resolves when they may be; never rejects, and may never resolve. */
  whenCredit(): Promise<void>
  send(item: ChannelItem): void
}

/** The reading end; by itself also the writing end for a task in the same process. */
export class ChannelQueue implements ChannelWriter {
  /** Called when something has arrived; set by the task that reads. */
  wake: () => void = () => undefined
  readonly #capacity: number
  readonly #taken: (records: number) => void
  #items: ChannelItem[] = []
  #next = 0
  #records = 0
  #credit: PromiseWithResolvers<void> | undefined

  /** `taken`: the reader has taken this many records, there is room for more. */
  constructor(capacity: number, taken: (records: number) => void = () => undefined) {
    this.#capacity = capacity
    this.#taken = taken
  }

  get isEmpty(): boolean {
    return this.#next === this.#items.length
  }

  /** Waiting here. */
  get records(): number {
    return this.#records
  }

  get hasCredit(): boolean {
    return this.#records < this.#capacity
  }

  whenCredit(): Promise<void> {
    if (this.hasCredit) return Promise.resolve()
    this.#credit ??= Promise.withResolvers()
    return this.#credit.promise
  }

  send(item: ChannelItem): void {
    this.#items.push(item)
    if (item.kind === 'records') this.#records += item.values.length
    this.wake()
  }

  take(): ChannelItem | undefined {
    const item = this.#items[this.#next]
    if (item === undefined) return undefined
    this.#next += 1
    if (this.#next === this.#items.length) {
      this.#items = []
      this.#next = 0
    }
    if (item.kind === 'records') this.#took(item.values.length)
    return item
  }

  #took(records: number): void {
    this.#records -= records
    this.#taken(records)
    if (!this.hasCredit) return
    this.#credit?.resolve()
    this.#credit = undefined
  }
}
