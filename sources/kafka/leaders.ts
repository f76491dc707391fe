/**
 * Who leads the partitions of a reader: looked up when it is unknown, again and again with growing pauses until it is known. Here is also
 * found out that a topic is gone or another one: only once brokers have said so for some seconds, as one may be behind the others.
 */
import type { KafkaClient } from '../../clients/kafka/client.ts'
import { messageOf, RetryableError, type Logger } from '../../engine/api/index.ts'
import type { AssignedPartition } from './assigned-partition.ts'
import { pause, pauseMs } from './patience.ts'
import { whatBecameOf } from './topics.ts'

export interface LeadersOptions {
  readonly client: KafkaClient
  readonly logger: Logger
  readonly signal: AbortSignal
  /** Some have a leader now. */
  readonly onFound: () => void
  readonly fail: (error: unknown) => void
}

/** A restart of the job may help then, and the restart strategy tells people. */
export const PATIENCE_MS = 60_000
/** What a broker that is behind may say is believed when it has lasted. */
export const CERTAIN_AFTER_MS = 3_000

export class Leaders {
  readonly #options: LeadersOptions
  readonly #unknown = new Set<AssignedPartition>()
  readonly #troubled = new Set<AssignedPartition>()
  #looking: Promise<void> | undefined
  #isOver = false

  constructor(options: LeadersOptions) {
    this.#options = options
  }

  find(partition: AssignedPartition): void {
    partition.leader = undefined
    this.#unknown.add(partition)
    this.#startLooking()
  }

  /** It could not be fetched: perhaps another one leads it now. */
  lost(partition: AssignedPartition, why: string): void {
    partition.failures += 1
    try {
      this.#trouble(partition, why)
      this.find(partition)
    } catch (error) {
      this.#options.fail(error)
    }
  }

  /** It was fetched. */
  sound(partition: AssignedPartition): void {
    if (partition.troubledSinceMs === undefined) return
    const { logger } = this.#options
    partition.failures = 0
    partition.troubledSinceMs = undefined
    partition.wrongSinceMs = undefined
    this.#troubled.delete(partition)
    if (this.#troubled.size === 0) logger.info(`${partition.split.id} is read again, and all others are`)
  }

  /** Resolves when nothing is looked for any more. */
  async idle(): Promise<void> {
    await this.#looking
  }

  #startLooking(): void {
    this.#looking ??= this.#look().finally(() => {
      this.#looking = undefined
      // One may have come when nothing was looked for any more.
      if (this.#unknown.size > 0 && !this.#isOver) this.#startLooking()
    })
  }

  async #look(): Promise<void> {
    const { signal, fail, onFound } = this.#options
    try {
      for (let rounds = 0; this.#unknown.size > 0 && !signal.aborted; rounds += 1) {
        const failures = Math.max(rounds, ...[...this.#unknown].map((partition) => partition.failures))
        if (failures > 0 && !(await pause(pauseMs(failures), signal))) break
        await this.#ask()
        onFound()
      }
    } catch (error) {
      this.#isOver = true
      if (!signal.aborted) fail(error)
    } finally {
      this.#isOver ||= signal.aborted
    }
  }

  async #ask(): Promise<void> {
    const partitions = [...this.#unknown]
    try {
      const { topics } = await this.#options.client.metadata([...new Set(partitions.map(({ split }) => split.topic))])
      const byName = new Map(topics.map((topic) => [topic.name, topic]))
      for (const partition of partitions) {
        const { split } = partition
        const topic = byName.get(split.topic)
        const wrong = whatBecameOf(split, topic)
        const found = topic?.partitions.find((one) => one.partition === split.partition)
        if (wrong !== undefined) this.#doubt(partition, wrong)
        else partition.wrongSinceMs = undefined
        if (wrong !== undefined || found === undefined || found.leader < 0) {
          this.#trouble(partition, 'it has no leader')
          continue
        }
        partition.leader = found.leader
        partition.leaderEpoch = found.leaderEpoch
        this.#unknown.delete(partition)
      }
    } catch (error) {
      if (!(error instanceof RetryableError)) throw error
      for (const partition of partitions) this.#trouble(partition, messageOf(error))
    }
  }

  /** @throws what is wrong once it has been so for long enough */
  #doubt(partition: AssignedPartition, wrong: Error): void {
    partition.wrongSinceMs ??= performance.now()
    if (performance.now() - partition.wrongSinceMs > CERTAIN_AFTER_MS) throw wrong
  }

  /** @throws RetryableError when it has lasted too long: a restart of the attempt may help */
  #trouble(partition: AssignedPartition, why: string): void {
    const nowMs = performance.now()
    partition.troubledSinceMs ??= nowMs
    if (nowMs - partition.troubledSinceMs > PATIENCE_MS) {
      throw new RetryableError(`${partition.split.id} could not be read for ${PATIENCE_MS / 1_000} s: ${why}`, {
        code: 'SLUICE_KAFKA_UNREACHABLE',
      })
    }
    if (this.#troubled.size === 0) {
      this.#options.logger.warn(`${partition.split.id} cannot be read now, and is tried again: ${why}`)
    }
    this.#troubled.add(partition)
  }
}
