/**
 * Writes to Kafka, by default exactly once: a transaction per subtask and checkpoint, committed when the checkpoint is complete, by whichever
 * process. Readers with `isolation.level=read_committed` see each record once. See docs/kafka.md.
 */
import type { KafkaConfig } from 'kafkajs'
import { KafkaClient } from '../../clients/kafka/client.ts'
import type { Committer, Sink, SinkWriter, TransactionsContext, WriterContext } from '../../engine/api/index.ts'
import { kafkaTransactionCodec, type KafkaTransaction } from './committable.ts'
import { KafkaCommitter } from './committer.ts'
import type { KafkaConnection } from './connection.ts'
import { settingsOf, type KafkaSinkOptions, type Settings } from './options.ts'
import { PlainWriter } from './plain-writer.ts'
import { checkRequirements } from './requirements.ts'
import { KafkaTransactions } from './transactions.ts'
import { KafkaWriter } from './writer.ts'

export type { KafkaTransaction } from './committable.ts'
export type { KafkaHeader, KafkaRecord, KafkaSinkOptions } from './options.ts'

/** @throws TerminalError for options that cannot be meant */
export function kafkaSink<T>(options: KafkaSinkOptions<T>): Sink<T, KafkaTransaction> {
  const settings = settingsOf(options)
  const open = async (): Promise<KafkaConnection> => await (options.open ?? openClient)(options.connect)
  return {
    kind: 'kafka',
    guarantee: settings.guarantee,
    committableCodec: kafkaTransactionCodec,
    validate: async (context) => {
      const connection = await open()
      try {
        await checkRequirements(connection, settings, context)
      } finally {
        await connection[Symbol.asyncDispose]()
      }
    },
    scope: () => scopeOf(settings),
    createWriter: async (context) => await createWriter(options, { settings, context, open }),
    createCommitter: async (context) =>
      settings.guarantee === 'exactly-once'
        ? new KafkaCommitter({ connection: await open(), context })
        : nothingToCommit(),
    ...(settings.guarantee === 'exactly-once' && {
      transactions: async (context: TransactionsContext) =>
        new KafkaTransactions({ connection: await open(), context }),
    }),
  }
}

async function openClient(config: KafkaConfig): Promise<KafkaConnection> {
  return await KafkaClient.open(config)
}

/** Ids are found by their names; which cluster it is cannot be told without asking it. */
function scopeOf({ guarantee }: Settings): Uint8Array {
  const leaves = guarantee === 'exactly-once' ? 'transactions' : 'nothing'
  return new TextEncoder().encode(JSON.stringify({ leaves }))
}

interface Making {
  readonly settings: Settings
  readonly context: WriterContext
  readonly open: () => Promise<KafkaConnection>
}

async function createWriter<T>(
  { record }: KafkaSinkOptions<T>,
  { settings, context, open }: Making,
): Promise<SinkWriter<T, KafkaTransaction>> {
  const connection = await open()
  if (settings.guarantee !== 'exactly-once') return await PlainWriter.create({ settings, record, connection, context })
  const coordinating = await open()
  return await KafkaWriter.create({ settings, record, producing: connection, coordinating, context })
}

function nothingToCommit(): Committer<KafkaTransaction> {
  return {
    commit: () => Promise.resolve([]),
    abortStale: () => Promise.resolve({ aborted: 0, clean: true }),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  }
}
