/** The halves of a Kafka sink put together; how it gets to the cluster is the caller's. */
import type { KafkaConfig } from 'kafkajs'
import type { Committer, Sink, SinkWriter, WriterContext } from '../../engine/api/index.ts'
import { kafkaTransactionCodec, type KafkaTransaction } from './committable.ts'
import { KafkaCommitter } from './committer.ts'
import type { KafkaConnection } from './connection.ts'
import { settingsOf, type KafkaSinkOptions, type Settings } from './options.ts'
import { PlainWriter } from './plain-writer.ts'
import { checkRequirements } from './requirements.ts'
import { KafkaWriter } from './writer.ts'

export type OpenConnection = (config: KafkaConfig) => Promise<KafkaConnection>

/** @throws TerminalError for options that cannot be meant */
export function createKafkaSink<T>(
  options: KafkaSinkOptions<T>,
  openConnection: OpenConnection,
): Sink<T, KafkaTransaction> {
  const settings = settingsOf(options)
  const open = async (): Promise<KafkaConnection> => await openConnection(options.connect)
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
  }
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
