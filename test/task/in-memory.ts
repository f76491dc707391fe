/** A source and a sink in memory that keep to the contract, with gates at the places that tests are about. */
import {
  jsonCodec,
  type DiscoveredSplit,
  type Polled,
  type Sink,
  type SinkBatch,
  type SinkWriter,
  type Source,
} from '../../engine/api/index.ts'

export interface TestSplit {
  readonly id: string
}
export type TestPolled = Polled<unknown, TestSplit, number>

/** Replayable: split `id` gives `splits[id]`, in batches of what `batchSize` says. */
export class MemorySource implements Source<unknown, TestSplit, number> {
  readonly kind = 'memory'
  readonly guarantee = 'exactly-once'
  readonly splits: Map<string, readonly unknown[]>
  batchSize: () => number = () => 10
  /** Polls wait for this before they answer. */
  beforeAnswer: () => Promise<void> | undefined = () => undefined
  starts: ReadonlyMap<string, number> = new Map()
  /** Without an end it is idle when everything was read. */
  endless = false
  polls = 0
  disposed = 0
  assigned: readonly { readonly split: TestSplit; readonly position: number }[] = []
  acknowledged: readonly { readonly split: TestSplit; readonly position: number }[] = []
  /** Where a reader would say it is: behind what the last poll took, pushed or not. */
  readonly readerPositions = new Map<string, number>()

  constructor(splits: Readonly<Record<string, readonly unknown[]>>) {
    this.splits = new Map(Object.entries(splits))
  }

  async validate(): Promise<void> {}

  async discover(): Promise<readonly DiscoveredSplit<TestSplit, number>[]> {
    return [...this.splits.keys()].map((id) => ({ split: { id }, start: this.starts.get(id) ?? 0 }))
  }

  async createReader(): Promise<Awaited<ReturnType<Source<unknown, TestSplit, number>['createReader']>>> {
    const open = new Map<string, number>()
    let turn = 0
    const next = (): TestPolled => {
      const ids = [...open.keys()]
      const id = ids[turn++ % Math.max(1, ids.length)]
      if (id === undefined) return this.endless ? { kind: 'idle', retryAfterMs: 1 } : { kind: 'ended' }
      const records = this.splits.get(id) ?? []
      const at = open.get(id) ?? 0
      if (at >= records.length) {
        if (this.endless) return { kind: 'idle', retryAfterMs: 1 }
        open.delete(id)
        return { kind: 'split-ended', split: { id } }
      }
      const values = records.slice(at, at + this.batchSize())
      open.set(id, at + values.length)
      this.readerPositions.set(id, at + values.length)
      return { kind: 'records', split: { id }, records: { values }, after: at + values.length }
    }
    return {
      assign: async (splits) => {
        this.assigned = splits
        for (const { split, position } of splits) open.set(split.id, position)
      },
      poll: (signal) => {
        this.polls += 1
        const polled = next()
        const wait = this.beforeAnswer()
        return wait === undefined ? polled : unlessAborted(wait, signal).then(() => polled)
      },
      acknowledge: async (positions) => {
        this.acknowledged = positions
      },
      [Symbol.asyncDispose]: async () => {
        this.disposed += 1
      },
    }
  }
}

export interface Prepared {
  readonly name: string
  readonly values: readonly unknown[]
  readonly endOfInput: boolean
}

/** What it prepares holds the values themselves: whoever commits it makes them visible. */
export class MemorySink implements Sink<unknown, Prepared, number> {
  readonly guarantee = 'exactly-once'
  readonly kind = 'memory'
  readonly committableCodec = jsonCodec<Prepared>()
  readonly writerStateCodec = jsonCodec<number>()
  readonly overlapsPrepare: boolean
  /** Called at each write; a promise is backpressure. */
  onWrite: (batch: SinkBatch<unknown>) => void | Promise<void> = () => undefined
  /** Prepares wait for this before they resolve. */
  beforePrepared: () => Promise<void> | undefined = () => undefined
  onSettled: (through: number) => void = () => undefined
  readonly written: unknown[] = []
  restored: readonly number[] = []
  preparing = 0
  disposed = 0

  constructor(overlapsPrepare = true) {
    this.overlapsPrepare = overlapsPrepare
  }

  async validate(): Promise<void> {}

  scope(): Uint8Array {
    return new Uint8Array()
  }

  async createWriter(
    context: { readonly nextName: () => string },
    restored: readonly number[],
  ): Promise<SinkWriter<unknown, Prepared, number>> {
    this.restored = restored
    let epoch: unknown[] = []
    let preparing = 0
    let count = restored.reduce((sum, one) => sum + one, 0)
    return {
      overlapsPrepare: this.overlapsPrepare,
      write: (batch) => {
        if (preparing > 0 && !this.overlapsPrepare) throw new Error('written to while preparing')
        if (batch.values.length !== batch.timestamps.length) throw new Error('a batch of two lengths')
        epoch.push(...batch.values)
        this.written.push(...batch.values)
        count += batch.values.length
        return this.onWrite(batch)
      },
      prepareCommit: async ({ endOfInput }) => {
        const prepared = { name: context.nextName(), values: epoch, endOfInput }
        epoch = []
        this.preparing += 1
        preparing += 1
        await this.beforePrepared()
        this.preparing -= 1
        preparing -= 1
        return prepared.values.length === 0 ? [] : [prepared]
      },
      snapshot: () => [count],
      settled: (through) => this.onSettled(through),
      [Symbol.asyncDispose]: async () => {
        this.disposed += 1
      },
    }
  }

  async createCommitter(): Promise<never> {
    throw new Error('tests of the task commit themselves')
  }
}

/** Opens once; whoever waits goes on. */
export class Gate {
  readonly #opened = Promise.withResolvers<void>()
  readonly opened = this.#opened.promise

  open(): void {
    this.#opened.resolve()
  }
}

function unlessAborted(promise: Promise<void>, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(new Error('aborted'))
    if (signal.aborted) abort()
    signal.addEventListener('abort', abort, { once: true })
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort))
  })
}
