/** Commits offsets to a group, for those who watch lag from outside. Nothing here is ever read back. */
import type { KafkaClient } from '../../clients/kafka/client.ts'
import { describeCode } from '../../clients/kafka/error-table.ts'
import { OFFSET_COMMIT, type PartitionsAnswered } from '../../clients/kafka/wire/group-offsets.ts'
import { RetryableError } from '../../engine/api/index.ts'
import type { KafkaPosition, KafkaSplit } from './split.ts'

const DEADLINE_MS = 10_000

export class GroupOffsets {
  readonly #client: KafkaClient
  readonly #groupId: string

  constructor(client: KafkaClient, groupId: string) {
    this.#client = client
    this.#groupId = groupId
  }

  /** @throws RetryableError: the next checkpoint makes up for it */
  async commit(positions: readonly { readonly split: KafkaSplit; readonly position: KafkaPosition }[]): Promise<void> {
    if (positions.length === 0) return
    const byTopic = Map.groupBy(positions, ({ split }) => split.topic)
    const topics = [...byTopic].map(([name, mine]) => ({
      name,
      partitions: mine.map(({ split: { partition }, position: { offset, leaderEpoch } }) => ({
        partition,
        offset,
        leaderEpoch,
        metadata: '',
      })),
    }))
    const answer = await this.#client.persist(
      OFFSET_COMMIT,
      { kind: 'coordinator', of: 'group', key: this.#groupId },
      { groupId: this.#groupId, topics },
      { errorCodeOf: (one) => failureIn(one)?.errorCode ?? 0, deadlineMs: DEADLINE_MS },
    )
    const failed = failureIn(answer)
    if (failed === undefined) return
    throw new RetryableError(
      `offsets are not committed to the group ${this.#groupId} (${failed.name}-${failed.partition}: ${describeCode(failed.errorCode)}): ` +
        'it must have no members, and the user READ on it. What the job reads does not depend on it',
      { code: 'SLUICE_KAFKA_GROUP_OFFSETS' },
    )
  }
}

function failureIn({ topics }: PartitionsAnswered) {
  return topics
    .flatMap(({ name, partitions }) => partitions.map((one) => ({ ...one, name })))
    .find(({ errorCode }) => errorCode !== 0)
}
