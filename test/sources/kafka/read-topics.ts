/** Topics through the Kafka source, as a task would read them. */
import type { Logger, Source, SourceReader } from '../../../engine/api/index.ts'
import type { KafkaPosition, KafkaSplit } from '../../../sources/kafka/source.ts'
import { contextIn, copyOf, pause } from '../../conformance/source-run.ts'

export type Topics<T> = Source<T, KafkaSplit, KafkaPosition>
export type Held = Map<string, { readonly split: KafkaSplit; readonly position: KafkaPosition }>

/** One reader of all partitions, from what a checkpoint would hold. */
export class TopicReading<T> implements AsyncDisposable {
  readonly values: T[] = []
  readonly timestamps: number[] = []
  readonly sides: Record<string, unknown[]> = {}
  readonly positions: Held
  readonly ended: string[] = []
  readonly gauges = new Map<string, number>()
  readonly counts = new Map<string, number>()
  readonly logged: string[] = []
  skipped = 0
  hasEnded = false
  readonly #source: Topics<T>
  readonly #reader: SourceReader<T, KafkaSplit, KafkaPosition>

  private constructor(source: Topics<T>, held: Held, reading: Opening<T>) {
    this.#source = source
    this.positions = held
    this.#reader = reading.reader
    this.logged = reading.logged
    this.gauges = reading.gauges
    this.counts = reading.counts
  }

  /** @param held what a checkpoint holds; left out: the job is new */
  static async open<T>(source: Topics<T>, held?: Held): Promise<TopicReading<T>> {
    const logged: string[] = []
    const log = (message: string): void => void logged.push(message)
    const logger: Logger = { debug: log, info: log, warn: log, error: log }
    const gauges = new Map<string, number>()
    const counts = new Map<string, number>()
    const metrics = {
      count: (name: string, delta: number) => void counts.set(name, (counts.get(name) ?? 0) + delta),
      gauge: (name: string, value: number) => void gauges.set(name, value),
    }
    const context = { ...contextIn(process.cwd()), logger, metrics, isFirst: held === undefined }
    await source.validate(context)
    const known = [...(held?.values() ?? [])].map(({ split }) => copyOf(split))
    const splits = await source.discover(context, known)
    const positions: Held = new Map(held)
    for (const { split, start } of splits) {
      if (!positions.has(split.id)) positions.set(split.id, { split: copyOf(split), position: copyOf(start) })
    }
    const reader = await source.createReader(context)
    await reader.assign([...positions.values()].map(copyOf))
    return new TopicReading(source, positions, { reader, logged, gauges, counts })
  }

  /** Polls until it is enough, or the source has ended. @throws what a poll throws, or at the deadline */
  async until(isEnough: () => boolean = () => false, deadlineMs = 30_000): Promise<this> {
    const deadline = performance.now() + deadlineMs
    while (!isEnough() && !this.hasEnded) {
      if (performance.now() > deadline) {
        throw new Error(`after ${deadlineMs} ms: ${this.values.length} values, ${this.logged.join('; ')}`)
      }
      const polled = await this.#reader.poll(new AbortController().signal)
      if (polled.kind === 'ended') this.hasEnded = true
      if (polled.kind === 'idle') await pause(polled.retryAfterMs)
      if (polled.kind === 'split-ended') this.ended.push(polled.split.id)
      if (polled.kind !== 'records') continue
      const { values, timestamps = [], skipped = 0, sides = {} } = polled.records
      this.values.push(...values)
      this.timestamps.push(...timestamps)
      this.skipped += skipped
      for (const [name, records] of Object.entries(sides)) {
        this.sides[name] = [...(this.sides[name] ?? []), ...records]
      }
      this.positions.set(polled.split.id, { split: polled.split, position: copyOf(polled.after) })
    }
    return this
  }

  /** Looks for new partitions, and reads them beside the others. */
  async discover(): Promise<readonly string[]> {
    const known = [...this.positions.values()].map(({ split }) => split)
    const found = await this.#source.discover({ ...contextIn(process.cwd()), isFirst: false }, known)
    const fresh = found.filter(({ split }) => !this.positions.has(split.id))
    for (const { split, start } of fresh) this.positions.set(split.id, { split, position: start })
    await this.#reader.addSplits?.(fresh.map(({ split, start }) => ({ split, position: start })))
    return fresh.map(({ split }) => split.id)
  }

  async acknowledge(): Promise<void> {
    await this.#reader.acknowledge?.([...this.positions.values()])
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#reader[Symbol.asyncDispose]()
  }
}

interface Opening<T> {
  readonly reader: SourceReader<T, KafkaSplit, KafkaPosition>
  readonly logged: string[]
  readonly gauges: Map<string, number>
  readonly counts: Map<string, number>
}

/** All of a bounded source. */
export async function readAll<T>(source: Topics<T>, held?: Held): Promise<TopicReading<T>> {
  await using reading = await TopicReading.open(source, held)
  return await reading.until()
}
