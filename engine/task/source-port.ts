/**
 * The source within a task: its splits, and for each the position behind the last batch that was pushed through.
 *
 * - F35: the reader is never asked where it is. Between its return and the push of its batch a barrier may fall, and records would be
 *   lost.
 * - F32: a new split is in the positions before the reader hears of it, so no cut holds a record of it without its position. A crash before a
 *   checkpoint holds it discovers it again.
 */
import {
  assert,
  messageOf,
  RetryableError,
  TaskFailure,
  type Batch,
  type Logger,
  type Polled,
  type SourceReader,
  type SplitLike,
} from '../api/index.ts'
import type { OperatorSnapshot } from '../checkpoint/manifest.ts'
import type { SourceNode } from '../graph/job-graph.ts'
import type { Counter } from './figures.ts'
import { failureAt } from './failure.ts'

export interface SplitState {
  readonly split: SplitLike
  /** Ours alone: never changed in place, by nobody. */
  position: unknown
  ended: boolean
}

export type AnyPolled = Polled<unknown, SplitLike, unknown>

export interface SourcePortOptions {
  readonly splits: ReadonlyMap<string, SplitState>
  readonly logger: Logger
  /** How many records the checkpoint says were taken before, as far as they are this subtask's to count. */
  readonly records: number
  /** Of this run. */
  readonly counters: { readonly read: Counter; readonly skipped: Counter }
}

type Arrived = { readonly polled: AnyPolled } | { readonly error: Error }

export class SourcePort {
  readonly node: SourceNode
  readonly #splits: Map<string, SplitState>
  /** They appeared, and are taken before the next poll. */
  #added: readonly SplitState[] = []
  readonly #reader: SourceReader<unknown, SplitLike, unknown>
  readonly #logger: Logger
  readonly #counters: SourcePortOptions['counters']
  /** In the life of the job; of the batches that `passed`. */
  #records: number
  #pending: Promise<void> | undefined
  #arrived: Arrived | undefined
  #acknowledging: Promise<void> | undefined
  #toAcknowledge: OperatorSnapshot['splits']

  constructor(node: SourceNode, reader: SourceReader<unknown, SplitLike, unknown>, options: SourcePortOptions) {
    this.node = node
    this.#reader = reader
    this.#splits = new Map(options.splits)
    this.#logger = options.logger
    this.#counters = options.counters
    this.#records = options.records
  }

  /** Taken between two polls. */
  add(splits: readonly SplitState[]): void {
    this.#added = [...this.#added, ...splits]
  }

  /** For splits that come to a reader that has said `ended`: the next attempt finds them at its start. */
  contradicts(splits: readonly SplitState[]): TaskFailure {
    return new TaskFailure(
      `source "${this.node.id}" said that no split can come any more, and then there were ${splits.map(({ split }) => split.id).join(', ')}`,
      { code: 'SLUICE_SOURCE_CONTRADICTS' },
    )
  }

  /** A poll is under way, or its answer waits to be taken. */
  get isPolling(): boolean {
    return this.#pending !== undefined || this.#arrived !== undefined
  }

