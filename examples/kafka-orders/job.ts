/**
 * From Kafka to Kafka, exactly once: orders come in, the running total of each customer goes out. An order that the shop sends again is
 * passed over, and what is no order goes to a topic of its own.
 *
 *   npx sluice run examples/kafka-orders/job.ts --set brokers=localhost:9092
 *
 * `npm run example -- kafka-orders` starts a broker, fills the topics, kills the job again and again, and checks what came out.
 */
import { defineJob, type, value } from 'sluice'
import { kafkaSink } from 'sluice/sinks/kafka'
import { badRecords, jsonValue, kafkaSource, type BadKafkaRecord } from 'sluice/sources/kafka'
import { z } from 'zod'

/** The topic is written with the customer as key: all orders of a customer are in one partition, in the order of their numbers. */
const Order = z.object({
  customer: z.string(),
  /** Of this customer: 1, 2, 3, … An order that is sent again has the number it had. */
  number: z.int().positive(),
  cents: z.int().nonnegative(),
  placedAt: z.int(),
})

export interface Total {
  readonly customer: string
  readonly orders: number
  readonly cents: number
}

export default defineJob({
  id: 'kafka-orders',
  checkpoint: { intervalMs: Number(process.env['KAFKA_INTERVAL_MS'] ?? 1_000) },
  build(flow, settings) {
    const connect = { brokers: settings.string('brokers', { default: 'localhost:9092' }).split(',') }
    const orders = flow.source(
      'orders',
      kafkaSource({
        connect,
        topics: 'orders',
        decode: jsonValue(Order),
        timestamp: (order) => order.placedAt,
        onBadRecord: 'side',
      }),
    )
    orders
      .keyBy((order) => order.customer)
      .process('running-total', {
        // A number per customer knows every order that was counted: no list of ids that grows.
        state: { newest: value(() => 0), orders: value(() => 0), cents: value(() => 0) },
        emits: type<Total>(),
        onRecord(order, { state, emit, key }) {
          if (order.number <= state.newest.get()) return
          state.newest.set(order.number)
          const total = { customer: key, orders: state.orders.get() + 1, cents: state.cents.get() + order.cents }
          state.orders.set(total.orders)
          state.cents.set(total.cents)
          emit(total)
        },
      })
      .sink(
        'totals',
        kafkaSink<Total>({
          connect,
          topic: 'order-totals',
          record: (total) => ({ key: total.customer, value: JSON.stringify(total) }),
        }),
      )
    orders.side(badRecords).sink(
      'rejected',
      kafkaSink<BadKafkaRecord>({
        connect,
        topic: 'orders-rejected',
        record: ({ topic, partition, offset, key, value: bytes, error }) => ({
          key,
          value: bytes,
          headers: [
            { key: 'place', value: `${topic}-${partition}@${offset}` },
            { key: 'error', value: error },
          ],
        }),
      }),
    )
  },
})
