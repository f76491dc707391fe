/**
 * `sluice txn show`: all that is known of one transaction, and what a commit or an abort of it by hand would mean.
 */
import { tableOf } from '../table.ts'
import { possibilityOf } from './consequence.ts'
import { fieldsOf, meaningOf, type Field, type Fields } from './list.ts'
import { JobTransactions, type Transaction, type TxnFlags } from './subject.ts'
import { namedIn } from './choice.ts'

export async function show(jobFile: string, id: string, flags: TxnFlags): Promise<void> {
  await using subject = await JobTransactions.open(jobFile, flags)
  const shown = namedIn(await subject.look(), id)
  process.stdout.write(
    flags.json === true
      ? `${JSON.stringify({ job: subject.job, transactions: shown.map(shownFields) })}\n`
      : shown.map(textOf).join('\n'),
  )
}

function shownFields(transaction: Transaction): Fields {
  return {
    ...fieldsOf(transaction),
    meaning: meaningOf(transaction.verdict),
    commit: possibilityOf(transaction, 'commit'),
    abort: possibilityOf(transaction, 'abort'),
  }
}

function textOf(transaction: Transaction): string {
  const rows = Object.entries(shownFields(transaction)).map(([name, value]) => [`  ${name}`, wordOf(value)])
  return `${transaction.seen.id}\n${tableOf(rows.filter(([name]) => name !== '  id'))}`
}

function wordOf(value: Field): string {
  if (value === null) return '-'
  return typeof value === 'object' ? value.join(' ') : String(value)
}
