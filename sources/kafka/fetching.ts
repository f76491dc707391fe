/**
 * Fetches partitions ahead of who decodes them. To each broker one request at a time, over all its partitions that have room, on connections
 * of its own; the next one is sent before this one's records are looked at.
 *
 * - What is fetched and not taken is bounded: by partition, and in all. A partition without room is left out of the request.
 * - A partition is in one request at a time: its records come in order, whoever leads it.
 */
import { KafkaClient } from '../../clients/kafka/client.ts'
import { CODES, describeCode, nextStep } from '../../clients/kafka/error-table.ts'
import { FETCH, type FetchedPartition, type FetchRequest, type FetchResponse } from '../../clients/kafka/wire/fetch.ts'
import { messageOf, RetryableError, TerminalError, type ReaderContext } from '../../engine/api/index.ts'
import { AssignedPartition, type Chunk } from './assigned-partition.ts'
import { CERTAIN_AFTER_MS, Leaders } from './leaders.ts'
import { judgeRange, rewritten, unknownEpoch } from './lost-records.ts'
import { pause, pauseMs, Wakeup } from './patience.ts'
import type { KafkaSettings } from './settings.ts'
import { splitId, type KafkaPosition, type KafkaSplit } from './split.ts'
import { notAllowed, TOPIC_AUTHORIZATION_FAILED } from './topics.ts'

export interface FetchingOptions {
  readonly settings: KafkaSettings<unknown>
  readonly context: Pick<ReaderContext, 'logger' | 'metrics'>
  /** Something is ready, or failed. */
  readonly onChange: () => void
}

/** So long a broker waits for records where others have no room: they are asked for again soon. */
const SHORT_WAIT_MS = 10

export class Fetching implements AsyncDisposable {
  readonly client: KafkaClient
  readonly partitions: AssignedPartition[] = []
  /** Thrown by the next poll. */
  failure: { readonly error: unknown } | undefined
  readonly #fetches: KafkaClient
  readonly #options: FetchingOptions
  readonly #leaders: Leaders
  readonly #loops = new Map<number, Promise<void>>()
  readonly #room = new Wakeup()
  readonly #stop = new AbortController()
  #bufferedBytes = 0
  #askedBytes = 0
  /** Of the request after this one, so that each partition is the first now and then. */
  #turn = 0

