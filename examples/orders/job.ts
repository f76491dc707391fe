/**
 * Two outputs of one stream of orders: each order with its total, and each customer's running total of what was paid.
 *
 *   npx sluice run examples/orders/job.ts --set input=data/orders --set output=out
 *
 * `npm run example -- orders` makes the orders, kills the job again and again, and checks what came out.
 */
import { defineJob, json, type, value } from 'sluice'
import { fileSink } from 'sluice/sinks/file'
import { fileSource } from 'sluice/sources/file'
import { z } from 'zod'

const Order = z.object({
  id: z.string(),
  customer: z.string(),
  country: z.string(),
  status: z.enum(['paid', 'pending', 'refunded']),
  lines: z.array(z.object({ sku: z.string(), quantity: z.int().positive(), cents: z.int().nonnegative() })),
  placedAt: z.int(),
})

export interface EnrichedOrder extends z.infer<typeof Order> {
  readonly cents: number
  readonly size: 'small' | 'large'
}

export interface RunningTotal {
  readonly customer: string
  readonly orders: number
  readonly cents: number
}

const LARGE_FROM_CENTS = 20_000

export default defineJob({
  id: 'orders',
  checkpoint: { intervalMs: Number(process.env['ORDERS_INTERVAL_MS'] ?? 1_000) },
  build(flow, settings) {
    const output = settings.string('output', { default: 'out' })
    const enriched = flow
      .source(
        'orders',
        fileSource({
          path: settings.string('input', { default: 'data/orders' }),
          decode: json(Order),
          timestamp: (order) => order.placedAt,
          follow: settings.flag('follow'),
        }),
      )
      .map('enrich', (order): EnrichedOrder => {
        const cents = order.lines.reduce((sum, line) => sum + line.quantity * line.cents, 0)
        return { ...order, cents, size: cents < LARGE_FROM_CENTS ? 'small' : 'large' }
      })
    enriched.sink('enriched', fileSink({ path: `${output}/enriched`, encode: json() }))
    enriched
      .filter('paid', (order) => order.status === 'paid')
      .keyBy((order) => order.customer)
      .process('running-total', {
        state: { orders: value(() => 0), cents: value(() => 0) },
        emits: type<RunningTotal>(),
        onRecord(order, { state, emit, key }) {
          const orders = state.orders.get() + 1
          const cents = state.cents.get() + order.cents
          state.orders.set(orders)
          state.cents.set(cents)
          emit({ customer: key, orders, cents })
        },
      })
      .sink('totals', fileSink({ path: `${output}/totals`, encode: json() }))
  },
})
