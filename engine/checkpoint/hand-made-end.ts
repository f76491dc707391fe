/**
 * May a person end this transaction? A pure decision (C1, S2). What the next run would do by itself is allowed; what costs records, or makes
 * them come twice, only to who says so; what nobody can judge never.
 */
import { unreachable, type TransactionEnd } from '../api/index.ts'
import type { TransactionVerdict } from './transaction-verdict.ts'

export interface Acceptance {
  /** Records that no completed checkpoint holds become visible, and the next run writes them again. */
  readonly duplicates: boolean
  /** Records that a completed checkpoint holds never become visible. */
  readonly loss: boolean
}

export type EndDecision =
  | { readonly kind: 'allowed' }
  /** It would be with this. */
  | { readonly kind: 'to-be-accepted'; readonly what: keyof Acceptance }
  /** It has ended like that. */
  | { readonly kind: 'nothing-to-do' }
  | { readonly kind: 'refused' }

export function decideEnd(verdict: TransactionVerdict, how: TransactionEnd, accepted: Acceptance): EndDecision {
  switch (verdict) {
    case 'due':
      return how === 'commit' ? { kind: 'allowed' } : onlyWith('loss', accepted)
    case 'orphan':
      return how === 'abort' ? { kind: 'allowed' } : onlyWith('duplicates', accepted)
    case 'committed':
      return { kind: how === 'commit' ? 'nothing-to-do' : 'refused' }
    case 'lost':
      return { kind: how === 'abort' ? 'nothing-to-do' : 'refused' }
    case 'writing':
    case 'ending':
    case 'unknown':
      return { kind: 'refused' }
    default:
      return unreachable(verdict)
  }
}

function onlyWith(what: keyof Acceptance, accepted: Acceptance): EndDecision {
  return accepted[what] ? { kind: 'allowed' } : { kind: 'to-be-accepted', what }
}
