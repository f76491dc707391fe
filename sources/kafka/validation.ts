/** What can be known before the job starts: that brokers answer, in versions that are spoken here, and that all that is meant may be read. */
import { KafkaClient } from '../../clients/kafka/client.ts'
import { CODES, describeCode } from '../../clients/kafka/error-table.ts'
import { FETCH } from '../../clients/kafka/wire/fetch.ts'
import { OFFSET_FETCH } from '../../clients/kafka/wire/group-offsets.ts'
import type { TopicMetadata } from '../../clients/kafka/wire/metadata.ts'
import { messageOf, RetryableError, TerminalError, type ValidateContext } from '../../engine/api/index.ts'
import { topicMissing } from './discovery.ts'
import { persistently } from './patience.ts'
import { brokersOf, type KafkaSettings } from './settings.ts'
import { findTopics, notAllowed, TOPIC_AUTHORIZATION_FAILED } from './topics.ts'

const DEADLINE_MS = 5_000
const GROUP_AUTHORIZATION_FAILED = 30

/** Reads only. @throws TerminalError with the setting that is wrong */
export async function validateSource(
  settings: KafkaSettings<unknown>,
  { operator, logger, signal }: Pick<ValidateContext, 'operator' | 'logger' | 'signal'>,
): Promise<void> {
  await using client = await KafkaClient.open(settings.connect)
  try {
    const topics = await persistently(async () => await checkTopics(client, settings), {
      deadlineMs: DEADLINE_MS,
      signal,
    })
    if (topics.length === 0)
      logger.warn(`source "${operator}": no topic matches ${String(settings.topics)} yet; it is looked for`)
    await persistently(async () => await checkRights(client, topics), { deadlineMs: DEADLINE_MS, signal })
    const { groupId } = settings
    if (groupId !== undefined) {
      await persistently(async () => await checkGroup(client, groupId), { deadlineMs: DEADLINE_MS, signal })
    }
  } catch (error) {
    if (error instanceof TerminalError) {
      const source = `source "${operator}"`
      throw new TerminalError(`${source}: ${error.message}`, { cause: error })
    }
    if (!(error instanceof RetryableError)) throw error
    throw new TerminalError(
      `source "${operator}": Kafka at ${brokersOf(settings)} gives no answer: ${messageOf(error)}. Check connect.brokers, ssl and sasl of the ` +
        'Kafka source, and whether the brokers run',
      { cause: error, code: 'SLUICE_KAFKA_UNREACHABLE' },
    )
  }
}

async function checkTopics(
  client: KafkaClient,
  { topics, bounded }: KafkaSettings<unknown>,
): Promise<readonly TopicMetadata[]> {
  const found = await findTopics(client, topics)
  if (topics instanceof RegExp) {
    if (found.length > 0 || !bounded) return found
    throw new TerminalError(`no topic matches ${String(topics)}; check topics of the Kafka source`, {
      code: 'SLUICE_KAFKA_TOPIC_MISSING',
    })
  }
  for (const name of topics) if (found.every((topic) => topic.name !== name)) throw topicMissing(name)
  return found
}

/** A fetch of nothing much, by which the broker judges whether the user may read. */
async function checkRights(client: KafkaClient, topics: readonly TopicMetadata[]): Promise<void> {
  const led = topics.flatMap(({ name, topicId, partitions }) => {
    const first = partitions.find(({ leader }) => leader >= 0)
    return first === undefined ? [] : [{ name, topicId, ...first }]
  })
  for (const [nodeId, mine] of Map.groupBy(led, ({ leader }) => leader)) {
    const answer = await client.ask(
      FETCH,
      { kind: 'broker', nodeId },
      {
        maxWaitMs: 0,
        minBytes: 0,
        maxBytes: 1,
        isolation: 'read_committed',
        topics: mine.map(({ name, topicId, partition }) => ({
          name,
          topicId,
          partitions: [{ partition, offset: 0, leaderEpoch: -1, maxBytes: 1 }],
        })),
      },
    )
    for (const { name, topicId, partitions } of answer.topics) {
      if (partitions.every(({ errorCode }) => errorCode !== TOPIC_AUTHORIZATION_FAILED)) continue
      throw notAllowed(mine.find((one) => one.name === name || one.topicId === topicId)?.name ?? name)
    }
  }
}

async function checkGroup(client: KafkaClient, groupId: string): Promise<void> {
  const answer = await client.persist(
    OFFSET_FETCH,
    { kind: 'coordinator', of: 'group', key: groupId },
    { requireStable: false, groups: [{ groupId, topics: null }] },
    { errorCodeOf: ({ groups }) => groups[0]?.errorCode ?? 0, deadlineMs: DEADLINE_MS },
  )
  const errorCode = answer.groups[0]?.errorCode ?? 0
  if (errorCode === GROUP_AUTHORIZATION_FAILED) {
    throw new TerminalError(
      `the user of the Kafka configuration may not use the group ${groupId} (groupId of the Kafka source): allow READ on it, or leave groupId out`,
      { code: 'SLUICE_KAFKA_NOT_ALLOWED' },
    )
  }
  if (errorCode === 0 || errorCode === CODES.UNSTABLE_OFFSET_COMMIT) return
  throw new RetryableError(`the group ${groupId} cannot be asked: ${describeCode(errorCode)}`, {
    code: 'SLUICE_KAFKA_UNREACHABLE',
  })
}
