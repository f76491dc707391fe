/** Which topics are meant, and what Kafka says when one cannot be read. */
import type { KafkaClient } from '../../clients/kafka/client.ts'
import { CODES, describeCode, nextStep } from '../../clients/kafka/error-table.ts'
import type { TopicMetadata } from '../../clients/kafka/wire/metadata.ts'
import { RetryableError, TerminalError } from '../../engine/api/index.ts'
import type { KafkaSplit } from './split.ts'

export const TOPIC_AUTHORIZATION_FAILED = 29

/** Those of the list that are there, or those that match, in the order of their names. @throws TerminalError for one that may not be read */
export async function findTopics(
  client: KafkaClient,
  topics: readonly string[] | RegExp,
): Promise<readonly TopicMetadata[]> {
  const { topics: all } = await client.metadata(topics instanceof RegExp ? null : topics)
  const meant =
    topics instanceof RegExp ? all.filter(({ name, isInternal }) => !isInternal && name.search(topics) >= 0) : all
  const found = meant.filter((topic) => isThere(topic))
  return found.toSorted((one, other) => (one.name < other.name ? -1 : 1))
}

/** @throws TerminalError or RetryableError for other answers than that there is no such topic */
function isThere({ name, errorCode }: TopicMetadata): boolean {
  if (errorCode === 0) return true
  if (errorCode === CODES.UNKNOWN_TOPIC_OR_PARTITION) return false
  if (errorCode === TOPIC_AUTHORIZATION_FAILED) throw notAllowed(name)
  if (nextStep(errorCode) === 'fatal') {
    throw new TerminalError(
      `Kafka refuses the topic ${name}: ${describeCode(errorCode)}; check topics of the Kafka source`,
      {
        code: 'SLUICE_KAFKA_TOPIC_MISSING',
      },
    )
  }
  throw new RetryableError(`Kafka cannot tell of the topic ${name} now: ${describeCode(errorCode)}`, {
    code: 'SLUICE_KAFKA_UNREACHABLE',
  })
}

export function notAllowed(topic: string): TerminalError {
  return new TerminalError(
    `the user of the Kafka configuration may not read the topic ${topic}: allow READ and DESCRIBE on it (kafka-acls)`,
    { code: 'SLUICE_KAFKA_NOT_ALLOWED' },
  )
}

/** Undefined: it is what was read before. */
export function whatBecameOf(split: KafkaSplit, found: TopicMetadata | undefined): TerminalError | undefined {
  if (found === undefined || found.errorCode === CODES.UNKNOWN_TOPIC_OR_PARTITION) {
    return new TerminalError(
      `the topic ${split.topic} (id ${split.topicId}) is gone, and with it what was not read yet of ${split.id}. ` +
        'Leave it out of topics and drop its position, or begin a new job',
      { code: 'SLUICE_KAFKA_TOPIC_GONE' },
    )
  }
  if (found.errorCode !== 0) return undefined
  if (found.topicId !== split.topicId) {
    return new TerminalError(
      `the topic ${split.topic} was deleted and created anew: its id is ${found.topicId}, and ${split.topicId} was read. ` +
        'What was not read yet is gone, and positions mean nothing in the new one: begin a new job for it',
      { code: 'SLUICE_KAFKA_TOPIC_RECREATED' },
    )
  }
  if (found.partitions.some(({ partition }) => partition === split.partition)) return undefined
  return new TerminalError(
    `the topic ${split.topic} has ${found.partitions.length} partitions, and ${split.id} is none of them: it is gone. Begin a new job`,
    { code: 'SLUICE_KAFKA_TOPIC_GONE' },
  )
}
