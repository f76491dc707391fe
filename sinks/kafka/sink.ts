/**
 * Writes to Kafka, by default exactly once: a transaction per subtask and checkpoint, committed when the checkpoint is complete, by whichever
 * process. Readers with `isolation.level=read_committed` see each record once. See docs/kafka.md.
 */
import { KafkaClient } from '../../clients/kafka/client.ts'
import type { Sink } from '../../engine/api/index.ts'
import type { KafkaTransaction } from './committable.ts'
import { createKafkaSink } from './create-sink.ts'
import type { KafkaSinkOptions } from './options.ts'

export type { KafkaTransaction } from './committable.ts'
export type { KafkaHeader, KafkaRecord, KafkaSinkOptions } from './options.ts'

/**
 * Brings values to Kafka as records.
 *
 * @throws TerminalError for options that cannot be meant
 */
export function kafkaSink<T>(options: KafkaSinkOptions<T>): Sink<T, KafkaTransaction> {
  return createKafkaSink(options, async (config) => await KafkaClient.open(config))
}
