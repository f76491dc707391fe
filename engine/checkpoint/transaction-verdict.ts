/**
 * What a transaction outside is to the job: the log and the outside taken together. A pure decision, for people (`sluice txn`).
 */
import { unreachable, type TransactionFate } from '../api/index.ts'

/**
 * - `due`: a completed checkpoint holds it, and it is not committed: the next run commits it.
 * - `committed`: a completed checkpoint holds it, and it is visible.
 * - `lost`: a completed checkpoint holds it, and it is gone: the next run fails, unless the loss is accepted; or it was.
 * - `orphan`: it is open, and no checkpoint holds it: the next run aborts it, and writes its records again.
 * - `writing`: it is open, and belongs to the process that runs the job.
 * - `ending`: no checkpoint that is retained holds it, and its end has been decided.
 * - `unknown`: what the outside says, or whether the job runs, is not known; or the log and the outside contradict each other.
 */
export type TransactionVerdict = 'due' | 'committed' | 'lost' | 'orphan' | 'writing' | 'ending' | 'unknown'

export interface TransactionFacts {
  readonly fate: TransactionFate
  /** By the completed checkpoint that holds it; null: none that is retained does. */
  readonly held: {
    readonly isCommitted: boolean
    readonly isLossAccepted: boolean
  } | null
  /** Does a process run the job? null: that cannot be known from here. */
  readonly isRun: boolean | null
  /** Its name was given by the generation of the newest entry of the log. */
  readonly isOfNewestGeneration: boolean
}

export function verdictOf({ fate, held, isRun, isOfNewestGeneration }: TransactionFacts): TransactionVerdict {
  if (held !== null) return verdictOfHeld(fate, held)
  switch (fate) {
    case 'open':
      if (isRun === false || !isOfNewestGeneration) return 'orphan'
      return isRun === true ? 'writing' : 'unknown'
    case 'ending':
      return 'ending'
    case 'committed':
    case 'gone':
    case 'unknown':
      return 'unknown'
    default:
      return unreachable(fate)
  }
}

function verdictOfHeld(
  fate: TransactionFate,
  { isCommitted, isLossAccepted }: NonNullable<TransactionFacts['held']>,
): TransactionVerdict {
  switch (fate) {
    case 'committed':
      return 'committed'
    case 'open':
      // The log says that it is committed: another cluster, or one that has lost what it knew.
      return isCommitted ? 'unknown' : 'due'
    case 'gone':
      // Evidence goes, what the log says does not; of an accepted loss it only says that it need not be committed.
      return isCommitted && !isLossAccepted ? 'committed' : 'lost'
    case 'ending':
    case 'unknown':
      return isCommitted && !isLossAccepted ? 'committed' : 'unknown'
    default:
      return unreachable(fate)
  }
}
