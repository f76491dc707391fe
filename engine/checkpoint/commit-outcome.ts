/**
 * What follows from a committer's answers to one call: done, ask again (whom, when), or lost. Nothing is assumed: a missing answer, a
 * throw and `unknown` are asked again, for as long as the generation lives.
 *
 * - C6: a batch is resolved before the next one begins, so a later commit never overtakes an earlier one.
 * - C7: `lost` ends the job, unless somebody accepted exactly this loss; no answer of the same call hides it.
 */
import { unreachable, type CommitOutcome } from '../api/index.ts'

export interface CommitBackoff {
  /** After the first unclear answer; doubled up to `maxDelayMs`. */
  readonly initialDelayMs: number
  readonly maxDelayMs: number
}

export interface OutcomeFacts {
  /** How many requests the call held. */
  readonly requests: number
  /** One per request, in order; missing ones count as unknown. */
  readonly outcomes: readonly CommitOutcome[]
  /** 1, 2, … */
  readonly attempt: number
  /** `--accept-loss` names the checkpoint they are committed with. */
  readonly isLossAccepted: boolean
  /** In [0, 1). */
  readonly random: number
}

export type OutcomeDecision =
  | { readonly kind: 'all-committed'; readonly acceptedLosses: readonly number[] }
  /** `indexes` into the requests; the others are committed (or their loss accepted). */
  | {
      readonly kind: 'ask-again'
      readonly indexes: readonly number[]
      readonly afterMs: number
      readonly cause: unknown
      readonly acceptedLosses: readonly number[]
    }
  | { readonly kind: 'lost'; readonly index: number; readonly reason: string }

export function decideOutcomes(backoff: CommitBackoff, facts: OutcomeFacts): OutcomeDecision {
  const indexes: number[] = []
  const acceptedLosses: number[] = []
  let askedMs = 0
  let cause: unknown
  for (let index = 0; index < facts.requests; index += 1) {
    const outcome = facts.outcomes[index] ?? NO_OUTCOME
    switch (outcome.kind) {
      case 'committed':
      case 'already-committed':
        break
      case 'lost':
        if (!facts.isLossAccepted) return { kind: 'lost', index, reason: outcome.reason }
        acceptedLosses.push(index)
        break
      case 'retry':
        askedMs = Math.max(askedMs, outcome.afterMs ?? 0)
        cause = outcome.cause
        indexes.push(index)
        break
      case 'unknown':
        cause = outcome.cause
        indexes.push(index)
        break
      default:
        unreachable(outcome)
    }
  }
  if (indexes.length === 0) return { kind: 'all-committed', acceptedLosses }
  return {
    kind: 'ask-again',
    indexes,
    afterMs: Math.max(askedMs, commitBackoffMs(backoff, facts)),
    cause,
    acceptedLosses,
  }
}

const NO_OUTCOME: CommitOutcome = { kind: 'unknown', cause: 'the committer gave no outcome' }

/** Half of it by chance, so that many sinks of one service do not ask in step. */
function commitBackoffMs(
  backoff: CommitBackoff,
  { attempt, random }: Pick<OutcomeFacts, 'attempt' | 'random'>,
): number {
  const ceiling = Math.min(backoff.maxDelayMs, backoff.initialDelayMs * 2 ** Math.min(attempt - 1, 20))
  return ceiling * (0.5 + random / 2)
}
