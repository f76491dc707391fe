/** What a user says about a Kafka source, checked once and completed with what is usual. */
import type { KafkaConfig } from 'kafkajs'
import { messageOf, TerminalError } from '../../engine/api/index.ts'
import type { BadRecordPolicy } from './bad-records.ts'
import type { ValueDecoder } from './decode.ts'

/** Where a partition is begun that no checkpoint holds, when the job is new. Partitions that appear later start at their beginning. */
export type StartAt =
  | 'earliest'
  | 'latest'
  /** At the first record of that time or later, milliseconds since 1970; a partition that has none starts at its end. */
  | { readonly timestampMs: number }
  /** By topic and partition; each that there is must have one. */
  | { readonly offsets: Readonly<Record<string, Readonly<Record<number, number>>>> }

/** Whether records of transactions that were aborted, or are open, are seen. */
export type Isolation = 'read_committed' | 'read_uncommitted'

/** What is read of which topics, and how. */
export interface KafkaSourceOptions<T> {
  /** As kafkajs takes it: brokers, ssl, sasl, clientId and the rest. */
  readonly connect: KafkaConfig
  /** Names, or a pattern that a name must match; internal topics never match a pattern. */
  readonly topics: string | readonly string[] | RegExp
  /** `jsonValue()`, `stringValue()`, `bytesValue()`, `registryValue()`, or a function; what it throws makes a record a bad one. */
  readonly decode: ValueDecoder<T> | ((value: Buffer) => T)
  /** Default `earliest`. */
  readonly start?: StartAt
  /** Ends where each partition ends when the job begins (default false); with read_committed: before the first transaction open then. */
  readonly bounded?: boolean
  /** Default `read_committed`: records of aborted transactions are never seen. */
  readonly isolation?: Isolation
  /**
   * `fail` (default): the job stops at the record and names it. `skip`: it is passed over, counted, and the first one of a partition is
   * logged. `side`: it goes out as a record of the side output {@link badRecords}.
   */
  readonly onBadRecord?: BadRecordPolicy
  /** Event time, milliseconds since 1970; left out: the timestamp that the record has in Kafka. */
  readonly timestamp?: (value: T) => number
  /** New partitions, and new topics of a pattern, are looked for this often: default 30,000 ms. Not with `bounded`. */
  readonly discoverEveryMs?: number
  /**
   * Offsets are committed to this group for monitors of lag, when they are those of the oldest retained checkpoint. Never read: where to
   * go on is what the checkpoint says. No consumer may be a member of it.
   */
  readonly groupId?: string
  /** Records per batch at most, default 2,048. */
  readonly maxBatchRecords?: number
  /** Of one partition in one fetch, default 1 MiB; a single batch may be larger. */
  readonly maxPartitionBytes?: number
  /** Of one fetch from a broker, default 8 MiB. */
  readonly maxFetchBytes?: number
  /** What is fetched and not yet handed on, in each subtask: default 32 MiB. Above it nothing is fetched. */
  readonly maxBufferedBytes?: number
  /** How long a broker waits for new records before it answers that there are none: default 500 ms. */
  readonly maxWaitMs?: number
}

export type KafkaSettings<T> = Omit<
  KafkaSourceOptions<T>,
  'topics' | 'decode' | (typeof NUMBERS)[number] | Defaulted
> & {
  readonly topics: readonly string[] | RegExp
  readonly decode: ValueDecoder<T>
} & Readonly<Record<(typeof NUMBERS)[number], number>> &
  Readonly<Required<Pick<KafkaSourceOptions<T>, Defaulted>>>

type Defaulted = 'start' | 'bounded' | 'isolation' | 'onBadRecord'

const NUMBERS = ['maxBatchRecords', 'maxPartitionBytes', 'maxFetchBytes', 'maxBufferedBytes', 'maxWaitMs'] as const
const DEFAULTS: Readonly<Record<(typeof NUMBERS)[number], number>> = {
  maxBatchRecords: 2_048,
  maxPartitionBytes: 1024 * 1024,
  maxFetchBytes: 8 * 1024 * 1024,
  maxBufferedBytes: 32 * 1024 * 1024,
  maxWaitMs: 500,
}
/** What the protocol has a place for. */
const LARGEST = 2 ** 31 - 1

