/** Where partitions begin and end, asked of their leaders, again where the answer says so. */
import type { KafkaClient } from '../../clients/kafka/client.ts'
import { describeCode, nextStep } from '../../clients/kafka/error-table.ts'
import { LIST_OFFSETS } from '../../clients/kafka/wire/list-offsets.ts'
import { messageOf, RetryableError, TerminalError } from '../../engine/api/index.ts'
import { pause, pauseMs, type Patience } from './patience.ts'
import type { Isolation } from './settings.ts'
import { splitId, type KafkaPosition } from './split.ts'
import { notAllowed, TOPIC_AUTHORIZATION_FAILED } from './topics.ts'

export interface WantedOffset {
  readonly topic: string
  readonly partition: number
}

export interface OffsetQuestion extends Patience {
  /** `EARLIEST`, `LATEST`, or a time. */
  readonly timestamp: number
  readonly isolation: Isolation
}

const ANSWER_MS = 10_000

/** By split id; an offset of -1: no record is that late. @throws RetryableError at the deadline, naming what has no answer */
export async function offsetsAt(
  client: KafkaClient,
  wanted: readonly WantedOffset[],
  question: OffsetQuestion,
): Promise<ReadonlyMap<string, KafkaPosition>> {
  const found = new Map<string, KafkaPosition>()
  const deadline = performance.now() + question.deadlineMs
  for (let failures = 1; ; failures += 1) {
    const missing = wanted.filter(({ topic, partition }) => !found.has(splitId(topic, partition)))
    if (missing.length === 0) return found
    let why = 'no leader'
    try {
      why = (await askLeaders(client, missing, { question, found })) ?? why
    } catch (error) {
      if (!(error instanceof RetryableError)) throw error
      why = messageOf(error)
    }
    if (wanted.length === found.size) return found
    const waitMs = pauseMs(failures)
    if (performance.now() + waitMs > deadline || !(await pause(waitMs, question.signal))) {
      const names = missing.map(({ topic, partition }) => splitId(topic, partition)).join(', ')
      throw new RetryableError(`Kafka does not tell the offsets of ${names}: ${why}`, {
        code: 'SLUICE_KAFKA_UNREACHABLE',
      })
    }
  }
}

interface Asking {
  readonly question: OffsetQuestion
  readonly found: Map<string, KafkaPosition>
}

/** Why some have no answer. */
async function askLeaders(
  client: KafkaClient,
  wanted: readonly WantedOffset[],
  { question, found }: Asking,
): Promise<string | undefined> {
  const { topics } = await client.metadata([...new Set(wanted.map(({ topic }) => topic))])
  const leaders = new Map(
    topics.flatMap(({ name, partitions }) =>
      partitions.map(({ partition, leader }) => [splitId(name, partition), leader] as const),
    ),
  )
  const byLeader = Map.groupBy(wanted, ({ topic, partition }) => leaders.get(splitId(topic, partition)) ?? -1)
  let why: string | undefined
  for (const [nodeId, mine] of byLeader) {
    if (nodeId < 0) continue
    const { timestamp, isolation } = question
    const byTopic = Map.groupBy(mine, ({ topic }) => topic)
    const answer = await client.ask(
      LIST_OFFSETS,
      { kind: 'broker', nodeId },
      {
        isolation,
        timeoutMs: ANSWER_MS,
        topics: [...byTopic].map(([name, partitions]) => ({
          name,
          partitions: partitions.map(({ partition }) => ({ partition, leaderEpoch: -1, timestamp })),
        })),
      },
    )
    for (const { name, partitions } of answer.topics) {
      for (const { partition, errorCode, offset, leaderEpoch } of partitions) {
        if (errorCode === 0) found.set(splitId(name, partition), { offset, leaderEpoch })
        else why = reasonOf(name, partition, errorCode)
      }
    }
  }
  return why
}

/** @throws TerminalError where asking again would not help */
function reasonOf(topic: string, partition: number, errorCode: number): string {
  if (errorCode === TOPIC_AUTHORIZATION_FAILED) throw notAllowed(topic)
  const why = describeCode(errorCode)
  if (nextStep(errorCode) !== 'fatal') return why
  throw new TerminalError(`Kafka refuses to tell the offsets of ${topic}-${partition}: ${why}`, {
    code: 'SLUICE_KAFKA_REFUSED',
  })
}
