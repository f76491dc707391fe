/** The cluster as this sink uses it. */
import type { KafkaClient } from '../../clients/kafka/client.ts'

export type KafkaConnection = Pick<
  KafkaClient,
  'ask' | 'persist' | 'metadata' | 'versionFor' | 'admin' | typeof Symbol.asyncDispose
>
