/**
 * `sluice txn commit` and `abort`: ends transactions of a job that does not run, one after another, after it has said what that means and was
 * confirmed. The log is left as it is: the next run looks at each, and finds what was done.
 */
import {
  FencedError,
  messageOf,
  TerminalError,
  unreachable,
  type EndOutcome,
  type TransactionEnd,
} from '../../engine/api/index.ts'
import { permitByHand } from '../../engine/checkpoint/commit-permit.ts'
import type { Acceptance } from '../../engine/checkpoint/hand-made-end.ts'
import { pluralText } from '../amounts.ts'
import { chosenIn, type Wish } from './choice.ts'
import { isConfirmed } from './confirmation.ts'
import { consequenceOf } from './consequence.ts'
import { fieldsOf } from './list.ts'
import { JobTransactions, type Looked, type Transaction, type TxnFlags } from './subject.ts'

export interface EndFlags extends TxnFlags {
  readonly allDue?: boolean
  readonly allOrphans?: boolean
  readonly acceptDuplicates?: boolean
  readonly acceptLoss?: boolean
  readonly yes?: boolean
}

export interface Asked {
  readonly job: string
  readonly id: string | undefined
  readonly flags: EndFlags
}

/** @returns the exit code */
export async function endByHand(how: TransactionEnd, { job, id, flags }: Asked): Promise<number> {
  const accepted = { duplicates: flags.acceptDuplicates === true, loss: flags.acceptLoss === true }
  const wish: Wish = { how, what: whatOf(id, flags), accepted }
  await using subject = await JobTransactions.open(job, flags)
  const looked = await subject.look()
  refuseWhileRun(looked)
  const chosen = chosenIn(looked, wish)
  for (const { sink, reason } of looked.incomplete) tell(`sink "${sink}": more may be open: ${reason}`)
  for (const { sink, due } of looked.unseen)
    if (due > 0) tell(`sink "${sink}" has ${due} commits due that only a run makes`)
  if (chosen.length === 0) return report(how, { looked, ended: [], isJson: flags.json === true })
  for (const one of chosen) tell(`${how} "${one.seen.id}" (${one.verdict}): ${consequenceOf(one, how)}`)
  const question = `${how} ${pluralText(chosen.length, 'transaction')}?`
  if (flags.yes !== true && !(await isConfirmed(question, { input: process.stdin, output: process.stderr }))) {
    throw new TerminalError('nothing was done, as nobody said yes', { code: 'SLUICE_TXN_NOT_CONFIRMED' })
  }
  if (!(await subject.isAsLookedAt(looked))) {
    throw new FencedError(
      `a process has begun to run job "${looked.newest.job}" meanwhile; nothing was ended by hand`,
      {
        code: 'SLUICE_JOB_HELD',
      },
    )
  }
  return report(how, { looked, ended: await endAll(subject, chosen, { how, accepted }), isJson: flags.json === true })
}

/** @throws TerminalError unless exactly one thing is named */
function whatOf(id: string | undefined, { allDue, allOrphans }: EndFlags): Wish['what'] {
  const named = [...(id === undefined ? [] : [{ id }]), ...(allDue === true ? (['all-due'] as const) : [])]
  const [what, ...others] = [...named, ...(allOrphans === true ? (['all-orphans'] as const) : [])]
  if (what !== undefined && others.length === 0) return what
  throw new TerminalError('name one transaction, or say --all-due or --all-orphans', { code: 'SLUICE_USAGE' })
}

/** A process that only might live counts: it could complete a checkpoint that holds what is given up here. */
function refuseWhileRun({ newest, isRun }: Looked): void {
  if (isRun === false) return
  const { pid, host } = newest.holder
  throw new FencedError(
    isRun === true
      ? `job "${newest.job}" is run by process ${pid} on ${host}, which ends its transactions itself; stop it first`
      : `whether process ${pid} on ${host} still runs job "${newest.job}" cannot be seen from here; ask there, or run the job and stop it`,
    { code: 'SLUICE_JOB_HELD' },
  )
}

interface Ended {
  readonly transaction: Transaction
  /** Undefined: not tried, as one before it of the same sink could not be committed (C6). */
  readonly outcome: EndOutcome | undefined
}

async function endAll(
  subject: JobTransactions,
  chosen: readonly Transaction[],
  { how, accepted }: { readonly how: TransactionEnd; readonly accepted: Acceptance },
): Promise<readonly Ended[]> {
  const ended: Ended[] = []
  const stuck = new Set<string>()
  for (const transaction of chosen) {
    const { sink, seen, verdict } = transaction
    if (how === 'commit' && stuck.has(sink)) {
      ended.push({ transaction, outcome: undefined })
      continue
    }
    const outcome = await subject.outside(sink).end(permitByHand(verdict, how, accepted), seen, how)
    if (outcome.kind !== 'done') stuck.add(sink)
    ended.push({ transaction, outcome })
  }
  return ended
}

interface Reported {
  readonly looked: Looked
  readonly ended: readonly Ended[]
  readonly isJson: boolean
}

function report(how: TransactionEnd, { looked, ended, isJson }: Reported): number {
  const { newest, incomplete } = looked
  const exitCode = ended.every(({ outcome }) => outcome?.kind === 'done') ? 0 : 1
  if (isJson) {
    const transactions = ended.map(({ transaction, outcome }) => ({
      ...fieldsOf(transaction),
      outcome: outcome?.kind ?? 'not-tried',
      reason: outcome === undefined || outcome.kind === 'done' ? null : reasonOf(outcome),
    }))
    process.stdout.write(`${JSON.stringify({ event: how, job: newest.job, transactions, incomplete, exitCode })}\n`)
    return exitCode
  }
  if (ended.length === 0) process.stdout.write(`${newest.job}: there is nothing to ${how}\n`)
  for (const { transaction, outcome } of ended)
    process.stdout.write(`${transaction.seen.id}: ${textOf(how, outcome)}\n`)
  return exitCode
}

function textOf(how: TransactionEnd, outcome: EndOutcome | undefined): string {
  if (outcome === undefined) return 'not tried, as it comes behind one that could not be committed'
  return outcome.kind === 'done' ? `${how === 'commit' ? 'committed' : 'aborted'}` : reasonOf(outcome)
}

function reasonOf(outcome: Exclude<EndOutcome, { readonly kind: 'done' }>): string {
  switch (outcome.kind) {
    case 'not-open':
      return `it is not open any more, and did not end so: ${outcome.state}`
    case 'unknown':
      return `what became of it is not known: ${messageOf(outcome.cause)}; look at the list, and ask again`
    default:
      return unreachable(outcome)
  }
}

/** On stderr: stdout is the outcome. */
function tell(text: string): void {
  process.stderr.write(`${text}\n`)
}
