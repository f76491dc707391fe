/**
 * A balance per account, kept exactly: each payment counts once, whatever happens to the process in between.
 */
import { defineJob, json, type, value, type Stream } from 'sluice'
import { fileSink } from 'sluice/sinks/file'
import { fileSource } from 'sluice/sources/file'
import { textSink } from './text-sink.ts'

export interface Payment {
  readonly account: string
  /** Negative: money that left. */
  readonly cents: number
}

export interface Balance {
  readonly account: string
  readonly payments: number
  readonly cents: number
}

export default defineJob({
  id: 'sluice-project',
  // What is written becomes visible with each checkpoint.
  checkpoint: { intervalMs: 1_000 },
  build(flow) {
    // `follow`: the job waits for more, also for new files. Without it, it ends with its input.
    const payments = flow.source('payments', fileSource({ path: 'data/*.ndjson', decode: json(), follow: true }))
    const balances = balancesOf(payments)
    balances.sink('balances', fileSink({ path: 'out/balances', encode: json() }))
    balances
      .filter('overdrawn', ({ cents }) => cents < 0)
      .sink('warnings', textSink({ directory: 'out/warnings', toLine: warningOf }))
  },
})

/** The operators, apart from where records come from and go to: so a test can run them between a source and a sink of its own. */
export function balancesOf(payments: Stream<unknown>): Stream<Balance> {
  return payments
    .map('check', paymentOf)
    .keyBy(({ account }) => account)
    .process('balance', {
      state: { payments: value(() => 0), cents: value(() => 0) },
      emits: type<Balance>(),
      onRecord(payment, { key, state, emit }) {
        const payments = state.payments.get() + 1
        const cents = state.cents.get() + payment.cents
        state.payments.set(payments)
        state.cents.set(cents)
        emit({ account: key, payments, cents })
      },
    })
}

/** What it throws fails the job: better than a sum that is wrong. A schema does the same, as `json(schema)`: of zod, valibot, arktype, … */
export function paymentOf(record: unknown): Payment {
  if (typeof record === 'object' && record !== null && 'account' in record && 'cents' in record) {
    const { account, cents } = record
    if (typeof account === 'string' && Number.isSafeInteger(cents)) return { account, cents: Number(cents) }
  }
  throw new Error(`this is no payment: ${JSON.stringify(record)}`)
}

export function warningOf({ account, payments, cents }: Balance): string {
  return `${account} is at ${(cents / 100).toFixed(2)} after ${payments} payments`
}
