/** What an example from Kafka to Kafka is to its trial: a job, what goes in, and what is claimed of what comes out. */
import type { Claim } from '../claims.ts'

export interface Arrival {
  readonly key: string
  /** Without tabs and line breaks. */
  readonly value: string
}

export interface KafkaExample {
  readonly name: string
  /** In a sentence or two, for `--help`. */
  readonly about: string
  readonly job: URL
  readonly input: string
  /** The first is the one that is sabotaged. */
  readonly outputs: readonly [string, ...string[]]
  /** Of a topic; keys that belong together are in one partition. */
  readonly partitions: number
  /** Depends on seed and count alone. */
  readonly arrivals: (seed: number, count: number) => readonly Arrival[]
  /** SQL that makes tables of the topics: each is a table of its own name with `_` for `-`, with part, place, key, value. */
  readonly tables: readonly string[]
  readonly claims: readonly Claim[]
}

interface Timed extends Arrival {
  /** Any number: what is less comes first. */
  readonly at: number
}

/** The first `count` in order of their times. */
export function inOrderOfArrival(all: readonly Timed[], count: number): readonly Arrival[] {
  return all
    .toSorted((one, other) => one.at - other.at)
    .slice(0, count)
    .map(({ key, value }) => ({ key, value }))
}
