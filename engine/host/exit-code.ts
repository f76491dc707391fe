/**
 * How a process ends, for supervisors: 0 done; 1 failed, starting again may help; 2 refused, starting again unchanged cannot
 * help; 3 another process runs the job.
 */
import { CorruptCheckpointError, FencedError, TerminalError } from '../api/index.ts'

export type ExitCode = 1 | 2 | 3

/** Looks through causes: a failure caused by being fenced is being fenced. */
export function exitCodeOf(error: unknown): ExitCode {
  const chain = causesOf(error)
  if (chain.some((one) => one instanceof FencedError)) return 3
  if (chain.some((one) => one instanceof TerminalError || one instanceof CorruptCheckpointError)) return 2
  return 1
}

/** Deeper chains are cyclic. */
const MAX_CAUSES = 20

function causesOf(error: unknown): readonly unknown[] {
  const chain: unknown[] = []
  for (let at = error; at !== undefined && chain.length < MAX_CAUSES; at = at instanceof Error ? at.cause : undefined) {
    chain.push(at)
  }
  return chain
}
