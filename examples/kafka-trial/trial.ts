/**
 * `npm run example -- kafka-orders`, `-- ad-events`: a job from Kafka to Kafka, tried. A broker is started, the input is written while the job
 * runs and is killed again and again, and what Kafka's own consumer then reads is compared by DuckDB with what went in.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { KafkaBroker } from '../../services/kafka/broker.ts'
import { consumeCommitted, type ConsumedRecord } from '../../services/kafka/java-tools.ts'
import { SeededRandom } from '../../sources/generator/seeded-random.ts'
import { proveClaims, type Proof } from '../claims.ts'
import { interruptible } from '../interruptible.ts'
import { JobProblem } from '../running-job.ts'
import type { KafkaExample } from './example.ts'
import { Feed } from './feed.ts'
import { LIFE_MS, liveAll } from './lives.ts'
import { helpOf, parseOptions, SABOTAGES, type Options } from './options.ts'
import { Topics, type HeldUp } from './topics.ts'

const IDLE_MS = 5_000
const LONG_IDLE_MS = 15_000

/** Resolves with the exit code. */
export async function tryKafkaExample(example: KafkaExample, argv: readonly string[]): Promise<number> {
  const asked = parseOptions(argv)
  if (asked.kind === 'help') {
    console.log(helpOf(example))
    return 0
  }
  if (asked.kind === 'wrong') {
    console.error(`${asked.why}\nnpm run example -- ${example.name} --help lists the options.`)
    return 2
  }
  return await interruptible(async (signal) => await run(example, asked.options, signal))
}

async function run(example: KafkaExample, options: Options, signal: AbortSignal): Promise<number> {
  const { records, kills, seed, sabotage, keep } = options
  const directory = mkdtempSync(join(tmpdir(), `sluice-${example.name}-`))
  console.log(`${example.about}\n${records} records, ${kills} kills, seed ${seed}`)
  if (sabotage !== undefined) console.log(`sabotage: ${SABOTAGES[sabotage]}; this must be found`)
  let isWell = false
  try {
    const problems = await tryIt({ example, options, directory, signal })
    isWell = problems.length === 0
    for (const problem of problems) console.log(`WRONG: ${problem}`)
    if (isWell) console.log(`PROVEN: killed ${kills} times, and what readers of committed records see is exact`)
    return isWell ? 0 : 1
  } catch (error) {
    if (signal.aborted || !(error instanceof JobProblem)) throw error
    console.log(`WRONG: ${error.message}`)
    return 1
  } finally {
    const isLeft = keep || (!isWell && sabotage === undefined && !signal.aborted)
    if (isLeft) console.log(`What the job and the broker wrote is in ${directory}`)
    else rmSync(directory, { recursive: true, force: true, maxRetries: 5 })
  }
}

interface Trial {
  readonly example: KafkaExample
  readonly options: Options
  readonly directory: string
  readonly signal: AbortSignal
}

/** What is wrong; empty: nothing. @throws JobProblem; the signal's reason */
async function tryIt({ example, options, directory, signal }: Trial): Promise<readonly string[]> {
  const { input, outputs, partitions } = example
  const say = (line: string): void => console.log(line)
  await using broker = await KafkaBroker.start({ directory: join(directory, 'kafka'), say })
  signal.throwIfAborted()
  say(`Kafka ${broker.installation.version} at ${broker.address}`)
  await using topics = await Topics.create(broker, [input, ...outputs], partitions)
  const job = join(directory, 'job')
  mkdirSync(job)
  const random = new SeededRandom(options.seed).restartAt(0)
  {
    using producer = topics.produceTo(input)
    const arrivals = example.arrivals(options.seed, options.records)
    using feed = new Feed(producer, { arrivals, portions: options.kills + 1, portionMs: LIFE_MS })
    const stage = { example, options, directory: job, brokers: broker.address, topics, feed, say, signal }
    await liveAll({ ...stage, random: () => random.next() })
  }
  if (options.sabotage === 'double') await writeAgain(broker, topics, outputs[0])
  const held = await topics.heldUp(outputs)
  const prove = async (idleMs: number): Promise<Proof> => {
    const tables = await tablesOf(broker, { example, options, directory, signal }, idleMs)
    return await proveClaims(example.claims, [...tables, ...example.tables])
  }
  const quick = await prove(IDLE_MS)
  // On a busy machine the reader may have given up before it saw all: what is wrong is still wrong for one that waits longer.
  const proof = quick.claims.every(({ wrong }) => wrong === 0) ? quick : await prove(LONG_IDLE_MS)
  signal.throwIfAborted()
  return [...toldOf(proof, say), ...heldUpToldOf(held, say)]
}

/** Statements that make tables of what Kafka's console consumer reads. */
async function tablesOf(
  { installation, address }: KafkaBroker,
  { example, options, directory, signal }: Trial,
  idleMs: number,
): Promise<readonly string[]> {
  const input = { topic: example.input, expectedRecords: options.records }
  const outputs = example.outputs.map((topic) => ({ topic, idleMs }))
  return await Promise.all(
    [input, ...outputs].map(async (what) => {
      const records = await consumeCommitted({ installation, address, ...what })
      signal.throwIfAborted()
      console.log(`  ${what.topic}: ${records.length} records`)
      if (what === input && records.length !== options.records) {
        throw new JobProblem(
          `${options.records} records were written to ${what.topic}, and ${records.length} are there`,
        )
      }
      return tableOf(what.topic, records, directory)
    }),
  )
}

/** One of the first records. */
async function writeAgain({ installation, address }: KafkaBroker, topics: Topics, topic: string): Promise<void> {
  const [first] = await consumeCommitted({ installation, address, topic, expectedRecords: 1 })
  if (first === undefined) throw new JobProblem(`nothing is in ${topic} that could be written again`)
  using producer = topics.produceTo(topic)
  await producer.write([{ key: first.key ?? '', value: first.value ?? '' }])
  await producer.end()
}

/** A statement that makes a table of what a topic holds. */
function tableOf(topic: string, records: readonly ConsumedRecord[], directory: string): string {
  const file = join(directory, `${topic}.ndjson`)
  const rows = records.map(({ partition, offset, key, value }) => ({ part: partition, place: offset, key, value }))
  writeFileSync(file, rows.map((row) => `${JSON.stringify(row)}\n`).join(''))
  const columns = "{part: 'INTEGER', place: 'BIGINT', key: 'VARCHAR', value: 'VARCHAR'}"
  const name = topic.replaceAll('-', '_')
  return `CREATE TABLE ${name} AS FROM read_ndjson('${file.replaceAll("'", "''")}', columns = ${columns})`
}

/** The claims that do not hold. */
function toldOf({ version, claims }: Proof, say: (line: string) => void): readonly string[] {
  say(`DuckDB ${version} compares what Kafka's console consumer read:`)
  for (const { text, compared, wrong } of claims) {
    say(`  ${wrong === 0 ? '✓' : '✗'} ${text}: ${compared} compared, ${wrong} wrong`)
  }
  return claims.flatMap(({ text, wrong, example }) =>
    wrong === 0 ? [] : [`${text}: ${wrong} wrong, such as ${example ?? 'one that cannot be shown'}`],
  )
}

function heldUpToldOf(held: readonly HeldUp[], say: (line: string) => void): readonly string[] {
  say(`  ${held.length === 0 ? '✓' : '✗'} no transaction is open: last stable offset = high watermark everywhere`)
  return held.map(
    ({ topic, partition, stable, end }) =>
      `a transaction is open in ${topic}-${partition}: its last stable offset is ${stable}, its high watermark ${end}`,
  )
}