  /** What has arrived, or undefined: `wake` is called when something has. @throws what the reader threw */
  poll(signal: AbortSignal, wake: () => void): AnyPolled | undefined {
    if (this.#pending !== undefined) return undefined
    const arrived = this.#arrived ?? (this.#added.length > 0 ? this.#take(wake) : this.#ask(signal, wake))
    this.#arrived = undefined
    if (arrived === undefined) return undefined
    if ('error' in arrived) throw arrived.error
    this.#check(arrived.polled)
    return arrived.polled
  }

  /** Everything of `polled` was pushed through. */
  passed(polled: AnyPolled): void {
    if (polled.kind === 'records') {
      this.#stateOf(polled.split).position = polled.after
      this.#count(polled.records)
    }
    if (polled.kind === 'split-ended') this.#stateOf(polled.split).ended = true
    if (polled.kind !== 'ended') return
    if (this.#added.length > 0) throw this.contradicts(this.#added)
    for (const state of this.#splits.values()) state.ended = true
  }

  snapshot(): Pick<OperatorSnapshot, 'splits' | 'records'> {
    return { splits: [...this.#splits.values()].map((state) => ({ ...state })), records: this.#records }
  }

  /** One at a time, beside the records; the newest positions win. A failure that is not retryable ends the attempt. */
  acknowledge(splits: OperatorSnapshot['splits'], fail: (error: unknown) => void): void {
    if (this.#reader.acknowledge === undefined) return
    // Splits may have been dealt out otherwise when that checkpoint was made: the manifest holds those of all subtasks.
    this.#toAcknowledge = splits?.filter(({ split }) => this.#splits.has(split.id))
    this.#acknowledging ??= this.#acknowledgeAll().catch(fail)
  }

  async dispose(): Promise<void> {
    this.#toAcknowledge = undefined
    await Promise.all([this.#pending, this.#acknowledging])
    await this.#reader[Symbol.asyncDispose]()
  }

  #count({ values, skipped = 0 }: Batch<unknown>): void {
    this.#records += values.length
    this.#counters.read.value += values.length
    this.#counters.skipped.value += skipped
  }

  /** From here on they are in each snapshot (C4, T2). */
  #take(wake: () => void): undefined {
    const added = this.#added
    this.#added = []
    for (const one of added) {
      assert(!this.#splits.has(one.split.id), () => `split "${one.split.id}" of source "${this.node.id}" came twice`)
      this.#splits.set(one.split.id, { ...one })
    }
    this.#pending = this.#addToReader(added, wake)
  }

  async #addToReader(added: readonly SplitState[], wake: () => void): Promise<void> {
    try {
      await this.#reader.addSplits?.(added.map(({ split, position }) => ({ split, position })))
    } catch (error) {
      this.#arrived = { error: failureAt(`source "${this.node.id}" could not take new splits`, error) }
    }
    this.#pending = undefined
    wake()
  }

  #ask(signal: AbortSignal, wake: () => void): Arrived | undefined {
    try {
      const answer = this.#reader.poll(signal)
      if (!(answer instanceof Promise)) return { polled: owned(answer) }
      this.#pending = this.#await(answer, wake)
      return undefined
    } catch (error) {
      return { error: this.#notPolled(error) }
    }
  }

  #notPolled(error: unknown): Error {
    return failureAt(`source "${this.node.id}" could not be polled`, error)
  }

  async #await(answer: Promise<AnyPolled>, wake: () => void): Promise<void> {
    try {
      this.#arrived = { polled: owned(await answer) }
    } catch (error) {
      this.#arrived = { error: this.#notPolled(error) }
    }
    this.#pending = undefined
    wake()
  }

  #check(polled: AnyPolled): void {
    if (polled.kind === 'records' || polled.kind === 'split-ended') this.#stateOf(polled.split)
    if (polled.kind !== 'records') return
    const { values, timestamps } = polled.records
    if (timestamps === undefined || timestamps.length === values.length) return
    throw new TaskFailure(
      `source "${this.node.id}" returned ${values.length} records of split "${polled.split.id}" with ${timestamps.length} timestamps`,
      { code: 'SLUICE_SOURCE_CONTRADICTS' },
    )
  }

  #stateOf(split: SplitLike): SplitState {
    const state = this.#splits.get(split.id)
    if (state === undefined || state.ended) {
      const why = state === undefined ? 'it was not assigned' : 'it has ended'
      throw new TaskFailure(`source "${this.node.id}" returned something of split "${split.id}", but ${why}`, {
        code: 'SLUICE_SOURCE_CONTRADICTS',
      })
    }
    return state
  }

  async #acknowledgeAll(): Promise<void> {
    for (let splits = this.#toAcknowledge; splits !== undefined; splits = this.#toAcknowledge) {
      this.#toAcknowledge = undefined
      try {
        await this.#reader.acknowledge?.(splits.map(({ split, position }) => ({ split, position })))
      } catch (error) {
        if (!(error instanceof RetryableError)) throw failureAt(`source "${this.node.id}" could not acknowledge`, error)
        // The next retained checkpoint acknowledges this one too.
        this.#logger.warn(`source "${this.node.id}" will acknowledge later: ${messageOf(error)}`)
      }
    }
    this.#acknowledging = undefined
  }
}

/** A reader may go on changing the object it gave as position. */
function owned(polled: AnyPolled): AnyPolled {
  if (polled.kind !== 'records' || typeof polled.after !== 'object') return polled
  return { ...polled, after: copyOf(polled.after) }
}

/** Of a plain JSON value; structuredClone takes thirty times as long. */
function copyOf(json: unknown): unknown {
  if (typeof json !== 'object' || json === null) return json
  if (Array.isArray(json)) return json.map(copyOf)
  return Object.fromEntries(Object.entries(json).map(([name, member]) => [name, copyOf(member)]))
}
