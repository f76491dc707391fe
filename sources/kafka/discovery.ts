/**
 * The splits there are, and where new ones start. The latest, a time and given offsets hold only for the first start of a job; what appears
 * later starts at its beginning (F32). The end of a bounded source is part of its splits, so that it stays where it was through restarts.
 */
import { KafkaClient } from '../../clients/kafka/client.ts'
import { EARLIEST, LATEST } from '../../clients/kafka/wire/list-offsets.ts'
import type { TopicMetadata } from '../../clients/kafka/wire/metadata.ts'
import { TerminalError, type DiscoveredSplit, type SourceContext } from '../../engine/api/index.ts'
import { CERTAIN_AFTER_MS } from './leaders.ts'
import { offsetsAt, type OffsetQuestion } from './offsets.ts'
import { pause, pauseMs } from './patience.ts'
import type { KafkaSettings } from './settings.ts'
import { splitId, type KafkaPosition, type KafkaSplit } from './split.ts'
import { findTopics, whatBecameOf } from './topics.ts'

type Discovered = DiscoveredSplit<KafkaSplit, KafkaPosition>

/** Longer a restart of the attempt is better. */
const DEADLINE_MS = 30_000
/** Of splits that have a position: the engine does not look at it. */
const UNUSED: KafkaPosition = { offset: 0, leaderEpoch: -1 }

export async function discoverSplits(
  settings: KafkaSettings<unknown>,
  { isFirst, signal }: Pick<SourceContext, 'isFirst' | 'signal'>,
  known: readonly KafkaSplit[],
): Promise<readonly Discovered[]> {
  await using client = await KafkaClient.open(settings.connect)
  const topics = await certainTopics(client, settings, { known, signal })
  const held = new Map(known.map((split) => [split.id, split]))
  const found = topics.flatMap(({ name, topicId, partitions }) =>
    partitions
      .map(({ partition }) => partition)
      .toSorted((one, other) => one - other)
      .map((partition) => ({ id: splitId(name, partition), topic: name, partition, topicId })),
  )
  const fresh = isFirst ? found : found.filter(({ id }) => !held.has(id))
  const patience = { deadlineMs: DEADLINE_MS, signal }
  const starts = await startsOf(client, fresh, { settings, isFirst, patience })
  const bounded = settings.bounded ? fresh.filter(({ id }) => !held.has(id)) : []
  const ends = await offsetsAt(client, bounded, { ...patience, timestamp: LATEST, isolation: settings.isolation })
  return found.map((split) => {
    const end = ends.get(split.id)?.offset
    const mine = held.get(split.id) ?? { ...split, ...(end === undefined ? {} : { end }) }
    return { split: mine, start: starts.get(split.id) ?? UNUSED }
  })
}

interface Looking {
  readonly known: readonly KafkaSplit[]
  readonly signal: AbortSignal
}

/** @throws TerminalError for a topic that is missing or another one, once that has lasted */
async function certainTopics(
  client: KafkaClient,
  settings: KafkaSettings<unknown>,
  { known, signal }: Looking,
): Promise<readonly TopicMetadata[]> {
  const deadline = performance.now() + CERTAIN_AFTER_MS
  for (let failures = 1; ; failures += 1) {
    const { topics, wrong } = await lookForTopics(client, settings, known)
    if (wrong === undefined) return topics
    if (performance.now() > deadline || !(await pause(pauseMs(failures), signal))) throw wrong
  }
}

interface Looked {
  readonly topics: readonly TopicMetadata[]
  readonly wrong: TerminalError | undefined
}

async function lookForTopics(
  client: KafkaClient,
  settings: KafkaSettings<unknown>,
  known: readonly KafkaSplit[],
): Promise<Looked> {
  const topics = await findTopics(client, settings.topics)
  const byName = new Map(topics.map((topic) => [topic.name, topic]))
  const listed = settings.topics instanceof RegExp ? [] : settings.topics
  // One that was read before is the readers' to judge: it may have been read to its end.
  const missing = listed.find((name) => !byName.has(name) && known.every(({ topic }) => topic !== name))
  const changed = known.flatMap((split) => {
    const topic = byName.get(split.topic)
    return (topic === undefined ? undefined : whatBecameOf(split, topic)) ?? []
  })
  return { topics, wrong: missing === undefined ? changed[0] : topicMissing(missing) }
}

export function topicMissing(name: string): TerminalError {
  return new TerminalError(`Kafka has no topic ${name}: create it, or check topics of the Kafka source`, {
    code: 'SLUICE_KAFKA_TOPIC_MISSING',
  })
}

interface Starting {
  readonly settings: KafkaSettings<unknown>
  readonly isFirst: boolean
  readonly patience: Pick<OffsetQuestion, 'deadlineMs' | 'signal'>
}

async function startsOf(
  client: KafkaClient,
  splits: readonly KafkaSplit[],
  { settings, isFirst, patience }: Starting,
): Promise<ReadonlyMap<string, KafkaPosition>> {
  const { isolation } = settings
  const start = isFirst ? settings.start : 'earliest'
  if (typeof start === 'object' && 'offsets' in start) {
    return new Map(splits.map((split) => [split.id, { offset: givenOffset(split, start.offsets), leaderEpoch: -1 }]))
  }
  const timestamp = start === 'earliest' ? EARLIEST : start === 'latest' ? LATEST : start.timestampMs
  const found = await offsetsAt(client, splits, { ...patience, isolation, timestamp })
  const late = splits.filter(({ id }) => found.get(id)?.offset === -1)
  const ends = await offsetsAt(client, late, { ...patience, isolation, timestamp: LATEST })
  // The epoch is that of the record at the offset, not of the one before it.
  return new Map([...found, ...ends].map(([id, { offset }]) => [id, { offset, leaderEpoch: -1 }]))
}

/** @throws TerminalError for one that is not named */
function givenOffset(
  { topic, partition, id }: KafkaSplit,
  offsets: Readonly<Record<string, Readonly<Record<number, number>>>>,
): number {
  const offset = offsets[topic]?.[partition]
  if (offset !== undefined) return offset
  throw new TerminalError(`start.offsets of the Kafka source names no offset for ${id}: give one for each partition`, {
    code: 'SLUICE_KAFKA_SOURCE_OPTION',
  })
}
