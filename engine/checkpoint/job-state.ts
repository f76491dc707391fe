/**
 * The state of a job by its newest log entry. Entries say what the process was doing when it appended them, so that a state costs no
 * entry of its own: it rides in the next one, which comes within seconds.
 */
import { unreachable } from '../api/index.ts'
import type { EndState, LogEntry, Phase } from './log-entry.ts'

/** What a job is doing, or how it ended. */
export type JobState = 'STARTING' | 'RUNNING' | 'RESTARTING' | 'STOPPING' | EndState

/** Says nothing of whether the process is still there. */
export function jobStateOf(newest: Pick<LogEntry, 'kind' | 'phase' | 'end' | 'restarts' | 'retained'>): JobState {
  if (newest.end !== undefined) return newest.end.state
  const phase = newest.phase ?? phaseOfOlderRelease(newest)
  switch (phase) {
    case 'starting':
      return 'STARTING'
    case 'restarting':
      return 'RESTARTING'
    case 'stopping':
      return 'STOPPING'
    case 'running':
      // Nothing comes after a final checkpoint but its commits.
      return newest.retained.at(-1)?.final === true ? 'STOPPING' : 'RUNNING'
    default:
      return unreachable(phase)
  }
}

function phaseOfOlderRelease(newest: Pick<LogEntry, 'kind' | 'restarts'>): Phase {
  if (newest.kind !== 'started') return 'running'
  return newest.restarts > 0 ? 'restarting' : 'starting'
}
