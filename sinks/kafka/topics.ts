/**
 * The partitions of the topics that are written to, and who leads them. No topic is ever created here. Keys are spread over as many
 * partitions as a topic had when it was first looked up: one that gets more of them while an attempt runs keeps its keys where they are.
 */
import { CODES, describeCode, nextStep } from '../../clients/kafka/error-table.ts'
import type { TopicMetadata } from '../../clients/kafka/wire/metadata.ts'
import { RetryableError, TerminalError } from '../../engine/api/index.ts'
import { setTimeout as sleep } from 'node:timers/promises'
import type { KafkaConnection } from './connection.ts'

/** A broker may not have heard of a topic for a moment, when it is new or when the broker is. */
const MISSING_AFTER_MS = 5_000
const LOOK_AGAIN_MS = 50
const NO_LEADER = -1

export interface TopicsOptions {
  readonly connection: Pick<KafkaConnection, 'metadata'>
  /** For messages. */
  readonly operator: string
  readonly signal: AbortSignal
}

export class Topics {
  readonly #options: TopicsOptions
  /** At the first look. */
  readonly #counts = new Map<string, number>()
  readonly #leaders = new Map<string, readonly number[]>()

  constructor(options: TopicsOptions) {
    this.#options = options
  }

  /** Over which keys are spread; undefined: it must be loaded first. */
  partitionsOf(topic: string): number | undefined {
    return this.#counts.get(topic)
  }

  /** All that it has now. */
  allPartitionsOf(topic: string): number {
    return this.#leaders.get(topic)?.length ?? 0
  }

  /** Undefined: nobody leads it now, as far as is known. */
  leaderOf(topic: string, partition: number): number | undefined {
    const leader = this.#leaders.get(topic)?.[partition] ?? NO_LEADER
    return leader === NO_LEADER ? undefined : leader
  }

  /** The cluster is asked again. @throws TerminalError for a topic that is not there, or may not be seen */
  async load(topics: readonly string[]): Promise<void> {
    const deadline = performance.now() + MISSING_AFTER_MS
    for (;;) {
      const missing = await this.#look(topics)
      if (missing === undefined) return
      if (performance.now() > deadline) throw this.#missing(missing)
      await sleep(LOOK_AGAIN_MS, undefined, { signal: this.#options.signal })
    }
  }

  /** Who leads what has been loaded before. */
  async refresh(): Promise<void> {
    await this.load([...this.#counts.keys()])
  }

  /** @returns one that is not there; undefined: all are */
  async #look(topics: readonly string[]): Promise<string | undefined> {
    const answer = await this.#options.connection.metadata(topics)
    for (const name of topics) {
      const found = answer.topics.find((one) => one.name === name)
      if (found === undefined || found.errorCode === CODES.UNKNOWN_TOPIC_OR_PARTITION) return name
      if (found.errorCode !== 0) {
        if (nextStep(found.errorCode) === 'fatal') throw this.#refused(found)
        return name
      }
      this.#note(found)
    }
    return undefined
  }

  #note({ name, partitions }: TopicMetadata): void {
    const leaders = Array.from({ length: partitions.length }, () => NO_LEADER)
    for (const { partition, leader } of partitions) leaders[partition] = leader
    this.#leaders.set(name, leaders)
    if (!this.#counts.has(name)) this.#counts.set(name, leaders.length)
  }

  #missing(topic: string): TerminalError {
    return new TerminalError(
      `Kafka sink "${this.#options.operator}": there is no topic "${topic}". Topics are not created by writing to them: create it ` +
        `with the partitions it shall have, or write to another one`,
      { code: 'SLUICE_KAFKA_OUTPUT_TOPIC_MISSING' },
    )
  }

  #refused({ name, errorCode }: TopicMetadata): TerminalError {
    return new TerminalError(
      `Kafka sink "${this.#options.operator}" may not write to topic "${name}": ${describeCode(errorCode)}. Look at its name, and at ` +
        `the rights of the user in the Kafka configuration (Write and Describe on the topic)`,
      { code: 'SLUICE_KAFKA_NOT_ALLOWED' },
    )
  }
}

/** Whether the cluster could not be asked, which passes. */
export function isUnreachable(error: unknown): boolean {
  return error instanceof RetryableError
}
