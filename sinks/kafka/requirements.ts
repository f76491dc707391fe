/** What a cluster must be like for a sink, looked at before anybody is fenced; nothing is written (`validate`). */
import { CODES, describeCode } from '../../clients/kafka/error-table.ts'
import { DESCRIBE_TRANSACTIONS } from '../../clients/kafka/wire/transaction-states.ts'
import { messageOf, RetryableError, TerminalError, type SinkValidateContext } from '../../engine/api/index.ts'
import type { KafkaConnection } from './connection.ts'
import type { Settings } from './options.ts'
import { Topics } from './topics.ts'
import { coordinatorOf } from './transaction.ts'

const MAX_TIMEOUT = 'transaction.max.timeout.ms'
const PATIENCE_MS = 10_000
/** Of kafkajs. */
const BROKER_RESOURCE = 4

/** @throws TerminalError with what to change */
export async function checkRequirements(
  connection: KafkaConnection,
  settings: Settings,
  context: SinkValidateContext,
): Promise<void> {
  const isTransactional = settings.guarantee === 'exactly-once'
  if (isTransactional) refuseShortTimeout(settings, context)
  const { operator, signal } = context
  try {
    await new Topics({ connection, operator, signal }).load(settings.topics)
    if (!isTransactional) return
    await refuseMissingRights(connection, context)
    await refuseLongTimeout(connection, settings, context)
  } catch (error) {
    if (!(error instanceof RetryableError)) throw error
    throw new TerminalError(
      `Kafka sink "${operator}" cannot reach the cluster: ${messageOf(error)}. Look at \`brokers\` of its Kafka configuration`,
      { cause: error, code: 'SLUICE_KAFKA_UNREACHABLE' },
    )
  }
}

/** A transaction lives for up to an interval before its checkpoint, and for as long as that takes until it is committed. */
function refuseShortTimeout(settings: Settings, { operator, checkpoint, logger }: SinkValidateContext): void {
  const { transactionTimeoutMs, restartBudgetMs } = settings
  const needed = 2 * checkpoint.intervalMs + restartBudgetMs
  if (transactionTimeoutMs < needed) {
    throw new TerminalError(
      `Kafka sink "${operator}": transactionTimeoutMs is ${transactionTimeoutMs}, but a transaction may be open for ${needed} ms: two ` +
        `checkpoint intervals of ${checkpoint.intervalMs} ms, and ${restartBudgetMs} ms in which the job may be down. The broker would abort it, and ` +
        `its records would be lost. Raise it, checkpoint more often, or lower restartBudgetMs`,
      { code: 'SLUICE_KAFKA_TRANSACTION_TIMEOUT' },
    )
  }
  if (checkpoint.timeoutMs >= transactionTimeoutMs) {
    logger.warn(
      `a checkpoint may take ${checkpoint.timeoutMs} ms, but a Kafka transaction of this sink lives for ${transactionTimeoutMs} ms: a slow one ends ` +
        `the attempt before it is given up`,
      { operator },
    )
  }
}

/** Asks for an id that nobody has: an answer about rights is one about all ids of the job. */
async function refuseMissingRights(connection: KafkaConnection, context: SinkValidateContext): Promise<void> {
  const { longestName, operator, job, signal } = context
  const answer = await connection.persist(
    DESCRIBE_TRANSACTIONS,
    coordinatorOf(longestName),
    { transactionalIds: [longestName] },
    { errorCodeOf: ({ transactions }) => transactions[0]?.errorCode ?? 0, deadlineMs: PATIENCE_MS, signal },
  )
  const errorCode = answer.transactions[0]?.errorCode ?? 0
  if (errorCode === 0 || errorCode === CODES.TRANSACTIONAL_ID_NOT_FOUND) return
  throw new TerminalError(
    `Kafka sink "${operator}" may not look at transactions whose ids begin with "${job}--": ${describeCode(errorCode)}. Give the user of the ` +
      `Kafka configuration Write and Describe on transactional ids with that prefix (docs/kafka.md lists all rights)`,
    { code: 'SLUICE_KAFKA_NOT_ALLOWED' },
  )
}

async function refuseLongTimeout(
  connection: KafkaConnection,
  { transactionTimeoutMs }: Settings,
  context: SinkValidateContext,
): Promise<void> {
  const { operator, logger } = context
  let maxMs: number
  try {
    maxMs = await longestTimeout(connection)
  } catch (error) {
    // Rights to read the configuration are not needed otherwise; InitProducerId refuses it too.
    logger.warn(`${MAX_TIMEOUT} of the Kafka brokers cannot be read: ${messageOf(error)}`, { operator })
    return
  }
  if (transactionTimeoutMs <= maxMs) return
  throw new TerminalError(
    `Kafka sink "${operator}": transactionTimeoutMs is ${transactionTimeoutMs}, but ${MAX_TIMEOUT} of the brokers is ${maxMs}. Lower the one or raise ` +
      `the other`,
    { code: 'SLUICE_KAFKA_TRANSACTION_TIMEOUT' },
  )
}

/** The lowest of all brokers. */
async function longestTimeout(connection: KafkaConnection): Promise<number> {
  const { brokers } = await connection.metadata([])
  const admin = await connection.admin()
  const { resources } = await admin.describeConfigs({
    includeSynonyms: false,
    resources: brokers.map(({ nodeId }) => ({
      type: BROKER_RESOURCE,
      name: String(nodeId),
      configNames: [MAX_TIMEOUT],
    })),
  })
  const values = resources.flatMap(({ configEntries }) =>
    configEntries.filter(({ configName }) => configName === MAX_TIMEOUT).map(({ configValue }) => Number(configValue)),
  )
  return Math.min(...values)
}
