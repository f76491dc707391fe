/**
 * `sluice txn list`: the transactions of a job's sinks, at the outside and in the log, and what the next run will do with each.
 */
import { unreachable } from '../../engine/api/index.ts'
import type { TransactionVerdict } from '../../engine/checkpoint/transaction-verdict.ts'
import { pluralText } from '../amounts.ts'
import { tableOf, timeText } from '../table.ts'
import { JobTransactions, type Looked, type Transaction, type TxnFlags } from './subject.ts'

export async function list(jobFile: string, flags: TxnFlags): Promise<void> {
  await using subject = await JobTransactions.open(jobFile, flags)
  const looked = await subject.look()
  process.stdout.write(flags.json === true ? `${JSON.stringify(fieldsOfAll(looked))}\n` : textOf(looked))
}

export type Field = string | number | boolean | null | readonly string[]
export type Fields = Readonly<Record<string, Field>>

/** Of one transaction, for programs; the same in all commands. */
export function fieldsOf({ sink, seen, verdict, held }: Transaction): Fields {
  const { id, state, openSince, expiresAt, places, records, details } = seen
  return {
    sink,
    id,
    verdict,
    state,
    ...details,
    openSince: openSince === null ? null : timeText(openSince),
    expiresAt: expiresAt === null ? null : timeText(expiresAt),
    places,
    records,
    checkpoint: held?.checkpoint ?? null,
    subtask: held?.subtask ?? null,
    committed: held?.isCommitted ?? null,
  }
}

/** What becomes of it where nobody does anything. */
export function meaningOf(verdict: TransactionVerdict): string {
  switch (verdict) {
    case 'due':
      return 'a completed checkpoint holds it; the next run commits it'
    case 'committed':
      return 'it is visible'
    case 'lost':
      return 'a completed checkpoint holds it, and it is gone; the next run fails, or was told to go on without it'
    case 'orphan':
      return 'no completed checkpoint holds it; the next run aborts it, and writes its records again'
    case 'writing':
      return 'the running job is writing it'
    case 'ending':
      return 'its end has been decided, and is being carried out'
    case 'unknown':
      return 'what the outside says is not known, or is not what the log says'
    default:
      return unreachable(verdict)
  }
}

function fieldsOfAll({ newest, isRun, transactions, unseen, incomplete }: Looked): Readonly<Record<string, unknown>> {
  return {
    job: newest.job,
    generation: newest.generation,
    alive: isRun,
    committedThrough: newest.committedThrough,
    transactions: transactions.map(fieldsOf),
    unseen,
    incomplete,
  }
}

function textOf(looked: Looked): string {
  const { newest, transactions, unseen, incomplete } = looked
  const rows = transactions.map(rowOf)
  const head = ['verdict', 'transaction', 'outside', 'open since', 'records', 'writes to', 'checkpoint', 'log']
  const seenVerdicts = [...new Set(transactions.map(({ verdict }) => verdict))]
  return [
    `${newest.job}: ${holderText(looked)}; committed through checkpoint ${newest.committedThrough}\n`,
    transactions.length === 0 ? 'nothing is open outside, and no retained checkpoint holds a transaction\n' : '',
    transactions.length === 0 ? '' : tableOf([head, ...rows], [4, 6]),
    ...seenVerdicts.map((verdict) => `${verdict}: ${meaningOf(verdict)}\n`),
    ...unseen.map(({ sink, kind, due }) => {
      const what = kind === null ? 'is not in the job file any more' : `(${kind}) has no transactions to look at`
      return `sink "${sink}" ${what}; ${pluralText(due, 'commit')} due\n`
    }),
    ...incomplete.map(({ sink, reason }) => `sink "${sink}": more may be open: ${reason}\n`),
  ].join('')
}

function holderText({ newest, isRun }: Looked): string {
  const { pid, host } = newest.holder
  if (isRun === true) return `process ${pid} on ${host} runs it`
  return isRun === null ? `whether process ${pid} on ${host} runs it cannot be seen from here` : 'no process runs it'
}

function rowOf({ seen, verdict, held }: Transaction): readonly string[] {
  const { id, state, openSince, places, records, details } = seen
  return [
    verdict,
    id,
    [state, ...Object.entries(details).map(([name, value]) => `${name} ${value}`)].join(', '),
    openSince === null ? '' : timeText(openSince),
    records === null ? '' : String(records),
    places.join(' '),
    held === null ? '' : String(held.checkpoint),
    held === null ? '' : held.isCommitted ? 'committed' : 'due',
  ]
}