/** @throws TerminalError for options that cannot be meant */
export function checkedSettings<T>(options: KafkaSourceOptions<T>): KafkaSettings<T> {
  const { topics, decode, start = 'earliest', bounded = false, isolation = 'read_committed' } = options
  const { onBadRecord = 'fail' } = options
  const names = typeof topics === 'string' ? [topics] : topics
  if (!(names instanceof RegExp)) {
    need(names.length > 0 && names.every((name) => name !== ''), 'topics', names, 'at least one name')
    need(new Set(names).size === names.length, 'topics', names, 'each topic once')
  }
  const { brokers } = options.connect ?? {}
  const hasBrokers = typeof brokers === 'function' || (Array.isArray(brokers) && brokers.length > 0)
  need(hasBrokers, 'connect.brokers', brokers, 'a list of host:port')
  need(
    typeof decode === 'function' || typeof decode?.decodeAt === 'function',
    'decode',
    decode,
    'a decoder or function',
  )
  need(
    ['read_committed', 'read_uncommitted'].includes(isolation),
    'isolation',
    isolation,
    'read_committed or read_uncommitted',
  )
  need(['fail', 'skip', 'side'].includes(onBadRecord), 'onBadRecord', onBadRecord, 'fail, skip or side')
  need(options.groupId !== '', 'groupId', options.groupId, 'a name, or leave it out')
  need(
    !bounded || options.discoverEveryMs === undefined,
    'discoverEveryMs',
    options.discoverEveryMs,
    'none with bounded',
  )
  checkStart(start)
  const numbers = Object.fromEntries(
    NUMBERS.map((name) => {
      const value = options[name] ?? DEFAULTS[name]
      need(
        Number.isSafeInteger(value) && value > 0 && value <= LARGEST,
        name,
        value,
        `a whole number from 1 to ${LARGEST}`,
      )
      return [name, value]
    }),
  ) as Record<(typeof NUMBERS)[number], number>
  return {
    ...options,
    ...numbers,
    topics: names,
    decode: typeof decode === 'function' ? decoderOf(decode) : decode,
    start,
    bounded,
    isolation,
    onBadRecord,
  }
}

/** For messages: never more of the configuration than this, which holds no secret. */
export function brokersOf({ connect }: Pick<KafkaSourceOptions<unknown>, 'connect'>): string {
  return Array.isArray(connect.brokers) ? connect.brokers.join(', ') : 'the brokers that connect.brokers() names'
}

function decoderOf<T>(decode: (value: Buffer) => T): ValueDecoder<T> {
  return { keepsBytes: true, decodeAt: (bytes, start, end) => decode(bytes.subarray(start, end)) }
}

function checkStart(start: StartAt): void {
  if (typeof start === 'string') return need(['earliest', 'latest'].includes(start), 'start', start, WANTED_START)
  if ('timestampMs' in start) {
    const { timestampMs } = start
    return need(Number.isSafeInteger(timestampMs) && timestampMs >= 0, 'start.timestampMs', timestampMs, WANTED_START)
  }
  need(typeof start.offsets === 'object' && start.offsets !== null, 'start.offsets', start.offsets, WANTED_START)
  for (const [topic, offsets] of Object.entries(start.offsets)) {
    for (const [partition, offset] of Object.entries(offsets)) {
      need(
        Number.isSafeInteger(offset) && offset >= 0,
        `start.offsets of ${topic}-${partition}`,
        offset,
        'a number from 0',
      )
    }
  }
}

const WANTED_START = 'earliest, latest, { timestampMs } or { offsets: { topic: { partition: offset } } }'

function need(holds: boolean, option: string, value: unknown, wanted: string): void {
  if (holds) return
  throw new TerminalError(`${option} of a Kafka source is ${shown(value)}; give ${wanted}`, {
    code: 'SLUICE_KAFKA_SOURCE_OPTION',
  })
}

function shown(value: unknown): string {
  try {
    return JSON.stringify(value) ?? String(value)
  } catch (error) {
    return messageOf(error)
  }
}
