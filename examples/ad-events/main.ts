/** `npm run example -- ad-events`: the job of this directory on a broker of its own, killed again and again. `--help` says what can be set. */
import { tryKafkaExample } from '../kafka-trial/trial.ts'
import { adEventArrivals } from './arrivals.ts'
import { CLAIMS, TABLES } from './claims.ts'

process.exitCode = await tryKafkaExample(
  {
    name: 'ad-events',
    about:
      'Impressions and clicks of ads from a Kafka topic, a row for each ad and minute to another, none counted twice.',
    job: new URL('job.ts', import.meta.url),
    input: 'ad-events',
    outputs: ['ad-minutes', 'ad-events-uncounted'],
    partitions: 3,
    arrivals: adEventArrivals,
    tables: TABLES,
    claims: CLAIMS,
  },
  process.argv.slice(2),
)
