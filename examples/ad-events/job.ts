/**
 * Impressions and clicks of ads from Kafka, each counted once: for each ad and minute a row goes to Kafka whenever it changes, under a key by
 * which an OLAP store (Pinot, ClickHouse, Druid) replaces the row before.
 *
 *   npx sluice run examples/ad-events/job.ts --set brokers=localhost:9092
 *
 * Events come more than once and out of order, clicks before their impressions too: per-minute.ts says what becomes of them.
 *
 * `npm run example -- ad-events` starts a broker, fills the topics, kills the job again and again, and checks what came out.
 */
import { defineJob } from 'sluice'
import { kafkaSink } from 'sluice/sinks/kafka'
import { jsonValue, kafkaSource } from 'sluice/sources/kafka'
import { AdEvent } from './ad-event.ts'
import { perMinute, uncounted, type AdMinute, type Uncounted } from './per-minute.ts'

export default defineJob({
  id: 'ad-events',
  checkpoint: { intervalMs: Number(process.env['KAFKA_INTERVAL_MS'] ?? 1_000) },
  build(flow, settings) {
    const connect = { brokers: settings.string('brokers', { default: 'localhost:9092' }).split(',') }
    // Both kinds in one topic, with the ad as key: what comes before what is fixed for each ad, and the same in every replay.
    const rows = flow
      .source(
        'events',
        kafkaSource({ connect, topics: 'ad-events', decode: jsonValue(AdEvent), timestamp: (event) => event.at }),
      )
      .keyBy((event) => event.ad)
      .process('per-minute', perMinute)
    rows.sink(
      'rows',
      kafkaSink<AdMinute>({
        connect,
        topic: 'ad-minutes',
        record: (row) => ({ key: `${row.ad}/${row.minute}`, value: JSON.stringify(row) }),
      }),
    )
    rows.side(uncounted).sink(
      'uncounted',
      kafkaSink<Uncounted>({
        connect,
        topic: 'ad-events-uncounted',
        record: (one) => ({ key: one.event.ad, value: JSON.stringify(one) }),
      }),
    )
  },
})
