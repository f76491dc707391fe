/** The topics of a trial: made, written by Kafka's console producer, and asked where they end. */
import { once } from 'node:events'
import { KafkaClient } from '../../clients/kafka/client.ts'
import { LATEST, LIST_OFFSETS } from '../../clients/kafka/wire/list-offsets.ts'
import type { KafkaBroker } from '../../services/kafka/broker.ts'
import { startJava } from '../../services/kafka/java-process.ts'
import { JobProblem } from '../running-job.ts'
import type { Arrival } from './example.ts'

/** A partition in which something is not committed, so that readers of committed records wait. */
export interface HeldUp {
  readonly topic: string
  readonly partition: number
  readonly stable: number
  readonly end: number
}

export class Topics implements AsyncDisposable {
  readonly #broker: KafkaBroker
  readonly #client: KafkaClient
  readonly #partitions: number

  private constructor(broker: KafkaBroker, client: KafkaClient, partitions: number) {
    this.#broker = broker
    this.#client = client
    this.#partitions = partitions
  }

  static async create(broker: KafkaBroker, names: readonly string[], partitions: number): Promise<Topics> {
    const client = await KafkaClient.open({ brokers: [broker.address] })
    const admin = await client.admin()
    await admin.createTopics({
      waitForLeaders: true,
      topics: names.map((topic) => ({ topic, numPartitions: partitions, replicationFactor: 1 })),
    })
    return new Topics(broker, client, partitions)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#client[Symbol.asyncDispose]()
  }

  /** Offsets of all partitions together. */
  async endOf(topic: string): Promise<number> {
    return (await this.#offsets(topic, 'read_uncommitted')).reduce((sum, offset) => sum + offset, 0)
  }

  /** Where the last stable offset is not the high watermark. */
  async heldUp(names: readonly string[]): Promise<readonly HeldUp[]> {
    const found: HeldUp[] = []
    for (const topic of names) {
      // The stable ones first: what is committed in between must not look open. What is open stays so.
      const stable = await this.#offsets(topic, 'read_committed')
      const ends = await this.#offsets(topic, 'read_uncommitted')
      for (const [partition, end] of ends.entries()) {
        const at = stable[partition] ?? 0
        if (at !== end) found.push({ topic, partition, stable: at, end })
      }
    }
    return found
  }

  async #offsets(name: string, isolation: 'read_committed' | 'read_uncommitted'): Promise<readonly number[]> {
    const partitions = Array.from({ length: this.#partitions }, (_, partition) => ({
      partition,
      leaderEpoch: -1,
      timestamp: LATEST,
    }))
    // The broker is the only one: it leads them all.
    const request = { isolation, timeoutMs: 5_000, topics: [{ name, partitions }] }
    const answer = await this.#client.ask(LIST_OFFSETS, { kind: 'any' }, request)
    const found = (answer.topics[0]?.partitions ?? []).toSorted((one, other) => one.partition - other.partition)
    const wrong = found.find(({ errorCode }) => errorCode !== 0)
    if (wrong !== undefined || found.length !== this.#partitions) {
      throw new JobProblem(`the offsets of ${name} cannot be known: error ${wrong?.errorCode ?? 'none'}`)
    }
    return found.map(({ offset }) => offset)
  }

  /** Kafka's own. */
  produceTo(topic: string): ConsoleProducer {
    return new ConsoleProducer(this.#broker, topic)
  }
}

export class ConsoleProducer implements Disposable {
  readonly #child: ReturnType<typeof startJava>
  readonly #ended: Promise<number | null>
  #errors = ''

  constructor({ installation, address }: KafkaBroker, topic: string) {
    this.#child = startJava(installation, {
      main: 'org.apache.kafka.tools.ConsoleProducer',
      argv: [
        '--bootstrap-server',
        address,
        '--topic',
        topic,
        '--reader-property',
        'parse.key=true',
        '--command-property',
        'linger.ms=5',
      ],
      flags: ['-Dorg.slf4j.simpleLogger.defaultLogLevel=warn'],
      stdio: ['pipe', 'ignore', 'pipe'],
    })
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => (this.#errors += text))
    // It may have ended: its code says more.
    this.#child.stdin?.on('error', () => undefined)
    this.#ended = new Promise((resolve, reject) => {
      this.#child.once('error', reject)
      this.#child.once('close', resolve)
    })
    this.#ended.catch(() => undefined)
  }

  async write(arrivals: readonly Arrival[]): Promise<void> {
    const lines = arrivals.map(({ key, value }) => `${key}\t${value}\n`).join('')
    if (this.#child.stdin?.write(lines) === false) await Promise.race([once(this.#child.stdin, 'drain'), this.#ended])
  }

  /** Resolves when all is in the topic. @throws JobProblem */
  async end(): Promise<void> {
    this.#child.stdin?.end()
    const code = await this.#ended
    if (code !== 0) throw new JobProblem(`Kafka's console producer ended with ${code}\n${this.#errors.trimEnd()}`)
  }

  [Symbol.dispose](): void {
    this.#child.kill('SIGKILL')
  }
}
