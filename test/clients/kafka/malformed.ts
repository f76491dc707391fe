/** Damaged data may be refused in one way only. */
import { TerminalError } from '../../../engine/api/index.ts'

/** What `run` gives, or `'malformed'` where it refuses; anything else that is thrown is thrown on. */
export function orMalformed<T>(run: () => T): T | 'malformed' {
  try {
    return run()
  } catch (error) {
    if (error instanceof TerminalError && error.code === 'SLUICE_KAFKA_MALFORMED') return 'malformed'
    throw error
  }
}
