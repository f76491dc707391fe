/** What must hold of the topics of this example, in SQL that knows nothing of streams and checkpoints. */
import type { Claim } from '../claims.ts'

export const TABLES: readonly string[] = [
  `CREATE VIEW arrived AS
SELECT part, place, key, value, TRY_CAST(value AS JSON) AS json, TRY_CAST(json->>'number' AS BIGINT) AS number FROM orders`,
  // One row for each order, however often it was sent.
  `CREATE VIEW placed AS
SELECT json->>'customer' AS customer, number, (min(json->>'cents'))::BIGINT AS cents
FROM arrived WHERE number IS NOT NULL GROUP BY ALL`,
  `CREATE VIEW totals AS
SELECT part, place, key, value->>'customer' AS customer, (value->>'orders')::BIGINT AS orders, (value->>'cents')::BIGINT AS cents
FROM order_totals`,
]

export const CLAIMS: readonly Claim[] = [
  {
    text: 'running totals = a window over the orders, each counted once',
    sql: `WITH expected AS (
  SELECT customer, count(*) OVER so_far AS orders, (sum(cents) OVER so_far)::BIGINT AS cents
  FROM placed WINDOW so_far AS (PARTITION BY customer ORDER BY number)),
found AS (SELECT customer, orders, cents FROM totals),
wrong AS (
  (SELECT 'is missing' AS what, * FROM (FROM expected EXCEPT ALL FROM found)) UNION ALL
  (SELECT 'is wrong, or there twice', * FROM (FROM found EXCEPT ALL FROM expected)))
SELECT (SELECT count(*) FROM expected), count(*),
       min('total ' || orders || ' of ' || customer || ', ' || cents || ' cents, ' || what) FROM wrong`,
  },
  {
    text: "each customer's totals in one partition, in order",
    sql: `WITH places AS (
  SELECT customer, orders, row_number() OVER (PARTITION BY part, customer ORDER BY place) AS nth FROM totals WHERE key = customer)
SELECT (SELECT count(*) FROM totals), (SELECT count(*) FROM totals) - count(*) FILTER (orders = nth),
       min('total ' || orders || ' of ' || customer || ' is in place ' || nth) FILTER (orders <> nth)
FROM places`,
  },
  {
    text: 'the last total of each customer = the sum of its orders',
    sql: `WITH sums AS (SELECT customer, sum(cents) AS cents FROM placed GROUP BY customer),
last AS (SELECT customer, last(cents ORDER BY place) AS cents FROM totals GROUP BY customer)
SELECT count(*), count(*) FILTER (sums.cents IS DISTINCT FROM last.cents),
       min(customer || ' ordered for ' || sums.cents || ' cents, the last total is ' || coalesce(last.cents::VARCHAR, 'none'))
         FILTER (sums.cents IS DISTINCT FROM last.cents)
FROM sums FULL JOIN last USING (customer)`,
  },
  {
    text: 'what is no order is rejected, as it was, once',
    sql: `WITH expected AS (SELECT key, value FROM arrived WHERE number IS NULL),
found AS (SELECT key, value FROM orders_rejected),
wrong AS (
  (SELECT ' is missing' AS what, * FROM (FROM expected EXCEPT ALL FROM found)) UNION ALL
  (SELECT ' is wrong, or there twice', * FROM (FROM found EXCEPT ALL FROM expected)))
SELECT (SELECT count(*) FROM expected), count(*), min(value || what) FROM wrong`,
  },
]
