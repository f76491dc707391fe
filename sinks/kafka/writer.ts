/**
 * Writes each epoch in a transaction of its own, begun with its first record: an epoch without records is no transaction.
 *
 *      epoch 1        │      epoch 2       │  epoch 3
 *   ── transaction a ─│── transaction b ───│── transaction a again, if epoch 1 is settled by now
 *        prepare: flush, witness, handle   prepare …
 *
 * The next transaction is filled while the one before is being prepared. Its id is made ready ahead, which costs readers nothing: a
 * transaction is open when it has a partition.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { CheckpointId, SinkBatch, SinkWriter, WriterContext } from '../../engine/api/index.ts'
import { maxUnsettledEpochs } from '../../engine/api/index.ts'
import type { KafkaTransaction } from './committable.ts'
import type { KafkaConnection } from './connection.ts'
import { IdPool } from './id-pool.ts'
import type { KafkaRecord, Settings } from './options.ts'
import { Output } from './output.ts'
import { beginTransaction, Transaction, type Begun, type TransactionOptions } from './transaction.ts'

export interface WriterOptions<T> {
  readonly settings: Settings
  readonly record: (value: T, timestamp: number) => KafkaRecord
  readonly context: WriterContext
  /** Records go over it. */
  readonly producing: KafkaConnection
  /** Requests about transactions do, which must not wait behind records. */
  readonly coordinating: KafkaConnection
}

/** Looks at ages so many times within a timeout; warns when half of it is over. */
const LOOKS = 20
const WARN_SHARE = 0.5
const CLOSE_PATIENCE_MS = 5_000

export class KafkaWriter<T> implements SinkWriter<T, KafkaTransaction> {
  readonly overlapsPrepare = true
  readonly #options: WriterOptions<T>
  readonly #output: Output<T>
  readonly #pool: IdPool
  readonly #transactionOptions: TransactionOptions & { readonly wake: () => void }
  readonly #ages: NodeJS.Timeout
  /** Begun ahead. */
  #standby: Promise<Begun> | undefined
  /** Of the epoch that is being written, from its first record on. */
  #current: Transaction | undefined
  /** Not prepared yet, the current one included. */
  readonly #open = new Set<Transaction>()
  /** Prepared; whether they are committed we are told by `settled`. */
  #unsettled: { readonly transaction: KafkaTransaction; readonly checkpoint: number }[] = []
  readonly #warned = new Set<string>()

  private constructor(options: WriterOptions<T>) {
    const { context, settings, producing, coordinating } = options
    const { operator, signal, clock } = context
    this.#options = options
    this.#output = new Output({ settings, record: options.record, connection: producing, context })
    this.#pool = new IdPool({
      size: maxUnsettledEpochs(context.checkpoint),
      nextName: () => context.nextName(),
      signal,
    })
    this.#transactionOptions = {
      connection: coordinating,
      pool: this.#pool,
      topics: this.#output.topics,
      transactionTimeoutMs: settings.transactionTimeoutMs,
      clock,
      operator,
      signal,
      wake: () => this.#output.sender.wake(),
    }
    signal.addEventListener('abort', () => {
      for (const { session } of this.#open) session.fail(signal.reason)
    })
    this.#ages = setInterval(() => this.#warnOfAge(), Math.ceil(settings.transactionTimeoutMs / LOOKS))
    this.#ages.unref()
  }

  /** @throws TerminalError for a topic that is not there */
  static async create<T>(options: WriterOptions<T>): Promise<KafkaWriter<T>> {
    const writer = new KafkaWriter(options)
    try {
      await writer.#output.topics.load(options.settings.topics)
      writer.#getReady()
      return writer
    } catch (error) {
      await writer[Symbol.asyncDispose]()
      throw error
    }
  }

  write(batch: SinkBatch<T>): void | Promise<void> {
    this.#output.throwFailure()
    if (batch.values.length === 0) return undefined
    const transaction = (this.#current ??= this.#begin())
    const pending = this.#output.append(batch, transaction.session)
    if (pending !== undefined) return pending
    // No id is free: nothing more is taken until one is (C8).
    return this.#pool.isAwaited && !transaction.isBegun ? transaction.begun() : undefined
  }

  async prepareCommit({ checkpoint }: { readonly checkpoint?: CheckpointId }): Promise<readonly KafkaTransaction[]> {
    // The cut (C4): what is written from here on goes to another transaction.
    const transaction = this.#current
    this.#current = undefined
    this.#output.throwFailure()
    if (transaction === undefined) return []
    this.#output.flush(transaction.session)
    this.#getReady()
    const prepared = await transaction.prepare(checkpoint)
    this.#open.delete(transaction)
    this.#output.sender.remove(transaction.session)
    if (checkpoint !== undefined) this.#unsettled.push({ transaction: prepared, checkpoint })
    return [prepared]
  }

  settled(through: CheckpointId): void {
    this.#pool.settled(through)
    this.#unsettled = this.#unsettled.filter(({ checkpoint }) => checkpoint > through)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#ages)
    this.#output.close()
    const end = new AbortController()
    const abandoned = Promise.allSettled([...this.#open].map(async (transaction) => await transaction.abandon()))
    await Promise.race([abandoned, sleep(CLOSE_PATIENCE_MS, undefined, { signal: end.signal }).catch(() => undefined)])
    end.abort()
    await this.#options.producing[Symbol.asyncDispose]()
    await this.#options.coordinating[Symbol.asyncDispose]()
  }

  #begin(): Transaction {
    const standby = this.#standby ?? beginTransaction(this.#transactionOptions)
    this.#standby = undefined
    // One that failed ahead of time may have failed for a reason that has passed.
    const begun = standby.catch(async () => await beginTransaction(this.#transactionOptions))
    const transaction = new Transaction(this.#output.openSession(true), begun, this.#transactionOptions)
    this.#open.add(transaction)
    return transaction
  }

  #getReady(): void {
    if (this.#standby !== undefined || this.#pool.isExhausted || this.#options.context.signal.aborted) return
    this.#standby = beginTransaction(this.#transactionOptions)
    this.#standby.catch(() => undefined)
  }

  /** It is aborted by the broker when its time is up, and what it holds is lost if a checkpoint with it has completed by then. */
  #warnOfAge(): void {
    const { context, settings } = this.#options
    const open = [...this.#open].map(({ session, ageMs }) => ({
      name: session.transactionalId ?? '',
      ageMs,
      what: 'open',
    }))
    const prepared = this.#unsettled.map(({ transaction: { transactionalId, begunAtMs } }) => {
      return {
        name: transactionalId,
        ageMs: context.clock.now() - begunAtMs,
        what: 'prepared and not known to be committed',
      }
    })
    for (const { name, ageMs, what } of [...open, ...prepared]) {
      if (ageMs < settings.transactionTimeoutMs * WARN_SHARE || this.#warned.has(name)) continue
      this.#warned.add(name)
      context.logger.warn(
        `a Kafka transaction has been ${what} for ${Math.round(ageMs)} ms; the broker aborts it after ${settings.transactionTimeoutMs} ms`,
        { operator: context.operator, subtask: context.subtask, transactionalId: name },
      )
    }
  }
}
