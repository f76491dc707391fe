/**
 * Kafka's own command line tools: an independent reader for tests, and rivals for benchmarks. Each call is a JVM of its own, about a second.
 */
import { startJava } from './java-process.ts'
import type { Installation } from './installation.ts'
import { TaskFailure } from '../../engine/api/index.ts'

export interface ConsumedRecord {
  readonly partition: number
  readonly offset: number
  readonly key: string | null
  readonly value: string | null
}

export interface ConsumeOptions {
  readonly installation: Installation
  readonly address: string
  readonly topic: string
  /** Left out: all of the topic. */
  readonly partition?: number
  /** Ends when it has shown so many, or nothing more for a minute; left out: when it has shown nothing more for some seconds. */
  readonly expectedRecords?: number
  /** Those seconds: default 5,000. */
  readonly idleMs?: number
}

const IDLE_MS = 5_000
const LATE_MS = 60_000
const TOOL_TIMEOUT_MS = 120_000

/** What Kafka's own consumer shows of a topic with read_committed, from its beginning. Keys and values may hold no tab or line break. */
export async function consumeCommitted(options: ConsumeOptions): Promise<readonly ConsumedRecord[]> {
  const properties = ['print.partition', 'print.offset', 'print.key'].flatMap((name) => [
    '--formatter-property',
    `${name}=true`,
  ])
  const where =
    options.partition === undefined ? [] : ['--partition', String(options.partition), '--offset', 'earliest']
  const { output } = await runTool(options.installation, 'org.apache.kafka.tools.consumer.ConsoleConsumer', [
    '--bootstrap-server',
    options.address,
    '--topic',
    options.topic,
    ...(where.length === 0 ? ['--from-beginning'] : where),
    '--isolation-level',
    'read_committed',
    '--timeout-ms',
    String(options.expectedRecords === undefined ? (options.idleMs ?? IDLE_MS) : LATE_MS),
    ...(options.expectedRecords === undefined ? [] : ['--max-messages', String(options.expectedRecords)]),
    '--formatter-property',
    'null.literal=\u0001null',
    ...properties,
  ])
  return output.split('\n').flatMap((line) => (line.startsWith('Partition:') ? [parseRecord(line)] : []))
}

/** `Partition:0\tOffset:1\tkey\tvalue` */
function parseRecord(line: string): ConsumedRecord {
  const [partition = '', offset = '', key = '', value = ''] = line.split('\t')
  const shown = (text: string): string | null => (text === '\u0001null' ? null : text)
  return {
    partition: Number(partition.slice('Partition:'.length)),
    offset: Number(offset.slice('Offset:'.length)),
    key: shown(key),
    value: shown(value),
  }
}

export interface ToolOutput {
  readonly output: string
  readonly errors: string
}

/** @param main the class of the tool, such as `org.apache.kafka.tools.ProducerPerformance` */
export async function runTool(installation: Installation, main: string, argv: readonly string[]): Promise<ToolOutput> {
  const child = startJava(installation, {
    main,
    argv,
    flags: ['-Dorg.slf4j.simpleLogger.defaultLogLevel=warn'],
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  let errors = ''
  child.stdout?.setEncoding('utf8').on('data', (text: string) => (output += text))
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (errors += text))
  const late = setTimeout(() => child.kill('SIGKILL'), TOOL_TIMEOUT_MS)
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', resolve)
  })
  clearTimeout(late)
  if (code === 0) return { output, errors }
  throw new TaskFailure(`${main} ${argv.join(' ')} ended with ${code}:\n${errors.slice(-2_000)}`)
}
