/** Logs that other clients read wrongly: one partition of a topic each. */
import type { KafkaClient } from '../../../clients/kafka/client.ts'
import type { OutgoingRecord } from '../../../clients/kafka/wire/record-batch-writer.ts'
import { uniqueName } from '../../services/kafka.ts'
import { append, createTopic, end, records, settledState, TestProducer } from './transactions.ts'

interface Log {
  readonly partition: number
  producer(): Promise<TestProducer>
  write(producer: TestProducer, ...content: readonly OutgoingRecord[]): Promise<void>
  plain(value: string): Promise<void>
  commit(producer: TestProducer): Promise<void>
  abort(producer: TestProducer): Promise<void>
}

/** Each value says what it must come to: `in…` is shown, `out…` is not. */
const LOGS: Readonly<Record<string, (log: Log) => Promise<void>>> = {
  'two aborted transactions overlap': async (log) => {
    const [one, two] = [await log.producer(), await log.producer()]
    await log.write(one, ...records('out 1'))
    await log.write(two, ...records('out 2'))
    await log.abort(one)
    await log.write(two, ...records('out 3'))
    await log.plain('in 1')
    await log.abort(two)
    await log.plain('in 2')
  },
  'one aborted transaction of 3 MB, over many fetches': async (log) => {
    const one = await log.producer()
    const large = 'x'.repeat(1_000)
    for (let batch = 0; batch < 30; batch += 1) {
      await log.write(one, ...records(...Array.from({ length: 100 }, (_, index) => `out ${batch} ${index} ${large}`)))
    }
    await log.plain('in 1')
    await log.abort(one)
    await log.plain('in 2')
  },
  'the same producer aborts twice, and commits between': async (log) => {
    const one = await log.producer()
    await log.write(one, ...records('out 1'))
    await log.abort(one)
    await log.write(one, ...records('in 1'))
    await log.commit(one)
    await log.write(one, ...records('out 2'))
    await log.abort(one)
    await log.plain('in 2')
  },
  'the key of an aborted record looks like a marker': async (log) => {
    const one = await log.producer()
    const key = Buffer.alloc(4)
    const keyed = (value: string): OutgoingRecord => ({ key, value, timestamp: 1_700_000_000_000 })
    await log.write(one, keyed('out 1'))
    await log.write(one, keyed('out 2'), keyed('out 3'))
    await log.abort(one)
    await log.write(one, keyed('in 1'))
    await log.commit(one)
  },
  'two aborted transactions around a committed one': async (log) => {
    const [one, two, three] = [await log.producer(), await log.producer(), await log.producer()]
    await log.write(one, ...records('out 1'))
    await log.write(two, ...records('in 1'))
    await log.write(three, ...records('out 2'))
    await log.abort(one)
    await log.write(two, ...records('in 2'))
    await log.commit(two)
    await log.write(three, ...records('out 3'))
    await log.abort(three)
  },
  'one is open at the end': async (log) => {
    const [one, two] = [await log.producer(), await log.producer()]
    await log.write(one, ...records('in 1'))
    await log.commit(one)
    await log.write(two, ...records('out: it is open'))
    await log.plain('out: it is behind an open one')
  },
}
/** By partition. */
export const LOG_NAMES = Object.keys(LOGS)

export class AdversarialLogs implements AsyncDisposable {
  /** What a reader of committed records must be shown, by partition. */
  readonly expected = new Map<number, string[]>()
  readonly #client: KafkaClient
  readonly #topic: string
  readonly #open: TestProducer[] = []

  private constructor(client: KafkaClient, topic: string) {
    this.#client = client
    this.#topic = topic
  }

  static async write(client: KafkaClient, topic: string): Promise<AdversarialLogs> {
    await createTopic(client, topic, LOG_NAMES.length)
    const logs = new AdversarialLogs(client, topic)
    for (const [partition, name] of LOG_NAMES.entries()) await LOGS[name]?.(logs.#logIn(partition))
    return logs
  }

  /** How many records must be shown. */
  get count(): number {
    return [...this.expected.values()].reduce((sum, values) => sum + values.length, 0)
  }

  /** What is open is aborted. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const { handle } of this.#open) await end(this.#client, handle, { commits: false, version: 4 })
  }

  #logIn(partition: number): Log {
    const note = (...content: readonly OutgoingRecord[]): void => {
      const shown = content.map(({ value }) => String(value)).filter((value) => value.startsWith('in'))
      this.expected.set(partition, [...(this.expected.get(partition) ?? []), ...shown])
    }
    const finish = async (producer: TestProducer, commits: boolean): Promise<void> => {
      const { errorCode } = await end(this.#client, producer.handle, { commits, version: 4 })
      if (errorCode !== 0) throw new Error(`EndTxn: ${errorCode}`)
      await settledState(this.#client, producer.transactionalId)
      this.#open.splice(this.#open.indexOf(producer), 1)
    }
    return {
      partition,
      producer: async () => {
        const producer = await TestProducer.init(this.#client, uniqueName('id'))
        this.#open.push(producer)
        return producer
      },
      write: async (producer, ...content) => {
        note(...content)
        await producer.write(this.#topic, content, partition)
      },
      plain: async (value) => {
        note(...records(value))
        await append(this.#client, { topic: this.#topic, partition, records: records(value) })
      },
      commit: async (producer) => await finish(producer, true),
      abort: async (producer) => await finish(producer, false),
    }
  }
}
