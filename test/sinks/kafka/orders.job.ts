/** A keyed running count into Kafka, for processes that are killed. What is counted depends on indexes alone. */
import { defineJob, value } from 'sluice'
import { generatorSource } from 'sluice/sources/generator'
import { kafkaSink } from 'sluice/sinks/kafka'

function setting(name: string, fallback: number): number {
  return Number(process.env[`ORDERS_${name}`] ?? fallback)
}

interface Counted {
  readonly key: string
  readonly index: number
  readonly count: number
}

const KEYS = 7
const life = process.env['ORDERS_LIFE'] ?? 'life'

export default defineJob({
  id: `orders-${life}`,
  checkpoint: { intervalMs: setting('INTERVAL_MS', 40), toleratedFailures: 3 },
  ...(process.env['ORDERS_PARALLELISM'] !== undefined && { parallelism: setting('PARALLELISM', 1) }),
  restart: { kind: 'fixed-delay', attempts: 50, delayMs: 50 },
  build(flow) {
    flow
      .source(
        'numbers',
        generatorSource({
          count: setting('COUNT', 400),
          seed: 1,
          ratePerSecond: setting('RATE', 800),
          batchSize: 20,
          generate: (index) => index,
        }),
      )
      .keyBy((index) => `${life}/${index % KEYS}`)
      .process('count', {
        state: { count: value(() => 0) },
        onRecord(index, { state, emit, key }) {
          const count = state.count.get() + 1
          state.count.set(count)
          emit({ key, index, count })
        },
      })
      .sink(
        'out',
        kafkaSink<Counted>({
          connect: { brokers: [process.env['ORDERS_BROKER'] ?? ''], requestTimeout: 3_000, connectionTimeout: 3_000 },
          topic: process.env['ORDERS_TOPIC'] ?? '',
          record: ({ key, index, count }) => ({ key, value: `${life} ${index} ${count}` }),
          transactionTimeoutMs: setting('TRANSACTION_TIMEOUT_MS', 60_000),
          restartBudgetMs: setting('RESTART_BUDGET_MS', 1_000),
        }),
      )
  },
})
