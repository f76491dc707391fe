/**
 * The source within a task: splits and the positions behind the last batch that was pushed through (F35: the reader is never asked).
 */
import { NO_TIMESTAMP, type Polled, type SourceReader, type SplitLike, type Timers } from '../api/index.ts'
import type { OperatorSnapshot } from '../checkpoint/manifest.ts'
import type { SourceNode } from '../graph/job-graph.ts'

export interface SplitState {
  readonly split: SplitLike
  position: unknown
  ended: boolean
}

type Reader = SourceReader<unknown, SplitLike, unknown>
export type AnyPolled = Polled<unknown, SplitLike, unknown>

export class SourcePort {
  readonly node: SourceNode
  readonly splits: ReadonlyMap<string, SplitState>
  readonly #reader: Reader
  #pending: Promise<void> | undefined
  #arrived: { readonly polled: AnyPolled } | { readonly error: unknown } | undefined

  constructor(node: SourceNode, reader: Reader, splits: ReadonlyMap<string, SplitState>) {
    this.node = node
    this.#reader = reader
    this.splits = splits
  }

  /** What has arrived, or undefined: `wake` is then called when something has. @throws what the reader threw */
  poll(signal: AbortSignal, wake: () => void): AnyPolled | undefined {
    const arrived = this.#arrived
    if (arrived !== undefined) {
      this.#arrived = undefined
      if ('error' in arrived) throw arrived.error
      return arrived.polled
    }
    if (this.#pending !== undefined) return undefined
    const answer = this.#reader.poll(signal)
    if (!(answer instanceof Promise)) return answer
    this.#pending = answer
      .then(
        (polled) => {
          this.#arrived = { polled }
        },
        (error: unknown) => {
          this.#arrived = { error }
        },
      )
      .then(() => {
        this.#pending = undefined
        wake()
      })
    return undefined
  }

  /** Everything of `polled` was pushed through. */
  passed(polled: AnyPolled): void {
    if (polled.kind !== 'records' && polled.kind !== 'split-ended') return
    const state = this.splits.get(polled.split.id)
    if (state === undefined) throw new Error(`source "${this.node.id}" returned split "${polled.split.id}", which was not assigned`)
    if (polled.kind === 'records') state.position = polled.after
    else state.ended = true
  }

  snapshot(): Pick<OperatorSnapshot, 'splits'> {
    return { splits: [...this.splits.values()].map(({ split, position, ended }) => ({ split, position: structuredClone(position), ended })) }
  }

  async acknowledge(splits: OperatorSnapshot['splits']): Promise<void> {
    await this.#reader.acknowledge?.((splits ?? []).map(({ split, position }) => ({ split, position })))
  }

  async dispose(): Promise<void> {
    await this.#pending
    await this.#reader[Symbol.asyncDispose]()
  }
}

/** How long to wait after `idle`; ends early when `signal` aborts. */
export async function idleFor(timers: Timers, delayMs: number, signal: AbortSignal): Promise<void> {
  await timers.sleep(delayMs, signal).catch(() => undefined)
}

export function timestampOf(timestamps: readonly number[] | Float64Array | undefined, index: number): number {
  return timestamps?.[index] ?? NO_TIMESTAMP
}
