/** What is thrown for bytes that are not what the protocol says: never a crash, never a loop. */
import { TerminalError } from '../../../engine/api/index.ts'

export function malformed(what: string, cause?: unknown): TerminalError {
  return new TerminalError(
    `malformed Kafka data: ${what}. Something between here and the broker, or the broker's disk, damaged it; ` +
      `compare with what kafka-dump-log says of the segment`,
    { code: 'SLUICE_KAFKA_MALFORMED', ...(cause !== undefined && { cause }) },
  )
}
