/**
 * Which transactions a person means, and whether each may be ended as was asked. All of it before anything is ended.
 */
import { TerminalError, unreachable, type TransactionEnd } from '../../engine/api/index.ts'
import { decideEnd, type Acceptance } from '../../engine/checkpoint/hand-made-end.ts'
import { FLAGS, consequenceOf } from './consequence.ts'
import { meaningOf } from './list.ts'
import type { Looked, Transaction } from './subject.ts'

export interface Wish {
  readonly how: TransactionEnd
  readonly what: { readonly id: string } | 'all-due' | 'all-orphans'
  readonly accepted: Acceptance
}

/** In the order in which they are to be ended. None: there is nothing to do. @throws TerminalError when one may not be ended so */
export function chosenIn(looked: Looked, wish: Wish): readonly Transaction[] {
  const meant = meantBy(looked, wish)
  const chosen = meant.filter((one) => isToBeEnded(one, wish))
  if (wish.how === 'commit') for (const one of chosen) refuseOutOfOrder(one, chosen, { looked, wish })
  return chosen
}

/** All that bear this id. @throws TerminalError when there is none */
export function namedIn({ newest, transactions }: Looked, id: string): readonly Transaction[] {
  const named = transactions.filter(({ seen }) => seen.id === id)
  if (named.length > 0) return named
  throw new TerminalError(
    `job "${newest.job}" has no open transaction "${id}", and no retained checkpoint holds one of this id; \`sluice txn list\` shows those there are`,
    { code: 'SLUICE_TXN_UNKNOWN' },
  )
}

function meantBy(looked: Looked, { what }: Wish): readonly Transaction[] {
  const { transactions } = looked
  if (what === 'all-due') return transactions.filter(({ verdict }) => verdict === 'due')
  if (what === 'all-orphans') return transactions.filter(({ verdict }) => verdict === 'orphan')
  const named = namedIn(looked, what.id)
  // An id is used for one transaction after another: the one that can still be ended is meant.
  const open = named.filter(({ seen }) => seen.fate === 'open')
  return open.length > 0 ? open : named.slice(-1)
}

function isToBeEnded(one: Transaction, { how, accepted }: Wish): boolean {
  const { verdict, seen } = one
  const decision = decideEnd(verdict, how, accepted)
  switch (decision.kind) {
    case 'allowed':
      return true
    case 'nothing-to-do':
      return false
    case 'to-be-accepted':
      throw new TerminalError(
        `${how} of "${seen.id}" (${verdict}) is done only with ${FLAGS[decision.what]}: ${consequenceOf(one, how)}`,
        { code: 'SLUICE_TXN_NOT_ACCEPTED' },
      )
    case 'refused':
      throw new TerminalError(`"${seen.id}" is not ended by hand, it is "${verdict}": ${meaningOf(verdict)}`, {
        code: 'SLUICE_TXN_REFUSED',
      })
    default:
      return unreachable(decision)
  }
}

/** Nothing becomes visible before what comes before it (C6). Of what is lost nothing ever will: that is to be accepted. */
function refuseOutOfOrder(
  one: Transaction,
  chosen: readonly Transaction[],
  { looked, wish }: { readonly looked: Looked; readonly wish: Wish },
): void {
  if (one.held === null) return
  const mine = looked.transactions.filter(({ sink, held }) => sink === one.sink && held !== null)
  const before = mine.slice(0, mine.indexOf(one)).find(({ verdict, seen, held }) => {
    if (verdict === 'committed' || held?.isCommitted === true) return false
    if (verdict === 'lost') return !wish.accepted.loss
    return !chosen.some((other) => other.seen === seen)
  })
  if (before === undefined) return
  const cure =
    before.verdict === 'due'
      ? 'commit that first, or all with --all-due'
      : before.verdict === 'lost'
        ? 'what comes behind it becomes visible only with --accept-loss'
        : 'look again when the outside answers'
  throw new TerminalError(
    `"${one.seen.id}" comes behind "${before.seen.id}" of checkpoint ${before.held?.checkpoint}, which is "${before.verdict}": ${cure}`,
    { code: 'SLUICE_TXN_OUT_OF_ORDER' },
  )
}
