/**
 * What the answer to a conditional create of a log entry means.
 */
import type { LogEntry } from './log-entry.ts'

export interface AppendFacts {
  readonly answer: 'created' | 'exists' | 'unclear'
  readonly ours: Pick<LogEntry, 'generation' | 'nonce' | 'kind'>
  /** The entry under that number, when the answer was `exists`; undefined when it could not be read. */
  readonly found: Pick<LogEntry, 'generation' | 'nonce' | 'kind'> | undefined
}

export type AppendDecision =
  | { readonly kind: 'appended' }
  | { readonly kind: 'fenced'; readonly by: number }
  /** Only a start: somebody of an older generation took the number. */
  | { readonly kind: 'try-next' }
  | { readonly kind: 'ask-again' }

export function decideAppend({ answer, ours, found }: AppendFacts): AppendDecision {
  if (answer === 'created') return { kind: 'appended' }
  if (answer === 'unclear' || found === undefined) return { kind: 'ask-again' }
  if (found.nonce === ours.nonce && found.generation === ours.generation) return { kind: 'appended' }
  if (found.generation < ours.generation && ours.kind === 'started') return { kind: 'try-next' }
  return { kind: 'fenced', by: found.generation }
}
