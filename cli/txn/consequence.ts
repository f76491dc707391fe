/** What ending a transaction by hand means, for the person who is about to do it. */
import { unreachable, type TransactionEnd } from '../../engine/api/index.ts'
import { decideEnd, type Acceptance } from '../../engine/checkpoint/hand-made-end.ts'
import { pluralText } from '../amounts.ts'
import { meaningOf } from './list.ts'
import type { Transaction } from './subject.ts'

/** Where it is allowed, with everything accepted. */
export function consequenceOf({ sink, seen, held }: Transaction, how: TransactionEnd): string {
  const records = seen.records === null ? 'its records (how many is not known)' : pluralText(seen.records, 'record')
  const where = seen.places.length === 0 ? `of sink "${sink}"` : `of sink "${sink}" in ${seen.places.join(', ')}`
  const what = `${records} ${where}`
  if (how === 'commit') {
    return held === null
      ? `${what} become visible, and a second time when the next run writes them again: no completed checkpoint holds them`
      : `${what} become visible, as checkpoint ${held.checkpoint} says; the next run finds them committed`
  }
  return held === null
    ? `${what} are given up; nothing is lost, as the next run writes them again`
    : `${what} are LOST: checkpoint ${held.checkpoint} holds them, and no run writes them again. The next run fails, and ` +
        `goes on with --accept-loss ${held.checkpoint} only`
}

/** For `show`: could it be done, with what flag, and what would it mean. */
export function possibilityOf(transaction: Transaction, how: TransactionEnd): string {
  const decision = decideEnd(transaction.verdict, how, { duplicates: false, loss: false })
  switch (decision.kind) {
    case 'allowed':
      return consequenceOf(transaction, how)
    case 'to-be-accepted':
      return `only with ${FLAGS[decision.what]}: ${consequenceOf(transaction, how)}`
    case 'nothing-to-do':
      return 'nothing to do'
    case 'refused':
      return `refused: ${meaningOf(transaction.verdict)}`
    default:
      return unreachable(decision)
  }
}

export const FLAGS = {
  duplicates: '--accept-duplicates',
  loss: '--accept-loss',
} as const satisfies Record<keyof Acceptance, string>
