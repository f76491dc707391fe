/** Records that were to be read and are not there: said with the numbers, never passed over. */
import type { KafkaClient } from '../../clients/kafka/client.ts'
import { EARLIEST, LATEST } from '../../clients/kafka/wire/list-offsets.ts'
import { TerminalError } from '../../engine/api/index.ts'
import type { AssignedPartition } from './assigned-partition.ts'
import { offsetsAt } from './offsets.ts'

const DEADLINE_MS = 30_000

/** Undefined: the log holds the offset after all. */
export async function judgeRange(
  client: KafkaClient,
  { split, fetched }: AssignedPartition,
  signal: AbortSignal,
): Promise<TerminalError | undefined> {
  const question = { deadlineMs: DEADLINE_MS, signal, isolation: 'read_uncommitted' } as const
  const start = (await offsetsAt(client, [split], { ...question, timestamp: EARLIEST })).get(split.id)?.offset ?? 0
  const end = (await offsetsAt(client, [split], { ...question, timestamp: LATEST })).get(split.id)?.offset ?? 0
  const { offset } = fetched
  if (offset < start) {
    return new TerminalError(
      `${split.id} begins at offset ${start} now, and ${offset} was to be read next: ${start - offset} offsets were deleted before they were ` +
        'read (retention, or DeleteRecords). Give the topic a longer retention; to go on without them begin a new job with start.offsets',
      { code: 'SLUICE_KAFKA_RECORDS_DELETED' },
    )
  }
  if (offset <= end) return undefined
  return new TerminalError(
    `${split.id} ends at offset ${end}, and ${offset} was to be read next: ${offset - end} offsets that were given, or read before, are not ` +
      'in the log. A leader without them was elected (unclean.leader.election.enable), or the position is that of another cluster. ' +
      'Restore an older savepoint, or begin a new job',
    { code: 'SLUICE_KAFKA_LOG_TRUNCATED' },
  )
}

export function rewritten(
  { split, fetched }: AssignedPartition,
  { leaderEpoch, offset }: { readonly leaderEpoch: number; readonly offset: number },
): TerminalError {
  return new TerminalError(
    `${split.id} was read up to offset ${fetched.offset} in leader epoch ${fetched.leaderEpoch}, and its log is another one from offset ` +
      `${offset} (epoch ${leaderEpoch}) on: ${fetched.offset - offset} offsets that were read are gone or hold other records. A leader without ` +
      'them was elected (unclean.leader.election.enable). Restore an older savepoint, or begin a new job',
    { code: 'SLUICE_KAFKA_LOG_TRUNCATED' },
  )
}

/** The broker has no such epoch in its log, though the offset is in it. */
export function unknownEpoch({ split, fetched }: AssignedPartition): TerminalError {
  return new TerminalError(
    `${split.id} was read up to offset ${fetched.offset} in leader epoch ${fetched.leaderEpoch}, and its log has no such epoch: records that ` +
      'were read are gone or hold other ones now. A leader without them was elected (unclean.leader.election.enable), or the position is that ' +
      'of another cluster. Restore an older savepoint, or begin a new job',
    { code: 'SLUICE_KAFKA_LOG_TRUNCATED' },
  )
}
