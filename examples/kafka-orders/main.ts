/** `npm run example -- kafka-orders`: the job of this directory on a broker of its own, killed again and again. `--help` says what can be set. */
import { tryKafkaExample } from '../kafka-trial/trial.ts'
import { CLAIMS, TABLES } from './claims.ts'
import { orderArrivals } from './arrivals.ts'

process.exitCode = await tryKafkaExample(
  {
    name: 'kafka-orders',
    about: 'Orders from a Kafka topic, the running total of each customer to another, exactly once.',
    job: new URL('job.ts', import.meta.url),
    input: 'orders',
    outputs: ['order-totals', 'orders-rejected'],
    partitions: 3,
    arrivals: orderArrivals,
    tables: TABLES,
    claims: CLAIMS,
  },
  process.argv.slice(2),
)
