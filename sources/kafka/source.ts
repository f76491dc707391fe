/**
 * Kafka topics as a source. Each partition is a split; a position is an offset, kept in our checkpoints alone: no group decides what is read.
 * Exactly-once: with read_committed (the default) records of aborted transactions never come, and a position that the log does not hold
 * any more is an error that names it, never a jump.
 */
import type { Source } from '../../engine/api/index.ts'
import { BadRecords } from './bad-records.ts'
import { bytesValue, type ValueDecoder } from './decode.ts'
import { discoverSplits } from './discovery.ts'
import { KafkaReader } from './reader.ts'
import type { KafkaRecord } from './record-slices.ts'
import { checkedSettings, type KafkaSourceOptions } from './settings.ts'
import type { KafkaPosition, KafkaSplit } from './split.ts'
import { validateSource } from './validation.ts'

export { badRecords, type BadKafkaRecord, type BadRecordPolicy } from './bad-records.ts'
export {
  bytesValue,
  jsonValue,
  LookupNeeded,
  registryValue,
  stringValue,
  type PayloadDecoder,
  type RegistryOptions,
  type ValueDecoder,
} from './decode.ts'
export type { RecordHeader } from '../../clients/kafka/wire/record-columns.ts'
export type { KafkaRecord } from './record-slices.ts'
export type { Isolation, KafkaSourceOptions, StartAt } from './settings.ts'
export type { KafkaPosition, KafkaSplit } from './split.ts'

/** Each record as a {@link KafkaRecord}: its value with key, headers, time and place. */
export interface WholeRecords<K> {
  readonly emit: 'record'
  /** How keys are decoded, default `bytesValue()`. */
  readonly key?: ValueDecoder<K>
}

/** Each record as what `decode` makes of its value. */
export interface OnlyValues {
  /** The default. */
  readonly emit?: 'value'
}

const DEFAULT_DISCOVER_EVERY_MS = 30_000

/** @throws TerminalError for options that cannot be meant */
export function kafkaSource<T, K = Buffer>(
  options: KafkaSourceOptions<T> & WholeRecords<K>,
): Source<KafkaRecord<T, K>, KafkaSplit, KafkaPosition>
export function kafkaSource<T>(options: KafkaSourceOptions<T> & OnlyValues): Source<T, KafkaSplit, KafkaPosition>
export function kafkaSource(
  options: KafkaSourceOptions<unknown> & (WholeRecords<unknown> | OnlyValues),
): Source<unknown, KafkaSplit, KafkaPosition> {
  const settings = checkedSettings(options)
  const { decode, timestamp, isolation, maxBatchRecords, bounded } = settings
  const key: ValueDecoder<unknown> | undefined = options.emit === 'record' ? (options.key ?? bytesValue()) : undefined
  return {
    kind: 'kafka',
    guarantee: 'exactly-once',
    ...(bounded ? {} : { discoverEveryMs: options.discoverEveryMs ?? DEFAULT_DISCOVER_EVERY_MS }),
    validate: async (context) => await validateSource(settings, context),
    discover: async (context, known) => await discoverSplits(settings, context, known),
    createReader: async (context) => {
      const bad = new BadRecords(settings.onBadRecord, context)
      return await KafkaReader.open(settings, { isolation, maxBatchRecords, decode, key, timestamp, bad }, context)
    },
  }
}
