/**
 * Reads the partitions of one subtask, those that are ready in turns. Records of a partition come in order; how partitions mingle depends on
 * the brokers. Fetching goes on by itself; decoding happens in `poll`, so that a barrier never waits for it elsewhere.
 */
import { RetryableError, type ReaderContext, type SourceReader } from '../../engine/api/index.ts'
import { LookupNeeded } from './decode.ts'
import { Fetching } from './fetching.ts'
import { GroupOffsets } from './group-offsets.ts'
import { Wakeup } from './patience.ts'
import { RecordSlices, type KafkaPolled, type SlicesOptions } from './record-slices.ts'
import type { KafkaSettings } from './settings.ts'
import type { KafkaPosition, KafkaSplit } from './split.ts'

export interface Assigned {
  readonly split: KafkaSplit
  readonly position: KafkaPosition
}

/** A poll that finds nothing is answered by then: new partitions come between two polls. */
const LONGEST_POLL_MS = 100
const LAG_EVERY_MS = 1_000

export class KafkaReader implements SourceReader<unknown, KafkaSplit, KafkaPosition> {
  readonly #settings: KafkaSettings<unknown>
  readonly #context: ReaderContext
  readonly #fetching: Fetching
  readonly #slices: RecordSlices<unknown>
  readonly #offsets: GroupOffsets | undefined
  readonly #changes: Wakeup
  /** Of a record: nothing behind it is given out. */
  #broken: { readonly error: unknown } | undefined
  #lookup: Promise<void> | undefined
  /** Where the next search for records begins. */
  #turn = 0
  #lagDueMs = 0
  #isDisposed = false

  private constructor(parts: ReaderParts) {
    const { settings, context, fetching, slices, changes } = parts
    this.#settings = settings
    this.#context = context
    this.#fetching = fetching
    this.#slices = new RecordSlices(slices)
    this.#changes = changes
    this.#offsets = settings.groupId === undefined ? undefined : new GroupOffsets(fetching.client, settings.groupId)
  }

  static async open(
    settings: KafkaSettings<unknown>,
    slices: SlicesOptions<unknown>,
    context: ReaderContext,
  ): Promise<KafkaReader> {
    const changes = new Wakeup()
    const fetching = await Fetching.open({ settings, context, onChange: () => changes.wake() })
    return new KafkaReader({ settings, context, fetching, slices, changes })
  }

  assign(splits: readonly Assigned[]): Promise<void> {
    return this.addSplits(splits)
  }

  addSplits(splits: readonly Assigned[]): Promise<void> {
    for (const { split, position } of splits) this.#fetching.add(split, position)
    return Promise.resolve()
  }

  poll(signal: AbortSignal): Promise<KafkaPolled<unknown>> | KafkaPolled<unknown> {
    if (signal.aborted) return { kind: 'idle' }
    return this.#next() ?? this.#wait(signal)
  }

  async acknowledge(positions: readonly Assigned[]): Promise<void> {
    await this.#offsets?.commit(positions)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isDisposed = true
    this.#changes.wake()
    await this.#fetching[Symbol.asyncDispose]()
  }

  async #wait(signal: AbortSignal): Promise<KafkaPolled<unknown>> {
    const over = Promise.withResolvers<void>()
    const end = (): void => over.resolve()
    const timer = setTimeout(end, LONGEST_POLL_MS)
    signal.addEventListener('abort', end, { once: true })
    let isOver = false
    void over.promise.then(() => {
      isOver = true
    })
    try {
      for (;;) {
        const change = this.#changes.next
        const polled = this.#isDisposed || signal.aborted ? undefined : this.#next()
        if (polled !== undefined) return polled
        if (isOver || this.#isDisposed || signal.aborted) return { kind: 'idle', retryAfterMs: 1 }
        await Promise.race([change, over.promise])
      }
    } finally {
      clearTimeout(timer)
      signal.removeEventListener('abort', end)
    }
  }

  /** Undefined: nothing is ready. */
  #next(): KafkaPolled<unknown> | undefined {
    if (this.#broken !== undefined) throw this.#broken.error
    if (this.#fetching.failure !== undefined) throw this.#fetching.failure.error
    this.#tellLag()
    if (this.#lookup !== undefined) return undefined
    try {
      return this.#nextSlice() ?? this.#nextEnd()
    } catch (error) {
      if (error instanceof LookupNeeded) return this.#waitFor(error)
      this.#broken = { error }
      throw error
    }
  }

  #nextSlice(): KafkaPolled<unknown> | undefined {
    if (this.#slices.isDone) {
      const { partitions } = this.#fetching
      for (let step = 0; step < partitions.length; step += 1) {
        const index = (this.#turn + step) % partitions.length
        const partition = partitions[index]
        const chunk = partition === undefined ? undefined : this.#fetching.takeChunk(partition)
        if (partition === undefined || chunk === undefined) continue
        this.#turn = index + 1
        this.#slices.open(partition, chunk)
        break
      }
    }
    return this.#slices.next()
  }

  #nextEnd(): KafkaPolled<unknown> | undefined {
    if (!this.#settings.bounded) return undefined
    const { partitions } = this.#fetching
    const ended = partitions.find((partition) => partition.isRead && !partition.hasEnded)
    if (ended === undefined) return partitions.every(({ hasEnded }) => hasEnded) ? { kind: 'ended' } : undefined
    ended.hasEnded = true
    return { kind: 'split-ended', split: ended.split }
  }

  #waitFor({ done }: LookupNeeded): undefined {
    this.#lookup = done
      .catch((error: unknown) => {
        this.#broken = {
          error:
            error instanceof Error
              ? error
              : new RetryableError(`a schema could not be looked up: ${String(error)}`, {
                  cause: error,
                  code: 'SLUICE_KAFKA_SCHEMA_LOOKUP',
                }),
        }
      })
      .finally(() => {
        this.#lookup = undefined
        this.#changes.wake()
      })
    return undefined
  }

  #tellLag(): void {
    const { clock, metrics } = this.#context
    const nowMs = clock.monotonicMs()
    if (nowMs < this.#lagDueMs) return
    this.#lagDueMs = nowMs + LAG_EVERY_MS
    metrics.gauge(
      'lag',
      this.#fetching.partitions.reduce((sum, { lag }) => sum + lag, 0),
    )
  }
}

interface ReaderParts {
  readonly settings: KafkaSettings<unknown>
  readonly context: ReaderContext
  readonly fetching: Fetching
  readonly slices: SlicesOptions<unknown>
  readonly changes: Wakeup
}
