/**
 * One partition that a reader fetches: how far it was fetched, what was fetched and not yet decoded, who leads it, and how it fares. It
 * decides nothing.
 */
import type { AbortedTransaction } from '../../clients/kafka/read-committed.ts'
import type { FetchedPartition } from '../../clients/kafka/wire/fetch.ts'
import { malformed } from '../../clients/kafka/wire/malformed.ts'
import { endOfBatches } from '../../clients/kafka/wire/record-batch.ts'
import type { Isolation } from './settings.ts'
import type { KafkaPosition, KafkaSplit } from './split.ts'

/** What one fetch brought of one partition. */
export interface Chunk {
  readonly records: Buffer
  readonly abortedTransactions: readonly AbortedTransaction[]
  /** Behind all of it. */
  readonly after: KafkaPosition
}

/** One that is decoded, and one that is ready when it is done. */
const MOST_CHUNKS = 2

export class AssignedPartition {
  readonly split: KafkaSplit
  /** Of what was handed on. */
  position: KafkaPosition
  /** Of what was fetched: never before `position`. */
  fetched: KafkaPosition
  readonly chunks: Chunk[] = []
  /** Undefined: to be looked up. */
  leader: number | undefined
  leaderEpoch = -1
  isInFlight = false
  /** Its fate is being looked into: not fetched meanwhile. */
  isHeld = false
  hasEnded = false
  /** Where the broker said that readers can get to; undefined: not fetched yet. */
  endOffset: number | undefined
  /** In a row. */
  failures = 0
  /** On the monotonic clock; undefined: all is well. */
  troubledSinceMs: number | undefined
  wrongSinceMs: number | undefined

  constructor(split: KafkaSplit, position: KafkaPosition) {
    this.split = split
    this.position = { ...position }
    this.fetched = { ...position }
  }

  /** More of it is wanted, and there is room. */
  get isWanted(): boolean {
    return !this.isInFlight && !this.isHeld && !this.isFetched && this.chunks.length < MOST_CHUNKS
  }

  /** All of a bounded one has been fetched. */
  get isFetched(): boolean {
    return this.split.end !== undefined && this.fetched.offset >= this.split.end
  }

  /** All of a bounded one has been handed on. */
  get isRead(): boolean {
    return this.split.end !== undefined && this.position.offset >= this.split.end
  }

  /** In records, as far as is known. */
  get lag(): number {
    return this.endOffset === undefined ? 0 : Math.max(0, this.endOffset - this.position.offset)
  }

  /** What a fetch without an error brought: how many bytes are kept. */
  take(answer: FetchedPartition, isolation: Isolation): number {
    this.endOffset = isolation === 'read_committed' ? answer.lastStableOffset : answer.highWatermark
    const { records, abortedTransactions } = answer
    if (records.length === 0) return 0
    const end = endOfBatches(records)
    if (end === undefined || end.offset <= this.fetched.offset) {
      throw malformed(
        `${records.length} bytes of ${this.split.id} from offset ${this.fetched.offset} on, and no batch behind it`,
      )
    }
    this.fetched = end
    this.chunks.push({ records, abortedTransactions, after: end })
    return records.length
  }
}
