/**
 * What the answer to a conditional create of a log entry means, and when a waymark is due.
 *
 * - C3: an entry of another generation under our number fences us, except at a start, which takes the next one above an older generation.
 * - An entry of our own under our number is a reply that was lost (F7): it counts.
 * - In doubt (a directory fsync failed) stays in doubt: a second fsync lies, so the process exits.
 */
import { MARK_DISTANCE, type LogEntry } from './log-entry.ts'

export interface AppendFacts {
  readonly answer: 'created' | 'exists' | 'unclear' | 'in-doubt'
  readonly ours: Pick<LogEntry, 'generation' | 'nonce' | 'kind'>
  /** The entry under that number, when the answer was `exists`; undefined when it could not be read. */
  readonly found: Pick<LogEntry, 'generation' | 'nonce' | 'kind'> | undefined
}

export type AppendDecision =
  | { readonly kind: 'appended'; readonly replyWasLost: boolean }
  | { readonly kind: 'fenced'; readonly by: number }
  /** Only a start: somebody of an older generation took the number. */
  | { readonly kind: 'try-next' }
  | { readonly kind: 'ask-again' }
  | { readonly kind: 'in-doubt' }

export function decideAppend({ answer, ours, found }: AppendFacts): AppendDecision {
  if (answer === 'in-doubt') return { kind: 'in-doubt' }
  if (answer === 'created') return { kind: 'appended', replyWasLost: false }
  if (answer === 'unclear' || found === undefined) return { kind: 'ask-again' }
  if (found.nonce === ours.nonce && found.generation === ours.generation)
    return { kind: 'appended', replyWasLost: true }
  if (found.generation < ours.generation && ours.kind === 'started') return { kind: 'try-next' }
  return { kind: 'fenced', by: found.generation }
}

/** The waymark to create before an entry is appended under `nextSeq`; undefined: none. So a start fills in one that a crash left out. */
export function waymarkBefore(nextSeq: number, distance = MARK_DISTANCE): number | undefined {
  const before = nextSeq - 1
  return before > 0 && before % distance === 0 ? before / distance : undefined
}