  private constructor(
    clients: { readonly client: KafkaClient; readonly fetches: KafkaClient },
    options: FetchingOptions,
  ) {
    this.client = clients.client
    this.#fetches = clients.fetches
    this.#options = options
    this.#leaders = new Leaders({
      client: clients.client,
      logger: options.context.logger,
      signal: this.#stop.signal,
      onFound: () => this.#start(),
      fail: (error) => this.#fail(error),
    })
  }

  /** Connects to nobody yet. */
  static async open(options: FetchingOptions): Promise<Fetching> {
    const { connect } = options.settings
    return new Fetching({ client: await KafkaClient.open(connect), fetches: await KafkaClient.open(connect) }, options)
  }

  add(split: KafkaSplit, position: KafkaPosition): void {
    const partition = new AssignedPartition(split, position)
    this.partitions.push(partition)
    if (!partition.isFetched) this.#leaders.find(partition)
  }

  /** The oldest that was fetched of it: there is room for more. */
  takeChunk(partition: AssignedPartition): Chunk | undefined {
    const chunk = partition.chunks.shift()
    if (chunk === undefined) return undefined
    this.#bufferedBytes -= chunk.records.length
    this.#room.wake()
    return chunk
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort()
    this.#room.wake()
    await this.#fetches[Symbol.asyncDispose]()
    await this.client[Symbol.asyncDispose]()
    await Promise.all([this.#leaders.idle(), ...this.#loops.values()])
  }

  /** A loop for each broker that leads something. */
  #start(): void {
    if (this.#stop.signal.aborted) return
    for (const { leader } of this.partitions) {
      if (leader !== undefined && !this.#loops.has(leader)) this.#loops.set(leader, this.#fetchFrom(leader))
    }
    this.#room.wake()
  }

  async #fetchFrom(nodeId: number): Promise<void> {
    for (let failures = 0; !this.#stop.signal.aborted;) {
      const room = this.#room.next
      const round = this.#roundFor(nodeId)
      if (round === undefined) {
        await room
        continue
      }
      try {
        const answer = await this.#fetches.ask(FETCH, { kind: 'broker', nodeId }, round.request)
        this.#end(round)
        this.#deliver(round, answer)
        failures = answer.errorCode === 0 ? 0 : failures + 1
      } catch (error) {
        this.#end(round)
        if (this.#stop.signal.aborted) return
        if (!(error instanceof RetryableError)) return this.#fail(error)
        failures += 1
        for (const partition of round.partitions) this.#leaders.lost(partition, messageOf(error))
      }
      if (failures > 0) await pause(pauseMs(failures), this.#stop.signal)
    }
  }

  /** Undefined: nothing is wanted of it, or there is no room. */
  #roundFor(nodeId: number): Round | undefined {
    const { settings } = this.#options
    const { maxPartitionBytes, maxFetchBytes, maxBufferedBytes, isolation } = settings
    const roomBytes = maxBufferedBytes - this.#bufferedBytes - this.#askedBytes
    const maxBytes = Math.min(maxFetchBytes, roomBytes)
    if (maxBytes <= 0) return undefined
    const led = this.partitions.filter(({ leader, isFetched }) => leader === nodeId && !isFetched)
    const wanted = led.filter(({ isWanted }) => isWanted)
    if (wanted.length === 0) return undefined
    this.#turn += 1
    const first = this.#turn % wanted.length
    const partitions = [...wanted.slice(first), ...wanted.slice(0, first)]
    for (const partition of partitions) partition.isInFlight = true
    this.#askedBytes += maxBytes
    const topics = [...Map.groupBy(partitions, ({ split }) => split.topicId)].map(([topicId, mine]) => ({
      name: mine[0]?.split.topic ?? '',
      topicId,
      partitions: mine.map(({ split, fetched, leaderEpoch }) => ({
        partition: split.partition,
        offset: fetched.offset,
        leaderEpoch,
        lastEpoch: fetched.leaderEpoch,
        maxBytes: maxPartitionBytes,
      })),
    }))
    const maxWaitMs = wanted.length < led.length ? Math.min(SHORT_WAIT_MS, settings.maxWaitMs) : settings.maxWaitMs
    return { partitions, maxBytes, request: { maxWaitMs, minBytes: 1, maxBytes, isolation, topics } }
  }

  #end({ partitions, maxBytes }: Round): void {
    this.#askedBytes -= maxBytes
    for (const partition of partitions) partition.isInFlight = false
    this.#room.wake()
  }

  #deliver({ partitions }: Round, answer: FetchResponse): void {
    const { metrics } = this.#options.context
    const answers = new Map<string, FetchedPartition>()
    for (const { name, topicId, partitions: all } of answer.topics) {
      for (const one of all) answers.set(splitId(name === '' ? topicId : name, one.partition), one)
    }
    let bytes = 0
    for (const partition of partitions) {
      const { topic, topicId, partition: index } = partition.split
      const mine = answers.get(splitId(topicId, index)) ?? answers.get(splitId(topic, index))
      const errorCode = mine?.errorCode ?? answer.errorCode
      if (mine !== undefined && errorCode === 0) bytes += this.#takeFrom(partition, mine)
      else this.#refused(partition, errorCode)
    }
    this.#bufferedBytes += bytes
    if (bytes > 0) metrics.count('fetched-bytes', bytes)
    if (answer.throttleTimeMs > 0) metrics.count('throttled-ms', answer.throttleTimeMs)
    this.#options.onChange()
  }

  #takeFrom(partition: AssignedPartition, answer: FetchedPartition): number {
    try {
      if (answer.divergesAt !== undefined) throw rewritten(partition, answer.divergesAt)
      this.#leaders.sound(partition)
      return partition.take(answer, this.#options.settings.isolation)
    } catch (error) {
      this.#fail(error)
      return 0
    }
  }

  #refused(partition: AssignedPartition, errorCode: number): void {
    const { topic, id } = partition.split
    if (errorCode === CODES.OFFSET_OUT_OF_RANGE) return void this.#judge(partition)
    if (errorCode === TOPIC_AUTHORIZATION_FAILED) return this.#fail(notAllowed(topic))
    const why = describeCode(errorCode)
    if (nextStep(errorCode) !== 'fatal') return this.#leaders.lost(partition, why)
    this.#fail(
      new TerminalError(`Kafka refuses to give records of ${id} from offset ${partition.fetched.offset} on: ${why}`, {
        code: 'SLUICE_KAFKA_REFUSED',
      }),
    )
  }

  /** Its offset is not in the log: for good, or only in the eyes of a leader that is not up to date yet. */
  async #judge(partition: AssignedPartition): Promise<void> {
    const { signal } = this.#stop
    partition.isHeld = true
    try {
      const lost = await judgeRange(this.client, partition, signal)
      const troubledMs = performance.now() - (partition.troubledSinceMs ?? performance.now())
      const isCertain = troubledMs > CERTAIN_AFTER_MS && partition.fetched.leaderEpoch >= 0
      if (lost !== undefined || isCertain) this.#fail(lost ?? unknownEpoch(partition))
      else this.#leaders.lost(partition, describeCode(CODES.OFFSET_OUT_OF_RANGE))
    } catch (error) {
      this.#fail(error)
    } finally {
      partition.isHeld = false
    }
  }

  #fail(error: unknown): void {
    if (this.#stop.signal.aborted) return
    this.failure ??= { error }
    this.#options.onChange()
  }
}

interface Round {
  readonly partitions: readonly AssignedPartition[]
  readonly maxBytes: number
  readonly request: FetchRequest
}
