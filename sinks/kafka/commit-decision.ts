/**
 * What is to be done about a prepared transaction, and what became of it: a pure decision on what the broker says. No request is made here.
 *
 * The order of questions: what DescribeTransactions says of the id; where the transaction is open, what EndTxn answers; where neither is
 * proof, whether the witness is there, an offset that was written inside the transaction and is visible only if it was committed. Nothing is
 * lost before the witness was asked.
 */
import type { TransactionDescription } from '../../clients/kafka/wire/transaction-states.ts'
import { CODES, errorOfCode } from '../../clients/kafka/error-table.ts'
import { unreachable } from '../../engine/api/index.ts'
import type { KafkaTransaction } from './committable.ts'

/**
 * - `open`: this very transaction is ongoing.
 * - `committed`: this very one, decided and durable (its markers may be on their way).
 * - `aborted`: this very one, by EndTxn of somebody who had its handle.
 * - `fenced`: one producer epoch ahead and aborted: it timed out, or the id was initialised while it was open.
 * - `moved-on`: the id has been initialised since, or has another producer id by now: what became of this one it does not say.
 * - `behind`: the broker knows less than the handle does: it has lost data, or is another cluster.
 * - `not-found`: the broker does not know the id.
 * - `unanswered`: it could not be asked.
 */
export type Described = 'open' | 'committed' | 'aborted' | 'fenced' | 'moved-on' | 'behind' | 'not-found' | 'unanswered'

/** `refused`: it is not open any more, or never was (47, 48, 49, 90). `unclear`: no answer, or "ask again". */
export type Ended = 'not-asked' | 'done' | 'refused' | 'unclear'

/** Of this use of the id or a later one. `absent`: it never came, or the group is gone. */
export type Witness = 'not-asked' | 'present' | 'absent' | 'unanswered'

export interface CommitFacts {
  readonly described: Described
  readonly ended: Ended
  readonly witness: Witness
}

export type CommitDecision =
  | 'end'
  | 'describe-again'
  | 'ask-witness'
  | 'committed'
  | 'already-committed'
  | 'lost'
  | 'ask-later'

export function decideCommit({ described, ended, witness }: CommitFacts): CommitDecision {
  if (ended === 'done') return 'committed'
  switch (described) {
    case 'open':
      // Refused although it was open: it was ended between the two requests.
      if (ended === 'not-asked') return 'end'
      return ended === 'refused' ? 'describe-again' : 'ask-later'
    case 'committed':
      return 'already-committed'
    case 'aborted':
    case 'fenced':
    case 'moved-on':
    case 'behind':
    case 'not-found':
      if (witness === 'not-asked') return 'ask-witness'
      if (witness === 'present') return 'already-committed'
      return witness === 'absent' ? 'lost' : 'ask-later'
    case 'unanswered':
      return 'ask-later'
    default:
      return unreachable(described)
  }
}

/** @param description undefined: there was no answer, or an empty one */
export function describedAs(
  handle: Pick<KafkaTransaction, 'producerId' | 'producerEpoch'>,
  description: TransactionDescription | undefined,
): Described {
  if (description === undefined) return 'unanswered'
  if (description.errorCode === CODES.TRANSACTIONAL_ID_NOT_FOUND) return 'not-found'
  if (description.errorCode !== 0 || description.state === undefined) return 'unanswered'
  if (description.producerId !== handle.producerId) return 'moved-on'
  const epochsAhead = description.producerEpoch - handle.producerEpoch
  if (epochsAhead < 0) return 'behind'
  switch (description.state) {
    case 'Ongoing':
      return epochsAhead === 0 ? 'open' : 'moved-on'
    case 'PrepareCommit':
    case 'CompleteCommit':
      return epochsAhead === 0 ? 'committed' : 'moved-on'
    case 'PrepareAbort':
    case 'CompleteAbort':
      if (epochsAhead === 0) return 'aborted'
      return epochsAhead === 1 ? 'fenced' : 'moved-on'
    case 'PrepareEpochFence':
      return epochsAhead <= 1 ? 'fenced' : 'moved-on'
    case 'Empty':
      // The same producer epoch, and nothing in it: the broker does not know what was prepared.
      return epochsAhead === 0 ? 'behind' : 'moved-on'
    case 'Dead':
      return 'not-found'
    default:
      return unreachable(description.state)
  }
}

export function endedAs(errorCode: number): Ended {
  if (errorCode === 0) return 'done'
  const { next } = errorOfCode(errorCode)
  return next === 'fenced' || next === 'lost' ? 'refused' : 'unclear'
}

/** Why it is lost, and what can be done, for people. */
export function lossOf(described: Described): string {
  switch (described) {
    case 'fenced':
      return 'the broker aborted it: it was open for longer than its timeout, or its id was initialised by somebody else'
    case 'aborted':
      return 'it was aborted by a request that named it, as `kafka-transactions.sh abort` sends one'
    case 'moved-on':
      return 'its id was initialised by somebody else, which aborts what is open, and it has not been committed before'
    case 'behind':
      return 'the broker knows nothing of it: it has lost data, or is not the cluster that it was'
    case 'not-found':
      return 'the broker does not know its id (any more): it was idle for longer than transactional.id.expiration.ms, or is another cluster'
    case 'open':
    case 'committed':
    case 'unanswered':
      return 'it is not'
    default:
      return unreachable(described)
  }
}
