/**
 * What must hold of the topics of this example, in SQL over what arrived and in which order. It knows nothing of the job but its rules: an
 * event is late when its ad has had one more than ten minutes newer, and a click counts if its impression does and both are open then.
 */
import type { Claim } from '../claims.ts'

const OPEN_MS = 10 * 60_000

export const TABLES: readonly string[] = [
  `CREATE TABLE arrived AS
WITH parsed AS (
  SELECT part, place, value::JSON AS event, value->>'kind' AS kind, value->>'id' AS id, value->>'ad' AS ad,
         value->>'impression' AS impression, (value->>'at')::BIGINT // 60000 * 60000 AS minute,
         (value->>'costMicros')::BIGINT AS cost
  FROM ad_events)
SELECT *, max(minute) OVER (PARTITION BY ad ORDER BY place) - ${OPEN_MS} AS oldest,
       max(minute) OVER (PARTITION BY ad) - ${OPEN_MS} AS oldest_at_last,
       row_number() OVER (PARTITION BY kind, id ORDER BY place) AS nth
FROM parsed`,
  `CREATE TABLE counted AS
SELECT * FROM arrived WHERE kind = 'impression' AND nth = 1 AND minute >= oldest`,
  `CREATE TABLE clicks AS
SELECT click.*, shown.minute AS shown_in,
       coalesce(CASE WHEN click.place > shown.place THEN shown.minute >= click.oldest ELSE click.minute >= shown.oldest END, false) AS counts
FROM arrived click LEFT JOIN counted shown ON click.impression = shown.id
WHERE click.kind = 'click' AND click.nth = 1 AND click.minute >= click.oldest`,
  `CREATE TABLE expected AS
SELECT ad, minute, sum(impressions)::BIGINT AS impressions, sum(clicks)::BIGINT AS clicks, sum(cost)::BIGINT AS cost
FROM (SELECT ad, minute, 1 AS impressions, 0 AS clicks, cost FROM counted UNION ALL
      SELECT ad, shown_in, 0, 1, 0 FROM clicks WHERE counts) GROUP BY ad, minute`,
  `CREATE TABLE rows AS
SELECT part, place, key, value->>'ad' AS ad, (value->>'minute')::BIGINT AS minute, (value->>'impressions')::BIGINT AS impressions,
       (value->>'clicks')::BIGINT AS clicks, (value->>'costMicros')::BIGINT AS cost, (value->>'revision')::BIGINT AS revision
FROM ad_minutes`,
]

export const CLAIMS: readonly Claim[] = [
  {
    text: 'the last row of each ad and minute = a count over distinct events',
    sql: `WITH found AS (
  SELECT any_value(ad) AS ad, any_value(minute) AS minute, last(impressions ORDER BY place) AS impressions,
         last(clicks ORDER BY place) AS clicks, last(cost ORDER BY place) AS cost FROM rows GROUP BY key),
wrong AS (
  (SELECT 'should be there' AS what, * FROM (FROM expected EXCEPT ALL FROM found)) UNION ALL
  (SELECT 'is there', * FROM (FROM found EXCEPT ALL FROM expected)))
SELECT (SELECT count(*) FROM expected), count(*),
       min(ad || '/' || minute || ' with ' || impressions || ' impressions, ' || clicks || ' clicks, ' || cost || ' ' || what) FROM wrong`,
  },
  {
    text: 'the rows of each key in one partition, revision by revision',
    sql: `WITH places AS (SELECT *, row_number() OVER (PARTITION BY part, key ORDER BY place) AS nth FROM rows)
SELECT count(*), count(*) FILTER (revision <> nth OR key <> ad || '/' || minute),
       min('revision ' || revision || ' of ' || key || ' is in place ' || nth) FILTER (revision <> nth)
FROM places`,
  },
  {
    text: 'all that was shown is in the sums: impressions, clicks and money',
    sql: `WITH sums AS (
  SELECT (SELECT count(*) FROM counted) AS impressions, (SELECT count(*) FROM clicks WHERE counts) AS clicks,
         (SELECT sum(cost) FROM counted) AS cost),
last AS (SELECT last(impressions ORDER BY place) AS impressions, last(clicks ORDER BY place) AS clicks, last(cost ORDER BY place) AS cost
  FROM rows GROUP BY key),
found AS (SELECT sum(impressions) AS impressions, sum(clicks) AS clicks, sum(cost) AS cost FROM last)
SELECT sums.impressions + sums.clicks,
       abs(sums.impressions - found.impressions) + abs(sums.clicks - found.clicks) + (sums.cost <> found.cost)::INT,
       CASE WHEN (sums.impressions, sums.clicks, sums.cost) <> (found.impressions, found.clicks, found.cost)
            THEN found.impressions || ' impressions and ' || found.clicks || ' clicks, not ' || sums.impressions || ' and ' || sums.clicks END
FROM sums, found`,
  },
  {
    text: 'what was not counted is told, each time it came',
    sql: `WITH told AS (
  SELECT 'late' AS reason, event FROM arrived WHERE minute < oldest UNION ALL
  SELECT 'no-impression', event FROM clicks WHERE NOT counts AND minute < oldest_at_last),
should AS (SELECT reason, event->>'kind' AS kind, event->>'id' AS id FROM told),
found AS (SELECT value->>'reason' AS reason, value->>'$.event.kind' AS kind, value->>'$.event.id' AS id FROM ad_events_uncounted),
wrong AS (
  (SELECT 'is missing' AS what, * FROM (FROM should EXCEPT ALL FROM found)) UNION ALL
  (SELECT 'is wrong, or there twice', * FROM (FROM found EXCEPT ALL FROM should)))
SELECT (SELECT count(*) FROM should), count(*), min(kind || ' ' || id || ' (' || reason || ') ' || what) FROM wrong`,
  },
]
