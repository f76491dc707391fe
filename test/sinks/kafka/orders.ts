/** Runs orders.job.ts in processes of their own, and checks what Kafka's own console consumer sees of it with read_committed. */
import { deepEqual, equal, ok } from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { KafkaClient } from '../../../clients/kafka/client.ts'
import type { ConsumedRecord } from '../../../services/kafka/java-tools.ts'
import { offsetOf } from '../../clients/kafka/transactions.ts'
import type { Trap } from '../../clients/kafka/kafka-proxy.ts'
import { Run } from '../../kills/run.ts'

const JOB = fileURLToPath(new URL('orders.job.ts', import.meta.url))
const BIN = fileURLToPath(new URL('../../../bin/sluice.mjs', import.meta.url))
const KEYS = 7
export const COUNT = 400

export interface OrdersOptions {
  /** Of the job's id, its keys and its values. */
  readonly life: string
  readonly broker: string
  readonly topic: string
}

/** One job, with a checkpoint store of its own. */
export class Orders implements Disposable {
  readonly directory = mkdtempSync(join(tmpdir(), 'sluice-orders-'))
  readonly #options: OrdersOptions
  readonly #runs: Run[] = []

  constructor(options: OrdersOptions) {
    this.#options = options
  }

  start(settings: Readonly<Record<string, string | number>> = {}, flags: readonly string[] = []): Run {
    const { life, broker, topic } = this.#options
    const env = Object.entries({ LIFE: life, BROKER: broker, TOPIC: topic, COUNT, ...settings }).map(
      ([name, value]) => [`ORDERS_${name}`, String(value)],
    )
    const child = spawn(process.execPath, [BIN, 'run', JOB, '--json', ...flags], {
      cwd: this.directory,
      env: { ...process.env, ...Object.fromEntries(env) },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    const none = join(this.directory, 'none')
    const run = new Run(child, { trace: none, woken: none })
    this.#runs.push(run)
    return run
  }

  /** One that must end in this way. */
  async run(
    code: number,
    settings: Readonly<Record<string, string | number>> = {},
    flags: readonly string[] = [],
  ): Promise<Run> {
    const run = this.start(settings, flags)
    await run.expectCode(code)
    return run
  }

  /** Kinds of the entries of its log, oldest first. */
  log(): readonly LogFacts[] {
    const directory = join(this.directory, '.sluice', `orders-${this.#options.life}`, 'log')
    try {
      return readdirSync(directory)
        .filter((name) => /^\d+$/.test(name))
        .toSorted()
        .map((name) => JSON.parse(readFileSync(join(directory, name), 'utf8').split('\n')[1] ?? '') as LogFacts)
    } catch {
      return []
    }
  }

  [Symbol.dispose](): void {
    for (const run of this.#runs) run.kill()
    rmSync(this.directory, { recursive: true, force: true })
  }
}

export interface LogFacts {
  readonly kind: string
  readonly generation: number
  readonly committedThrough: number
  readonly end?: { readonly state: string }
}

/** @throws when the run ends without having come there */
export async function reached(trap: Trap, run: Run): Promise<void> {
  const end = run.exited.then(() => {
    throw new Error(`it ended before it came to its trap:\n${run.said.slice(-2_000)}`)
  })
  await Promise.race([trap.reached, end])
  end.catch(() => undefined)
}

/** Each record of each life once, each key in one partition and in order. */
export function expectExact(consumed: readonly ConsumedRecord[], lives: readonly string[], count = COUNT): number {
  const byLife = new Map(lives.map((life): [string, ConsumedRecord[]] => [life, []]))
  for (const record of consumed) byLife.get(record.value?.split(' ')[0] ?? '')?.push(record)
  for (const [life, records] of byLife) {
    const indexes = records.map(({ value }) => Number(value?.split(' ')[1])).toSorted((a, b) => a - b)
    deepEqual(
      indexes,
      Array.from({ length: count }, (_, index) => index),
      `each record of ${life} once`,
    )
    for (let key = 0; key < KEYS; key += 1) {
      const ofKey = records.filter((record) => record.key === `${life}/${key}`)
      equal(new Set(ofKey.map(({ partition }) => partition)).size, 1, `a key of ${life} is in one partition`)
      const counts = ofKey.toSorted((a, b) => a.offset - b.offset).map(({ value }) => Number(value?.split(' ')[2]))
      deepEqual(
        counts,
        counts.map((_, index) => index + 1),
        `order of key ${key} of ${life}`,
      )
    }
  }
  ok(lives.length > 0)
  return lives.length * count
}

/** No transaction holds up readers: last stable offset = high watermark everywhere. */
export async function expectNothingOpen(client: KafkaClient, topic: string, partitions: number): Promise<void> {
  for (let partition = 0; partition < partitions; partition += 1) {
    equal(await offsetOf(client, topic, 'stable', partition), await offsetOf(client, topic, 'end', partition))
  }
}
