/** What a user sets of a Kafka sink, and what it means. */
import type { KafkaConfig } from 'kafkajs'
import { COMPRESSIONS, type Compression } from '../../clients/kafka/compression/codec.ts'
import { TerminalError, type Guarantee } from '../../engine/api/index.ts'

/** One record for Kafka. Strings are written as UTF-8. */
export interface KafkaRecord {
  /** Left out: that of the sink. */
  readonly topic?: string
  /** Left out: by the key, as Kafka's Java client has it; without a key by turns. */
  readonly partition?: number
  readonly key?: Uint8Array | string | null
  /** Null: a tombstone, which a compacted topic takes for "this key is gone". */
  readonly value: Uint8Array | string | null
  readonly headers?: readonly KafkaHeader[]
  /** Milliseconds since 1970. Left out: the event time of the value; without one: now. */
  readonly timestamp?: number
}

/** Of a record: a name and any bytes. Names may come more than once. */
export interface KafkaHeader {
  readonly key: string
  readonly value: Uint8Array | string | null
}

/** Where a Kafka sink writes, what, and with which guarantee. */
export interface KafkaSinkOptions<T> {
  /** As kafkajs has it: `brokers`, `ssl`, `sasl`, … Passwords do not get into plans or logs. */
  readonly connect: KafkaConfig
  /** Where records go that name no topic. */
  readonly topic?: string
  /** Others that records may name; looked for at the start. One that is not listed is looked for when its first record comes. */
  readonly topics?: readonly string[]
  /** What Kafka shall hold of a value. Called once per value, in order; a throw ends the job. */
  readonly record: (value: T, timestamp: number) => KafkaRecord
  /**
   * - `exactly-once` (default): a transaction per subtask and checkpoint.
   * - `idempotent`: no transactions; readers see records at once, and some again after a restart. Right where only the last record of a key
   *   counts and a replay gives the same ones: records without a key are refused.
   * - `at-least-once`: the same without that claim.
   */
  readonly guarantee?: Guarantee
  /**
   * For how long a transaction may be open, from its first record to its commit: as long as the job may be down with commits pending. Default
   * 15 minutes, which is as much as brokers allow that have no `transaction.max.timeout.ms` of their own.
   */
  readonly transactionTimeoutMs?: number
  /** For how long the job may be down without losing what is prepared; default 60,000. The start is refused where the timeout is too short. */
  readonly restartBudgetMs?: number
  /** Default: none. */
  readonly compression?: Compression
  /** A batch is sent when it is about this large, before compression; default 512 KiB. Brokers take 1 MiB by default. */
  readonly maxBatchBytes?: number
  /** A batch that is not full waits this long for more; default 5. A checkpoint does not wait for it. */
  readonly lingerMs?: number
  /** When no record was taken for so long the attempt ends; default 120,000. */
  readonly deliveryTimeoutMs?: number
}

export interface Settings {
  readonly guarantee: Guarantee
  readonly transactionTimeoutMs: number
  readonly restartBudgetMs: number
  readonly compression: Compression
  readonly maxBatchBytes: number
  readonly lingerMs: number
  readonly deliveryTimeoutMs: number
  readonly topic: string | undefined
  /** All that are named. */
  readonly topics: readonly string[]
}

const DEFAULTS = {
  guarantee: 'exactly-once',
  transactionTimeoutMs: 900_000,
  restartBudgetMs: 60_000,
  compression: 'none',
  maxBatchBytes: 512 * 1024,
  lingerMs: 5,
  deliveryTimeoutMs: 120_000,
} as const

/** @throws TerminalError for options that cannot be meant */
export function settingsOf(options: KafkaSinkOptions<never>): Settings {
  const { topic, topics = [] } = options
  const settings: Settings = {
    ...DEFAULTS,
    ...(options.guarantee !== undefined && { guarantee: options.guarantee }),
    ...(options.compression !== undefined && { compression: options.compression }),
    ...numbersOf(options),
    topic,
    topics: [...new Set([...(topic === undefined ? [] : [topic]), ...topics])],
  }
  if (typeof options.record !== 'function')
    refuse('record is not a function', 'give one that makes a Kafka record of a value')
  if (topic === '' || topics.includes('')) refuse('a topic has an empty name', 'give its name')
  if (!['exactly-once', 'idempotent', 'at-least-once'].includes(settings.guarantee)) {
    refuse(`guarantee is ${String(settings.guarantee)}`, "give 'exactly-once', 'idempotent' or 'at-least-once'")
  }
  if (!COMPRESSIONS.includes(settings.compression)) {
    refuse(`compression is ${String(settings.compression)}`, `give one of ${COMPRESSIONS.join(', ')}`)
  }
  return settings
}

const SMALLEST = {
  transactionTimeoutMs: 1_000,
  restartBudgetMs: 0,
  maxBatchBytes: 1,
  lingerMs: 0,
  deliveryTimeoutMs: 1,
} as const
const LARGEST_INT32 = 2 ** 31 - 1

function numbersOf(options: KafkaSinkOptions<never>): Partial<Record<keyof typeof SMALLEST, number>> {
  const given: Partial<Record<keyof typeof SMALLEST, number>> = {}
  for (const [name, smallest] of Object.entries(SMALLEST) as [keyof typeof SMALLEST, number][]) {
    const value = options[name]
    if (value === undefined) continue
    if (!(value >= smallest && value <= LARGEST_INT32 && Number.isInteger(value))) {
      refuse(`${name} is ${value}`, `give a whole number of at least ${smallest}`)
    }
    given[name] = value
  }
  return given
}

function refuse(what: string, cure: string): never {
  throw new TerminalError(`Kafka sink: ${what}; ${cure}`, { code: 'SLUICE_KAFKA_SINK_OPTION' })
}
