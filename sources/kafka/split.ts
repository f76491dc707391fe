/** Partitions as splits, and places in them as positions. */

/** A partition. */
export interface KafkaSplit {
  /** `topic-partition`, as Kafka itself names it. */
  readonly id: string
  readonly topic: string
  readonly partition: number
  /** A topic of the same name that was created anew has another. */
  readonly topicId: string
  /** Of a bounded source: nothing at or behind it is read. */
  readonly end?: number
}

/** A place in a partition. */
export interface KafkaPosition {
  /** Of the next record. */
  readonly offset: number
  /** Of the record before it, so that a log that was rewritten is noticed; -1: unknown. */
  readonly leaderEpoch: number
}

export function splitId(topic: string, partition: number): string {
  return `${topic}-${partition}`
}
