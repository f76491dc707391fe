/**
 * Input and output compared by DuckDB, which knows nothing of streams, checkpoints or this job: SQL over the file that the shop wrote
 * and the files that are visible.
 */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { proveClaims, type Claim, type Proof } from '../claims.ts'
import { INPUT, OUTPUT } from './lives.ts'
import { SINKS, type SinkName } from './reader.ts'

const ORDER = {
  id: 'VARCHAR',
  customer: 'VARCHAR',
  country: 'VARCHAR',
  status: 'VARCHAR',
  lines: 'STRUCT(sku VARCHAR, quantity BIGINT, cents BIGINT)[]',
  placedAt: 'BIGINT',
}
const COLUMNS: Readonly<Record<'placed' | SinkName, Readonly<Record<string, string>>>> = {
  placed: ORDER,
  enriched: { ...ORDER, cents: 'BIGINT', size: 'VARCHAR' },
  totals: { customer: 'VARCHAR', orders: 'BIGINT', cents: 'BIGINT' },
}

/** `rowid` is the place in the files: first by name, then by line. */
export const CLAIMS: readonly Claim[] = [
  {
    text: 'each order once, as it was placed, with its sum',
    sql: `WITH expected AS (
  SELECT id, customer, country, status, lines, placedAt,
         list_sum([line.quantity * line.cents FOR line IN lines])::BIGINT AS cents,
         CASE WHEN cents < 20000 THEN 'small' ELSE 'large' END AS size
  FROM placed),
wrong AS (
  (SELECT 'is missing' AS what, * FROM (FROM expected EXCEPT ALL FROM enriched)) UNION ALL
  (SELECT 'is wrong, or there twice', * FROM (FROM enriched EXCEPT ALL FROM expected)))
SELECT (SELECT count(*) FROM placed), count(*), min_by('order ' || id || ' ' || what, id) FROM wrong`,
  },
  {
    text: "each customer's orders in the order in which they were placed",
    sql: `WITH neighbours AS (
  SELECT id, customer, lag(id) OVER (PARTITION BY customer ORDER BY rowid) AS before FROM enriched)
SELECT count(*), count(*) FILTER (before >= id),
       min_by('order ' || id || ' of ' || customer || ' comes after ' || before, id) FILTER (before >= id)
FROM neighbours`,
  },
  {
    text: 'running totals = a window over the input',
    sql: `WITH paid AS (
  SELECT rowid AS place, customer, list_sum([line.quantity * line.cents FOR line IN lines]) AS cents
  FROM placed WHERE status = 'paid'),
expected AS (
  SELECT customer, count(*) OVER so_far AS orders, (sum(cents) OVER so_far)::BIGINT AS cents
  FROM paid WINDOW so_far AS (PARTITION BY customer ORDER BY place)),
wrong AS (
  (SELECT 'is missing' AS what, * FROM (FROM expected EXCEPT ALL FROM totals)) UNION ALL
  (SELECT 'is wrong, or there twice', * FROM (FROM totals EXCEPT ALL FROM expected)))
SELECT (SELECT count(*) FROM expected), count(*),
       min_by('total ' || orders || ' of ' || customer || ', ' || cents || ' cents, ' || what, what) FROM wrong`,
  },
  {
    text: "each customer's totals in order",
    sql: `WITH places AS (
  SELECT customer, orders, row_number() OVER (PARTITION BY customer ORDER BY rowid) AS place FROM totals)
SELECT count(*), count(*) FILTER (orders <> place),
       min('total ' || orders || ' of ' || customer || ' is in place ' || place) FILTER (orders <> place)
FROM places`,
  },
  {
    text: 'the last total of each customer = the sum of what was paid',
    sql: `WITH paid AS (
  SELECT customer, sum(list_sum([line.quantity * line.cents FOR line IN lines])) AS cents
  FROM placed WHERE status = 'paid' GROUP BY customer),
last AS (SELECT customer, last(cents ORDER BY rowid) AS cents FROM totals GROUP BY customer)
SELECT count(*), count(*) FILTER (paid.cents IS DISTINCT FROM last.cents),
       min(customer || ' paid ' || paid.cents || ' cents, the last total is ' || coalesce(last.cents::VARCHAR, 'none'))
         FILTER (paid.cents IS DISTINCT FROM last.cents)
FROM paid FULL JOIN last USING (customer)`,
  },
]

/** `directory`: in which the job ran. @throws JobProblem where DuckDB has no library for this machine */
export async function prove(directory: string): Promise<Proof> {
  return await proveClaims(CLAIMS, [
    tableOf('placed', [join(directory, INPUT)]),
    ...SINKS.map((sink) => tableOf(sink, visibleIn(join(directory, OUTPUT, sink)))),
  ])
}

/** With the records of these files, in this order. */
function tableOf(name: keyof typeof COLUMNS, files: readonly string[]): string {
  const columns = Object.entries(COLUMNS[name])
  if (files.length === 0)
    return `CREATE TABLE ${name} (${columns.map(([column, type]) => `${column} ${type}`).join(', ')})`
  const list = files.map((file) => `'${file.replaceAll("'", "''")}'`).join(', ')
  const map = columns.map(([column, type]) => `${column}: '${type}'`).join(', ')
  return `CREATE TABLE ${name} AS FROM read_ndjson([${list}], columns = {${map}})`
}

function visibleIn(directory: string): readonly string[] {
  return readdirSync(directory)
    .filter((name) => !name.startsWith('.'))
    .toSorted()
    .map((name) => join(directory, name))
}
